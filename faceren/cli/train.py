"""``faceren train``: what a training run says while it goes on."""

import dataclasses
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated

from typer import Argument, Exit, Option

from faceren.cli.parameters import Json, Quiet
from faceren.cli.screen import Screen
from faceren.commands.options import Device
from faceren.training.events import Event, Finished, Progress, Reading, Saved, Started, Validated


def train(
    *,
    recipe: Annotated[Path, Argument(help="Recipe, a YAML file.")],
    output: Annotated[Path | None, Option("--output", "-o", help="Default runs/NAME.")] = None,
    override: Annotated[tuple[str, ...], Option("--override", "-O", help="As train.lr=1e-4.")] = (),
    allow_change: Annotated[bool, Option(help="Resume though inputs changed.")] = False,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a network as a recipe says; the same command resumes."""
    from faceren.commands import train as command

    events = command.train(
        recipe, overrides=override, output=output, device=device, allow_change=allow_change
    )
    raise Exit(show_training(events, Screen(quiet=quiet, as_json=json)))


def show_training(events: Iterator[Event], screen: Screen) -> int:
    """Show a training run as it goes on; return the exit status."""
    with screen.bar("images read") as on_progress:
        for first in events:
            if not isinstance(first, Reading):
                break
            on_progress(first.done, first.total)
    status = 0
    with screen.bar("images") as on_progress:
        for event in chain([first], events):
            if isinstance(event, Started):
                started = event
            elif isinstance(event, Progress):
                on_progress(event.images_seen, _images_in_all(event, started))
            if not isinstance(event, Progress) or event.logged:
                screen.item({"event": type(event).__name__} | dataclasses.asdict(event))
            for line in _lines_of(event):
                screen.say(line)
            if isinstance(event, Finished) and event.interrupted:
                status = 130
    return status


def _images_in_all(event: Progress, started: Started) -> int:
    """Return how many images the run will have seen at its end, as it goes now."""
    done = 1e-9
    if started.steps is not None:
        done = event.step / started.steps
    if started.minutes is not None:
        done = max(done, 1 - event.eta_seconds / (60 * started.minutes))
    return round(event.images_seen / done)


def _lines_of(event: Event) -> Iterator[str]:
    if isinstance(event, Started):
        yield (
            f"{event.parameters:,} parameters, {event.images} images, {event.device} "
            f"{event.precision}, from step {event.step}; run folder {event.folder}"
        )
        yield from event.notes
        yield from (f"skipped: {reason}" for reason in event.skipped)
    elif isinstance(event, Progress) and event.logged:
        parts = "  ".join(f"{name} {value:.4f}" for name, value in event.parts.items())
        yield (
            f"step {event.step}  {event.images_seen} images  {parts}  lr {event.lr:.2g}  "
            f"{event.images_per_second:.1f} images/s  data {event.data_share:.0%}  "
            f"{event.eta_seconds / 60:.0f} min left"
        )
    elif isinstance(event, Validated):
        for task, scores in event.scores.items():
            before = event.input_scores[task]
            pairs = (
                f"{name} {value:.4f} (input {before[name]:.4f})" for name, value in scores.items()
            )
            yield f"validation, {task}: {', '.join(pairs)}{', best so far' if event.best else ''}"
    elif isinstance(event, Saved):
        yield f"saved {event.path}"
    elif isinstance(event, Finished):
        state = "interrupted" if event.interrupted else "finished"
        yield f"{state} at step {event.step}, {event.images_seen} images: {event.weights}"
