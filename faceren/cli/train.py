"""``faceren train``: what a training run says while it goes on."""

import dataclasses
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Annotated, NoReturn

from typer import Argument, Exit, Option

from faceren.cli.parameters import Verbose
from faceren.cli.screen import Screen, ScreenOptions, counted, end_log
from faceren.commands.options import Device
from faceren.errors import MachineError, not_installed
from faceren.training.events import Event, Finished, Progress, Reading, Saved, Started, Validated


def train(
    *,
    recipe: Annotated[
        Path, Argument(help="Recipe: a YAML file, or the name of one that ships with faceren.")
    ],
    output: Annotated[Path | None, Option("--output", "-o", help="Default runs/NAME.")] = None,
    override: Annotated[tuple[str, ...], Option("--override", "-O", help="As train.lr=1e-4.")] = (),
    allow_change: Annotated[bool, Option(help="Resume though inputs changed.")] = False,
    device: Device = "auto",
    verbose: Verbose = False,
    shown: ScreenOptions,
) -> None:
    """Train a network as a recipe says; the same command resumes."""
    # the first that is missing otherwise is torch, whose extra alone would not do
    if find_spec("lightning_fabric") is None:
        raise MachineError(f"train needs {not_installed('lightning_fabric')}")
    from faceren.commands import train as command

    events = command.train(
        recipe, overrides=override, output=output, device=device, allow_change=allow_change
    )
    status = show_training(events, shown.screen(), verbose=verbose)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        _end(status)
    raise Exit(status)


def _end(status: int) -> NoReturn:
    """End a process of several, without Python's clearing up.

    That races with a thread of torch's gloo (2.13 and 2.15). Of processes that end right after the
    last answer one in four was aborted by it ("terminate called without an active exception"), and
    ``torchrun`` then says of a training that it failed, and kills the first process in its saving.
    """
    end_log()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def show_training(events: Iterator[Event], screen: Screen, *, verbose: bool = False) -> int:
    """Show a training run as it goes on; return the exit status."""
    first = next(events, None)
    if first is None:  # a process that only helps: the first one tells what happens
        return 0
    with screen.bar("images read") as on_progress:
        while isinstance(first, Reading):
            on_progress(first.done, first.total)
            first = next(events)
    status = 0
    with screen.bar("images") as on_progress:
        for event in chain([first], events):
            if isinstance(event, Started):
                started = event
            elif isinstance(event, Progress):
                done = 1e-9
                if started.steps is not None:
                    done = event.step / started.steps
                if started.minutes is not None:
                    done = max(done, 1 - event.eta_seconds / (60 * started.minutes))
                on_progress(event.images_seen, round(event.images_seen / done))
            if not isinstance(event, Progress) or event.logged:
                screen.item({"event": type(event).__name__} | dataclasses.asdict(event))
            for line in _lines_of(event, verbose=verbose):
                screen.say(line)
            if isinstance(event, Finished) and event.interrupted:
                status = 130
    return status


def _lines_of(event: Event, *, verbose: bool) -> Iterator[str]:
    """Yield what is said of an event, in lines of 80 columns unless ``verbose``."""
    if isinstance(event, Started):
        yield (
            f"{event.parameters:,} parameters, {counted(event.images, 'image')}, {event.device} "
            f"{event.precision}, from step {event.step}"
        )
        yield f"run folder {event.folder}"
        yield from event.notes
        yield from (f"skipped: {reason}" for reason in event.skipped)
    elif isinstance(event, Progress) and event.logged:
        yield (
            f"step {event.step}  loss {event.loss:.4f}  {event.images_per_second:.1f} images/s  "
            f"{event.eta_seconds / 60:.0f} min left"
        )
        if verbose:
            parts = "  ".join(f"{name} {value:.4f}" for name, value in event.parts.items())
            yield (
                f"  {event.images_seen} images  {parts}  lr {event.lr:.2g}  "
                f"data {event.data_share:.0%}"
            )
    elif isinstance(event, Validated):
        yield f"validation{', best so far' if event.best else ''}; the input's in parentheses:"
        for task, scores in event.scores.items():
            before = event.input_scores[task]
            pairs = (
                f"{name} {figure(name, value)} ({figure(name, before[name])})"
                for name, value in scores.items()
            )
            yield f"  {task}: {'  '.join(pairs)}"
    elif isinstance(event, Saved):
        yield f"saved {event.path}"
    elif isinstance(event, Finished):
        state = "interrupted" if event.interrupted else "finished"
        images = counted(event.images_seen, "image")
        yield f"{state} at step {event.step}, {images}: {event.weights}"


def figure(metric: str, value: float) -> str:
    """Return a figure short enough for four of a line."""
    return f"{value:.{2 if metric == 'psnr' else 3}f}"
