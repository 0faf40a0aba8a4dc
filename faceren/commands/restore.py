"""Restore photos: a whole run, from inputs to manifest."""

import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import faceren
from faceren.checks import Json
from faceren.commands.options import FolderOptions, RunOptions
from faceren.commands.review import open_to_change, recorded_jobs
from faceren.commands.workshop import Workshop
from faceren.errors import ConfigError
from faceren.files import remove_leftovers
from faceren.images import OF_A_RUN, find_others, keep_times
from faceren.restoration.options import RestoreOptions
from faceren.restoration.results import PhotoResult, done_before
from faceren.runs.folder import (
    check_beside,
    check_page,
    check_places,
    check_replaced,
    forget_plan,
    recording,
)
from faceren.runs.lists import (
    BoxLine,
    Choice,
    MarkLine,
    given_faces,
    given_marks,
    listed,
    photos_only,
    read_boxes,
    read_list,
    read_marks,
)
from faceren.runs.manifest import Manifest, relocated
from faceren.runs.plan import AnyJob, Job, check_output, make_plan, resolve_inputs
from faceren.runs.resume import (
    check_originals,
    earlier_run,
    keep_changed,
    restored_before,
    set_aside,
)
from faceren.runs.shards import Shard, parse_shard, part_of

if TYPE_CHECKING:  # torch takes seconds to load: first everything that can be refused without it
    from faceren.restoration.finish import Watcher
    from faceren.restoration.pipeline import Pipeline

OURS = OF_A_RUN | {"faceren.toml"}
"""Files among the photos that are faceren's own."""
Done = TypeVar("Done")
"""What is said of a photo when it is done."""


@dataclass(frozen=True)
class RestoreRun:
    """A planned run: how many photos, and their results as they come."""

    total: int
    shipped_samples: bool
    """The package's own samples stand in for a ``sample_photos`` that is not there."""
    results: Iterator[PhotoResult]
    left_out: tuple[Path, ...] = ()
    """Files in the input folders that are of no kind that is restored."""
    problems: tuple[str, ...] = ()
    """What should be looked at first: damaged lines of the folder's manifest, which were left out,
    masks of no photo, photos that were restored before."""


def restore(
    inputs: Sequence[Path],
    output: Path,
    options: RestoreOptions = RestoreOptions(),
    *,
    how: RunOptions = RunOptions(),
    folder: FolderOptions = FolderOptions(),
    watcher: "Watcher | None" = None,
) -> RestoreRun:
    """Plan a restoration; iterating over ``results`` does the work.

    Everything that can be wrong with the request is found before the first photo is touched.

    Args:
        inputs: Photos and folders; none with ``folder.only``, ``folder.boxes`` or
            ``folder.repair_keep`` means those named there, of the earlier runs into ``output``, as
            long as they have the bytes that were recorded.
        output: Folder of the outputs and of ``manifest.jsonl``.
        options: What to do with each photo.
        how: With what it is done.
        folder: Which photos, and what is written beside them; ``dry_run`` yields ``planned`` (or
            ``skipped``) results and does nothing.
        watcher: Told of each photo before and after, while it is in memory.

    Raises:
        ConfigError: If inputs, outputs or options make no sense.
        NothingToDoError: If there is no image.
        MachineError: If weights or device are not there, or the output cannot be written.
    """
    shard = shard_of(folder, inputs)
    boxes, marks, only = named_photos(folder, inputs)
    jobs, shipped = _jobs(inputs, output, options, folder, only)
    others = find_others([path for path in inputs if path.exists()], folder.exclude, but=output)
    given, kept = given_faces(jobs, boxes), given_marks(jobs, marks)
    check_places(output)
    if watcher is not None:
        check_page(output)
    recorded = earlier_run(output, "restore", shard)
    every, jobs = jobs, [job for job in jobs if shard is None or shard.has(job.key)]
    check_replaced(jobs, output, recorded.items, [job.source for job in every])
    keys = {job.key for job in every}
    check_beside(keys, faces=folder.save_faces, masks=options.repair != "off")
    manifest = Manifest() if folder.overwrite else recorded
    if only is not None:
        jobs = listed(jobs, only)
        if not inputs:
            check_originals(jobs, recorded.items)
        manifest = open_to_change(manifest)
    workshop = Workshop(options, how, folder, given, kept, watcher)
    header = header_of(pipeline := workshop.pipeline(), how.model)
    header |= part_of(shard, every, len(jobs))
    record = _Record(output, header, only is not None, shard)
    left_out = tuple(found.path for found in others if found.path.name not in OURS)
    strays = pipeline.repairer.strays([job.key for job in every]) if pipeline.repairer else []
    problems = (*recorded.problems, *strays, *restored_before(jobs))
    results = _work(jobs, workshop, pipeline, manifest, record)
    return RestoreRun(len(jobs), shipped, results, left_out, problems)


def shard_of(folder: FolderOptions, inputs: Sequence[Path]) -> Shard | None:
    """Return the part of the run that is to be done; None is the whole.

    Raises:
        ConfigError: If it is no part, or of photos that are named one by one.
    """
    shard = parse_shard(folder.shard)
    if shard is not None and (folder.only is not None or not inputs):
        raise ConfigError("--shard: expected inputs and no --only: each part takes its own of them")
    return shard


def named_photos(
    folder: FolderOptions, inputs: Sequence[Path]
) -> tuple[list[BoxLine], list[MarkLine], list[Choice] | None]:
    """Return marked faces, marks to keep, and which photos alone are to be done; None is all.

    Raises:
        ConfigError: If a list cannot be read or makes no sense.
    """
    only = None if folder.only is None else photos_only(read_list(folder.only, "--only"))
    boxes = [] if folder.boxes is None else read_boxes(folder.boxes)
    marks = [] if folder.repair_keep is None else read_marks(folder.repair_keep)
    if only is None and (boxes or marks) and not inputs:
        named: list[BoxLine | MarkLine] = [*boxes, *marks]
        only = [Choice(line.photo, place=line.place) for line in named]
    return boxes, marks, only


def _jobs(
    inputs: Sequence[Path],
    output: Path,
    options: RestoreOptions,
    folder: FolderOptions,
    only: Sequence[Choice] | None,
) -> tuple[list[Job], bool]:
    """Return the photos of the run, and whether the shipped samples are part of them."""
    if only is not None and not inputs:
        jobs, shipped = recorded_jobs(output), False
        check_output([job.source for job in jobs], output, folder.exclude)
    else:
        sources, shipped = resolve_inputs(inputs)
        check_output(sources, output, folder.exclude)
        jobs = make_plan(
            sources,
            output,
            file_format=options.format,
            exclude=folder.exclude,
            suffix=folder.suffix,
        )
    return jobs, shipped


@dataclass(frozen=True)
class _Record:
    """Where a run writes down what it does, and under what header."""

    output: Path
    header: Json
    chosen: bool = False
    """Its photos were chosen by name: they stay as they are in runs over everything."""
    shard: Shard | None = None


def _work(
    jobs: Sequence[Job],
    workshop: Workshop,
    pipeline: "Pipeline",
    manifest: Manifest,
    record: _Record,
) -> Iterator[PhotoResult]:
    todo, folder = [], workshop.folder
    for job in jobs:
        settings = pipeline.settings(job)
        done = done_before(job, manifest, settings, retry_failed=folder.retry_failed)
        if done is not None:
            yield done
        elif folder.dry_run:
            yield PhotoResult(source=job.source, output=job.output, key=job.key, status="planned")
        else:
            todo.append(job)
    if folder.dry_run:
        return
    if record.shard is None:  # the unfinished files of other parts may be those of other machines
        remove_leftovers(record.output)  # those of crops and of the page's pictures too
        if not todo:
            forget_plan(record.output, manifest.items)
            return
    mark = {"chosen": True} if record.chosen else {}
    kept = {
        key: keep_changed(record.output, key, manifest.items.get(key))
        for key in (job.key for job in todo)
    }
    keys = [job.key for job in todo]
    recorder = recording(record.output, keys, record.header, record.shard, manifest.items)
    with recorder as writer:
        for result in restored(todo, workshop, pipeline, on_files, Path.cwd()):
            if result.status == "failed" and (note := set_aside(record.output, result.key)):
                result = replace(result, reason=f"{result.reason}; {note}")
            if kept[result.key]:
                result = replace(result, warnings=(kept[result.key], *result.warnings))
            if folder.keep_times and result.status != "failed":
                keep_times(result.output, result.source)
            writer.append(relocated(result.to_json() | mark, record.output))
            yield result


def restored(
    jobs: Sequence[AnyJob],
    workshop: Workshop,
    pipeline: "Pipeline",
    work: Callable[["Pipeline", Sequence[AnyJob]], Iterator[Done]],
    folder: Path | None,
) -> Iterator[Done]:
    """Restore photos here or on the nodes of a cluster; yield what became of each, in order.

    Args:
        jobs: The photos.
        workshop: What a pipeline is made of.
        pipeline: It, as it was made here.
        work: Restores some photos with a pipeline.
        folder: What paths are relative to; None if all of them are addresses.

    Raises:
        MachineError: If the disk or the store takes no more, or workers die again and again.
    """
    if workshop.how.cluster == "off":
        yield from work(pipeline, jobs)
    else:
        from faceren.commands.cluster import restored_on_ray

        yield from restored_on_ray(jobs, workshop, pipeline, work, folder)


def on_files(pipeline: "Pipeline", jobs: Sequence[Job]) -> Iterator[PhotoResult]:
    """Restore photos of a disk; all nodes of a cluster share it."""
    return pipeline.run(jobs)


def header_of(pipeline: "Pipeline", model: str) -> Json:
    """Return the header of a run's manifest.

    Args:
        pipeline: What the run is done with.
        model: As the user named it.
    """
    checkpoint = pipeline.restorer.checkpoint
    return {
        "tool": f"faceren {faceren.__version__}",
        "command": "restore",
        "model": checkpoint.info.name or model,
        "model_option": model,
        "weights_sha256": checkpoint.sha256,
        "engine": pipeline.restorer.computed,
        "machine": machine_of(pipeline.restorer.computed),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "self_ensemble": pipeline.restorer.self_ensemble,
        "options": asdict(pipeline.options),
    }


def machine_of(computed: str) -> Json:
    """Return on what a run computes: what may decide the last digits of its pixels.

    Args:
        computed: Engine, device and number type, as a ``Restorer`` says them.
    """
    engine, device, precision = computed.split(" ")
    library = {"onnx": "onnxruntime"}.get(engine, engine)
    if number := getattr(sys.modules.get(library), "__version__", ""):
        library = f"{library} {number}"
    return {
        "device": device,
        "precision": precision,
        "library": library,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
