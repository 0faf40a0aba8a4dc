"""Degrade clean photos: the whole run, from inputs to manifest, and the sheet of all tasks."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import faceren
from faceren.checks import Json
from faceren.commands.options import DegradeOptions
from faceren.degradation import check_task
from faceren.degradation.files import (
    SMALLEST_SIDE,
    Degraded,
    DegradeJob,
    DegradeSettings,
    degrade_files,
    render,
    skipped_by,
)
from faceren.degradation.planning import COMMAND, library_versions, plan_draws, plan_replay
from faceren.errors import ConfigError, NothingToDoError
from faceren.files import remove_leftovers
from faceren.images import DEFAULT_MAX_PIXELS, Found, find_images, read_rgb, write_png
from faceren.runs.disk_or_store import Files
from faceren.runs.folder import check_places, check_replaced, recording
from faceren.runs.manifest import ManifestWriter, relocated
from faceren.runs.plan import check_output, resolve_inputs
from faceren.runs.resume import earlier_run
from faceren.runs.segments import StoredFolder
from faceren.runs.shards import Shard, parse_shard, part_of
from faceren.runs.storage import is_stored, spelled
from faceren.runs.stored import Stage, StoredFound, check_stored, find_stored, no_image


@dataclass(frozen=True)
class DegradeRun:
    """A planned run; iterating over it does the work."""

    total: int
    """How many results there will be."""
    output: Path
    warning: str
    """Why a replay may not give the same bytes; empty if it will."""
    results: Iterator[Degraded]

    def __iter__(self) -> Iterator[Degraded]:
        return self.results

    def __len__(self) -> int:
        return self.total


def degrade(
    inputs: Sequence[Path], output: Path | None = None, options: DegradeOptions = DegradeOptions()
) -> DegradeRun:
    """Plan a run; iterating over it writes the damaged twins as PNG, and ``manifest.jsonl``.

    Everything that can be wrong with the request is found before the first photo is touched. What
    an earlier run into the same folder made, from the same clean bytes with the same settings, is
    skipped.

    Args:
        inputs: Clean photos and folders; sub-folders are mirrored. All of them, and the output, may
            be in object stores.
        output: Folder of the outputs; by default one in the current folder, with the first input's
            name and the task appended.
        options: What to do.

    Raises:
        ConfigError: If inputs, output, options or the manifest make no sense.
        NothingToDoError: If there is no image among the inputs.
        MachineError: If the output cannot be written.
    """
    task, copies = options.task, options.copies
    if (task is None) == (options.replay is None):
        got = "both" if task else "neither"
        raise ConfigError(f"expected either --task or --replay (a manifest), got {got}")
    if task is not None:
        check_task(task, options.compat)
    if copies > 1 and "offline-once" in options.compat:
        raise ConfigError(f"offline-once makes all {copies} copies the same; give --copies 1")
    shard = parse_shard(options.shard)
    if any(is_stored(path) for path in (*inputs, output) if path is not None):
        return _degrade_stored(inputs, output, options, shard)
    sources, _ = resolve_inputs(inputs)
    target = output or default_output(sources, task or "replay")
    check_output(sources, target, options.exclude)
    found = list(find_images(sources, options.exclude, but=target))[: options.limit]
    if not found:
        raise NothingToDoError(f"no image found in {', '.join(map(str, inputs))}")
    every, warning = _planned(found, target, options)
    check_places(target)
    recorded = earlier_run(target, COMMAND, shard)
    jobs = [job for job in every if shard is None or shard.has(job.key)]
    check_replaced(jobs, target, recorded.items, [item.path for item in found])
    earlier = {} if options.overwrite else recorded.items
    header = header_of(options) | part_of(shard, every, len(jobs))
    results = degrade_files(jobs, earlier, _workers(options, len(jobs)))
    record = recording(target, [job.key for job in jobs], header, shard, recorded.items)
    results = _recorded(results, record, target, shard)
    return DegradeRun(len(jobs), target, warning, results)


def _planned(
    found: Sequence[Found], target: Path, options: DegradeOptions
) -> tuple[list[DegradeJob], str]:
    """Return what is to be done, in order of the outputs, and why a replay may not be one."""
    if options.replay is not None:
        files = Files([options.replay])
        jobs, warning = plan_replay(found, target, options.replay, files)
    else:
        settings = DegradeSettings(
            task=options.task or "",
            seed=options.seed,
            size=None if options.size == "keep" else options.size,
            compat=tuple(sorted(options.compat)),
        )
        jobs, warning = plan_draws(found, target, settings, options.copies), ""
    most = options.max_pixels or DEFAULT_MAX_PIXELS
    jobs = [replace(job, max_pixels=most) for job in sorted(jobs, key=lambda job: job.key)]
    return jobs, warning


def _workers(options: DegradeOptions, jobs: int) -> int:
    """Return how many processes: each takes seconds to start, and must have something to do."""
    return options.workers or min(os.cpu_count() or 1, 1 + jobs // 32)


def _degrade_stored(
    inputs: Sequence[Path], output: Path | None, options: DegradeOptions, shard: Shard | None
) -> DegradeRun:
    """Plan a run in an object store; see ``degrade``."""
    output = check_stored(inputs, output)
    found = find_stored(inputs, options.exclude)[: options.limit]
    if not found:
        raise no_image(inputs)
    every, warning = _planned(found, output, options)
    target = StoredFolder.opened(output, COMMAND, shard)
    jobs = [job for job in every if target.shard.has(job.key)]
    target.check_replaced(jobs)
    header = header_of(options) | part_of(target.shard, every, len(jobs))
    items = {item.path: item for item in found}
    return DegradeRun(len(jobs), output, warning, _work(jobs, items, target, header, options))


def _work(
    jobs: Sequence[DegradeJob],
    items: Mapping[Path, StoredFound],
    target: StoredFolder,
    header: Json,
    options: DegradeOptions,
) -> Iterator[Degraded]:
    """Degrade photos of a store that are not done yet, and record it."""
    todo = []
    for job in jobs:
        line = None
        if job.settings is not None and not options.overwrite:
            line = target.done_before(job, items[job.source].item, job.settings.digest())
        if line is not None and line.get("status") == "degraded":
            yield skipped_by(job, line)
        else:
            todo.append(job)
    if not (todo or options.shard or target.is_begun):
        return
    todo.sort(key=lambda job: (job.relative, job.copy))  # all copies of a photo, then the next one
    by_key, workers = {job.key: job for job in todo}, _workers(options, len(todo))
    with target.record(list(by_key), header) as writer, Stage() as stage:
        for result in degrade_files(stage.staged(todo, items), {}, workers):
            job, versions = by_key[result.job.key], {}
            if job.source in items:
                versions["input"] = items[job.source].item.version
            if result.status != "failed":
                versions["output"] = stage.put(job, target.storage)
            result = replace(result, job=job, reason=stage.told(job, result.reason))
            stage.clear(job)
            writer.append(result.to_json() | {"stored": versions})
            yield result
    if not options.shard:
        from faceren.commands.stored import merge_stored

        merge_stored(Path(target.storage.url), COMMAND)


def header_of(options: DegradeOptions) -> Json:
    """Return the header of a run's manifest."""
    replayed = options.replay and spelled(options.replay)
    return {
        "tool": f"faceren {faceren.__version__}",
        "command": COMMAND,
        "libraries": library_versions(),
        "options": {
            "task": options.task,
            "seed": options.seed,
            "size": None if options.size == "keep" else options.size,
            "copies": options.copies,
            "compat": sorted(options.compat),
            "replay": replayed,
        },
    }


def sheet(
    inputs: Sequence[Path], output: Path, *, seed: int = 0, limit: int = 4, cell: int = 256
) -> Path:
    """Write one labelled PNG that shows every task and preset on some photos; return its path.

    Args:
        inputs: Clean photos and folders.
        output: The PNG file.
        seed: Of what is drawn.
        limit: Most photos to show.
        cell: Side of one picture on the sheet, pixels, from 64 to 1024.

    Raises:
        ConfigError: If an input does not exist, or a number is out of range.
        ImageError: If a photo cannot be read.
        NothingToDoError: If there is no image among the inputs.
        MachineError: If the file cannot be written.
    """
    if limit < 1 or not SMALLEST_SIDE <= cell <= 1024:
        raise ConfigError(f"expected a limit from 1, a cell from 64 to 1024, got {limit}, {cell}")
    for path in (*inputs, output):
        if is_stored(path):
            raise ConfigError(f"--sheet: expected photos and a PNG on a disk, got {spelled(path)}")
    if output.suffix.lower() != ".png":
        raise ConfigError(f"--sheet: expected a file name ending in .png, got {output.name!r}")
    sources, _ = resolve_inputs(inputs)
    every = [item.path for item in find_images(sources)]
    if not every:
        raise NothingToDoError(f"no image found in {', '.join(map(str, inputs))}")
    if any(path.resolve() == output.resolve() for path in every):
        raise ConfigError(f"--sheet {output}: expected another file than the photos that it shows")
    found = every[:limit]
    write_png(output, render([read_rgb(path) for path in found], seed=seed, cell=cell))
    return output


def default_output(inputs: Sequence[Path], task: str) -> Path:
    """Return a folder in the current one, named after the first input and the task."""
    first = inputs[0].resolve()
    return Path(f"{first.stem if first.is_file() else first.name}_{task}")


def _recorded(
    results: Iterator[Degraded],
    record: AbstractContextManager[ManifestWriter],
    target: Path,
    shard: Shard | None,
) -> Iterator[Degraded]:
    if shard is None:  # the unfinished files of other parts may be those of other machines
        remove_leftovers(target)
    with record as manifest:
        for result in results:
            if result.status != "skipped":
                manifest.append(relocated(result.to_json(), target))
            yield result
