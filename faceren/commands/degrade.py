"""Degrade clean photos: the whole run, from inputs to manifest, and the sheet of all tasks."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import faceren
from faceren.degradation import NATIVE_SIZE, check_task
from faceren.degradation.files import (
    SMALLEST_SIDE,
    Degraded,
    DegradeSettings,
    degrade_files,
)
from faceren.degradation.planning import COMMAND, library_versions, plan_draws, plan_replay
from faceren.degradation.sheet import render
from faceren.errors import ConfigError, NothingToDoError
from faceren.images import DEFAULT_MAX_PIXELS, find_images, read_rgb, write_png
from faceren.runs.manifest import MANIFEST_NAME, Line, ManifestWriter
from faceren.runs.plan import check_output, resolve_inputs
from faceren.runs.resume import earlier_run


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
    inputs: Sequence[Path],
    output: Path | None = None,
    *,
    task: str | None = None,
    seed: int = 0,
    size: int | None = NATIVE_SIZE,
    copies: int = 1,
    replay: Path | None = None,
    compat: Sequence[str] = (),
    exclude: Sequence[str] = (),
    limit: int | None = None,
    overwrite: bool = False,
    workers: int = 0,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> DegradeRun:
    """Plan a run; iterating over it writes the damaged twins as PNG, and ``manifest.jsonl``.

    Everything that can be wrong with the request is found before the first photo is touched. What
    an earlier run into the same folder made, from the same clean bytes with the same settings, is
    skipped.

    Args:
        inputs: Clean photos and folders; sub-folders are mirrored.
        output: Folder of the outputs; by default the first input's name with the task appended.
        task: One of ``faceren.degradation.TASKS``; not with ``replay``.
        seed: Of the run; each copy of each photo has its own (``item_seed``).
        size: Shorter side of the outputs, pixels, at least 64; None keeps each photo's.
        copies: Outputs per photo, numbered ``_1``, ``_2``… if more than one.
        replay: A manifest of this command: do what it says again, byte for byte.
        compat: Any of ``faceren.degradation.COMPAT``.
        exclude: Glob patterns of relative paths to leave out.
        limit: The first so many photos only.
        overwrite: Make everything anew.
        workers: Processes; 0 is automatic (fewer for a few photos), 1 works in this process.
        max_pixels: Refuse larger photos.

    Raises:
        ConfigError: If inputs, output, options or the manifest make no sense.
        NothingToDoError: If there is no image among the inputs.
        MachineError: If the output cannot be written.
    """
    _check_options(task, replay, compat, size, copies)
    sources, _ = resolve_inputs(inputs)
    target = output or default_output(sources, task or "replay")
    check_output(sources, target, exclude)
    found = list(find_images(sources, exclude))[:limit]
    if not found:
        raise NothingToDoError(f"no image found in {', '.join(map(str, inputs))}")
    if replay is None:
        compatible = tuple(sorted(compat))
        settings = DegradeSettings(task=task or "", seed=seed, size=size, compat=compatible)
        jobs, warning = plan_draws(found, target, settings, copies), ""
    else:
        jobs, warning = plan_replay(found, target, replay)
    header: Line = {
        "tool": f"faceren {faceren.__version__}",
        "command": COMMAND,
        "libraries": library_versions(),
        "options": {"task": task, "seed": seed, "size": size, "copies": copies}
        | {"compat": sorted(compat), "replay": replay and str(replay)},
    }
    earlier = {} if overwrite else earlier_run(target, COMMAND).items
    jobs = [replace(job, max_pixels=max_pixels) for job in jobs]
    # a process takes seconds to start: automatically, each must have something to do
    workers = workers or min(os.cpu_count() or 1, 1 + len(jobs) // 32)
    results = degrade_files(jobs, earlier, workers)
    return DegradeRun(len(jobs), target, warning, _recorded(results, target, header))


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
    sources, _ = resolve_inputs(inputs)
    found = [item for item, _ in zip(find_images(sources), range(limit), strict=False)]
    if not found:
        raise NothingToDoError(f"no image found in {', '.join(map(str, inputs))}")
    write_png(output, render([read_rgb(item.path) for item in found], seed=seed, cell=cell))
    return output


def default_output(inputs: Sequence[Path], task: str) -> Path:
    """Return the folder beside the first input, named after it and the task."""
    first = inputs[0].resolve()
    return first.with_name(f"{first.stem if first.is_file() else first.name}_{task}")


def _check_options(
    task: str | None, replay: Path | None, compat: Sequence[str], size: int | None, copies: int
) -> None:
    if (task is None) == (replay is None):
        got = "both" if task else "neither"
        raise ConfigError(f"expected either --task or --replay (a manifest), got {got}")
    if task is not None:
        check_task(task, compat)
    if size is not None and size < SMALLEST_SIDE:
        raise ConfigError(f"size: expected at least {SMALLEST_SIDE} pixels, got {size}")
    if copies < 1:
        raise ConfigError(f"copies: expected at least 1, got {copies}")
    if copies > 1 and "offline-once" in compat:
        raise ConfigError(f"offline-once makes all {copies} copies the same; give --copies 1")


def _recorded(results: Iterator[Degraded], target: Path, header: Line) -> Iterator[Degraded]:
    with ManifestWriter(target / MANIFEST_NAME, header) as manifest:
        for result in results:
            if result.status != "skipped":
                manifest.append(result.to_json())
            yield result
