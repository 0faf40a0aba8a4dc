"""Degrade clean photos: the whole run, from inputs to manifest, and the sheet of all tasks."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import faceren
from faceren.checks import Json
from faceren.commands.options import DegradeOptions
from faceren.degradation import check_task
from faceren.degradation.files import (
    SMALLEST_SIDE,
    Degraded,
    DegradeSettings,
    degrade_files,
    render,
)
from faceren.degradation.planning import COMMAND, library_versions, plan_draws, plan_replay
from faceren.errors import ConfigError, NothingToDoError
from faceren.files import remove_leftovers
from faceren.images import DEFAULT_MAX_PIXELS, find_images, read_rgb, write_png
from faceren.runs.folder import check_places, check_replaced, writing
from faceren.runs.manifest import MANIFEST_NAME, ManifestWriter
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
    inputs: Sequence[Path], output: Path | None = None, options: DegradeOptions = DegradeOptions()
) -> DegradeRun:
    """Plan a run; iterating over it writes the damaged twins as PNG, and ``manifest.jsonl``.

    Everything that can be wrong with the request is found before the first photo is touched. What
    an earlier run into the same folder made, from the same clean bytes with the same settings, is
    skipped.

    Args:
        inputs: Clean photos and folders; sub-folders are mirrored.
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
    sources, _ = resolve_inputs(inputs)
    target = output or default_output(sources, task or "replay")
    check_output(sources, target, options.exclude)
    found = list(find_images(sources, options.exclude, but=target))[: options.limit]
    if not found:
        raise NothingToDoError(f"no image found in {', '.join(map(str, inputs))}")
    if options.replay is not None:
        jobs, warning = plan_replay(found, target, options.replay)
    else:
        settings = DegradeSettings(
            task=task or "",
            seed=options.seed,
            size=None if options.size == "keep" else options.size,
            compat=tuple(sorted(options.compat)),
        )
        jobs, warning = plan_draws(found, target, settings, copies), ""
    check_places(target)
    recorded = earlier_run(target, COMMAND)
    check_replaced(jobs, target, recorded.items, [item.path for item in found])
    earlier = {} if options.overwrite else recorded.items
    jobs = [replace(job, max_pixels=options.max_pixels or DEFAULT_MAX_PIXELS) for job in jobs]
    # a process takes seconds to start: automatically, each must have something to do
    workers = options.workers or min(os.cpu_count() or 1, 1 + len(jobs) // 32)
    results = degrade_files(jobs, earlier, workers)
    results = _recorded(results, target, header_of(options), [job.key for job in jobs])
    return DegradeRun(len(jobs), target, warning, results)


def header_of(options: DegradeOptions) -> Json:
    """Return the header of a run's manifest."""
    replayed = options.replay and str(options.replay)
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
    sources, _ = resolve_inputs(inputs)
    found = [item for item, _ in zip(find_images(sources), range(limit), strict=False)]
    if not found:
        raise NothingToDoError(f"no image found in {', '.join(map(str, inputs))}")
    write_png(output, render([read_rgb(item.path) for item in found], seed=seed, cell=cell))
    return output


def default_output(inputs: Sequence[Path], task: str) -> Path:
    """Return a folder in the current one, named after the first input and the task."""
    first = inputs[0].resolve()
    return Path(f"{first.stem if first.is_file() else first.name}_{task}")


def _recorded(
    results: Iterator[Degraded], target: Path, header: Json, keys: Sequence[str]
) -> Iterator[Degraded]:
    remove_leftovers(target)
    with writing(target, keys), ManifestWriter(target / MANIFEST_NAME, header) as manifest:
        for result in results:
            if result.status != "skipped":
                manifest.append(result.to_json())
            yield result
