"""``faceren degrade``: damaged twins of clean photos, or a sheet of all kinds of damage."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Exit, Option

from faceren.cli.parameters import Json, Quiet
from faceren.cli.screen import Screen
from faceren.commands.options import DegradeOptions
from faceren.errors import MachineError

if TYPE_CHECKING:
    from faceren.commands.degrade import DegradeRun


def degrade(
    *,
    inputs: Annotated[
        tuple[Path, ...], Argument(help="Clean photos and folders.", metavar="INPUT...")
    ],
    output: Annotated[Path | None, Option("--output", "-o", help="Default INPUT_TASK.")] = None,
    options: DegradeOptions,
    sheet: Annotated[Path | None, Option(help="Only write a PNG that shows all tasks.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make damaged twins of clean photos, with a manifest of every drawn parameter."""
    from faceren.commands import degrade as command

    screen = Screen(quiet=quiet, as_json=json)
    if sheet is not None:
        screen.say(f"wrote {command.sheet(inputs, sheet, seed=options.seed)}")
        raise Exit
    raise Exit(show_degradation(command.degrade(inputs, output, options), screen))


def show_degradation(run: "DegradeRun", screen: Screen) -> int:
    """Show a degradation as it goes on; return the exit status."""
    if run.warning:
        screen.say(f"warning: {run.warning}")
    counts: Counter[str] = Counter()
    try:
        for twin in screen.progress(run, len(run), "photos"):
            counts[twin.status] += 1
            screen.item(twin.to_json())
            counts["different"] += twin.status == "degraded" and bool(twin.reason)
            if twin.reason:  # failed, or replayed to other bytes
                screen.error(twin.reason)
    except (MachineError, OSError):
        done = counts["degraded"] + counts["skipped"]
        screen.say(f"{done:,} of {len(run):,} photos are done; the same command goes on")
        raise
    parts = [f"{counts[status]} {status}" for status in ("degraded", "skipped", "failed")]
    screen.say(f"{len(run)} photos: {', '.join(parts)}; in {run.output}")
    return 1 if counts["failed"] or counts["different"] else 0
