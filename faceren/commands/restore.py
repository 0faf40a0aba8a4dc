"""Restore photos: the whole run, from inputs to manifest."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import faceren
from faceren.assets import model_path
from faceren.errors import ConfigError
from faceren.faces.detection import check_detector
from faceren.images import DEFAULT_MAX_PIXELS
from faceren.inference import load_restorer
from faceren.manifest import MANIFEST_NAME, Line, Manifest, ManifestWriter, read_manifest
from faceren.restoration.options import RestoreOptions
from faceren.restoration.pipeline import Pipeline, unchanged
from faceren.restoration.plan import Job, check_output, listed, make_plan, resolve_inputs
from faceren.restoration.results import PhotoResult

DEFAULT_MODEL = "compact"


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
    exclude: Sequence[str] = (),
    only: Sequence[str] | None = None,
    overwrite: bool = False,
    retry_failed: bool = False,
    save_faces: bool = False,
    dry_run: bool = False,
) -> RestoreRun:
    """Plan a restoration; iterating over ``results`` does the work.

    Everything that can be wrong with the request is found before the first photo is touched.

    Args:
        inputs: Photos and folders.
        output: Folder of the outputs and of ``manifest.jsonl``.
        model: A shipped model's name or the path of a checkpoint.
        options: What to do with each photo.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        batch_size: Most faces in a pass of the network.
        workers: Threads beside the network; 0 is automatic.
        max_pixels: Refuse larger photos; default DEFAULT_MAX_PIXELS.
        exclude: Glob patterns of relative paths to leave out.
        only: Restore only these outputs or inputs.
        overwrite: Do everything anew.
        retry_failed: Try again what failed before.
        save_faces: Write the crops before and after to ``output/faces``.
        dry_run: Yield ``planned`` (or ``skipped``) results and do nothing.

    Raises:
        ConfigError: If inputs, outputs or options make no sense.
        NothingToDoError: If there is no image.
        MachineError: If weights or device are not there, or the output cannot be written.
    """
    options = options or RestoreOptions()
    sources, shipped = resolve_inputs(inputs)
    check_output(sources, output, exclude)
    jobs = make_plan(sources, output, file_format=options.format, exclude=exclude)
    if only is not None:
        jobs = list(listed(jobs, only))
    restorer = load_restorer(
        model_path(model), device=device, precision=precision, batch_size=batch_size
    )
    if not options.aligned:
        check_detector()
    pipeline = Pipeline(
        restorer=restorer,
        options=options,
        max_pixels=max_pixels or DEFAULT_MAX_PIXELS,
        workers=workers or 2,
        save_faces=save_faces,
    )
    manifest = Manifest() if overwrite else _earlier(output)
    header: Line = {
        "tool": f"faceren {faceren.__version__}",
        "command": "restore",
        "model": restorer.checkpoint.info.name or model,
        "weights_sha256": restorer.checkpoint.sha256,
        "options": dataclasses.asdict(options),
    }
    results = (
        _planned(jobs, manifest, pipeline.settings, retry_failed=retry_failed)
        if dry_run
        else _work(
            jobs, pipeline, manifest, output / MANIFEST_NAME, header, retry_failed=retry_failed
        )
    )
    return RestoreRun(len(jobs), shipped, results)


def _earlier(output: Path) -> Manifest:
    """Return the manifest of earlier runs into the same folder; an empty one if there is none."""
    path = output / MANIFEST_NAME
    manifest = read_manifest(path) if path.exists() else Manifest()
    command = manifest.header.get("command", "restore")
    if command != "restore":
        raise ConfigError(f"-o {output} holds the manifest of {command!r}; choose another folder")
    return manifest


def _planned(
    jobs: Sequence[Job], manifest: Manifest, settings: str, *, retry_failed: bool
) -> Iterator[PhotoResult]:
    for job in jobs:
        done = unchanged(job, manifest, settings, retry_failed=retry_failed)
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
) -> Iterator[PhotoResult]:
    todo = []
    for job in jobs:
        done = unchanged(job, manifest, pipeline.settings, retry_failed=retry_failed)
        if done is None:
            todo.append(job)
        else:
            yield done
    if not todo:
        return
    with ManifestWriter(path, header) as writer:
        for result in pipeline.run(todo):
            writer.append(result.to_json())
            yield result
