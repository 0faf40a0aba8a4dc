"""Restore photos: the whole run, from inputs to manifest."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import faceren
from faceren.assets import DEFAULT_MODEL, model_path
from faceren.commands.review import PagePictures, open_to_change, recorded_jobs, reported
from faceren.files import remove_leftovers
from faceren.images import DEFAULT_MAX_PIXELS
from faceren.report.review import pictures_of
from faceren.restoration.options import RestoreOptions
from faceren.restoration.photo import tools_for
from faceren.restoration.pipeline import AUTOMATIC_WORKERS, DEFAULT_MAX_MEMORY, Pipeline
from faceren.restoration.results import PhotoResult, done_before
from faceren.runs.lists import given_faces, read_boxes
from faceren.runs.manifest import MANIFEST_NAME, Line, Manifest, ManifestWriter
from faceren.runs.plan import Job, check_output, listed, make_plan, resolve_inputs
from faceren.runs.resume import earlier_run, set_aside


@dataclass(frozen=True)
class RestoreRun:
    """A planned run: how many photos, and their results as they come."""

    total: int
    shipped_samples: bool
    """The package's own samples stand in for a ``sample_photos`` that is not there."""
    results: Iterator[PhotoResult]


def restore(
    inputs: Sequence[Path],
    output: Path,
    *,
    model: str = DEFAULT_MODEL,
    options: RestoreOptions | None = None,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int | None = None,
    workers: int = 0,
    max_pixels: int | None = None,
    max_memory: int | None = None,
    exclude: Sequence[str] = (),
    only: Sequence[str] | None = None,
    overwrite: bool = False,
    retry_failed: bool = False,
    save_faces: bool = False,
    boxes: Path | None = None,
    weights_dir: Path | None = None,
    offline: bool = False,
    dry_run: bool = False,
    report: bool = False,
) -> RestoreRun:
    """Plan a restoration; iterating over ``results`` does the work.

    Everything that can be wrong with the request is found before the first photo is touched.

    Args:
        inputs: Photos and folders; none with ``only`` means those of the earlier runs into
            ``output``.
        output: Folder of the outputs and of ``manifest.jsonl``.
        model: A shipped model's name or the path of a checkpoint.
        options: What to do with each photo.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        batch_size: Most faces in a pass of the network.
        workers: Threads beside the network; 0 is automatic.
        max_pixels: Refuse larger photos, and larger outputs; default DEFAULT_MAX_PIXELS.
        max_memory: Bytes that photos may take while they are worked on, beside the program itself;
            one photo always may. Default DEFAULT_MAX_MEMORY.
        exclude: Glob patterns of relative paths to leave out.
        only: Restore only these outputs or inputs.
        overwrite: Do everything anew.
        retry_failed: Try again what failed before.
        boxes: File of faces that the detector missed (see ``runs.lists``).
        weights_dir: Folder of facexlib's weights; default ``faces.weights.default_folder()``.
        offline: Never download them.
        save_faces: Write the crops before and after to ``output/faces``.
        dry_run: Yield ``planned`` (or ``skipped``) results and do nothing.
        report: Write the review page at the end.

    Raises:
        ConfigError: If inputs, outputs or options make no sense.
        NothingToDoError: If there is no image.
        MachineError: If weights or device are not there, or the output cannot be written.
    """
    options = options or RestoreOptions()
    jobs, shipped = _jobs(inputs, output, options, exclude=exclude, only=only)
    given = given_faces(jobs, read_boxes(boxes)) if boxes is not None else {}
    if only is not None:
        jobs = list(listed(jobs, only))
    from faceren.inference import load_restorer  # here: torch takes seconds to load

    restorer = load_restorer(
        model_path(model),
        device=device,
        precision=precision,
        batch_size=batch_size,
        ensemble=options.ensemble,
    )
    pipeline = Pipeline(
        restorer=restorer,
        options=options,
        max_pixels=max_pixels or DEFAULT_MAX_PIXELS,
        workers=workers or AUTOMATIC_WORKERS,
        max_memory=max_memory or DEFAULT_MAX_MEMORY,
        tools=tools_for(options, restorer, weights_dir, offline=offline),
        given=given,
        save_faces=save_faces,
        watcher=PagePictures(pictures_of(output)) if report and not dry_run else None,
    )
    manifest = Manifest() if overwrite else earlier_run(output, "restore")
    if only is not None:
        manifest = open_to_change(manifest)
    header: Line = {
        "tool": f"faceren {faceren.__version__}",
        "command": "restore",
        "model": restorer.checkpoint.info.name or model,
        "model_option": model,
        "weights_sha256": restorer.checkpoint.sha256,
        "self_ensemble": restorer.self_ensemble,
        "options": asdict(options),
    }
    results = (
        _planned(jobs, manifest, pipeline, retry_failed=retry_failed)
        if dry_run
        else _work(
            jobs,
            pipeline,
            manifest,
            output / MANIFEST_NAME,
            header,
            retry_failed=retry_failed,
            chosen=only is not None,
        )
    )
    if report and not dry_run:
        results = reported(results, output, max_pixels=max_pixels, workers=workers)
    return RestoreRun(len(jobs), shipped, results)


def _jobs(
    inputs: Sequence[Path],
    output: Path,
    options: RestoreOptions,
    *,
    exclude: Sequence[str],
    only: Sequence[str] | None,
) -> tuple[list[Job], bool]:
    """Return the photos of the run, and whether the shipped samples are part of them."""
    if only is not None and not inputs:
        jobs, shipped = recorded_jobs(output), False
        check_output([job.source for job in jobs], output, exclude)
    else:
        sources, shipped = resolve_inputs(inputs)
        check_output(sources, output, exclude)
        jobs = make_plan(sources, output, file_format=options.format, exclude=exclude)
    return jobs, shipped


def _planned(
    jobs: Sequence[Job], manifest: Manifest, pipeline: Pipeline, *, retry_failed: bool
) -> Iterator[PhotoResult]:
    for job in jobs:
        done = done_before(job, manifest, pipeline.settings(job), retry_failed=retry_failed)
        yield done or PhotoResult(
            source=job.source, output=job.output, key=job.key, status="planned"
        )


def _work(
    jobs: Sequence[Job],
    pipeline: Pipeline,
    manifest: Manifest,
    path: Path,
    header: Line,
    *,
    retry_failed: bool,
    chosen: bool,
) -> Iterator[PhotoResult]:
    mark = {"chosen": True} if chosen else {}  # what --only chose stays in runs over everything
    todo = []
    for job in jobs:
        done = done_before(job, manifest, pipeline.settings(job), retry_failed=retry_failed)
        if done is None:
            todo.append(job)
        else:
            yield done
    remove_leftovers(path.parent)  # those of crops and of the page's pictures too
    if not todo:
        return
    with ManifestWriter(path, header) as writer:
        for result in pipeline.run(todo):
            if result.status == "failed" and (note := set_aside(path.parent, result.key)):
                result = replace(result, reason=f"{result.reason}; {note}")
            writer.append(result.to_json() | mark)
            yield result
