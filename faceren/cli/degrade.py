"""``faceren degrade``: damaged twins of clean photos, or a sheet of all kinds of damage."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Exit, Option

from faceren.cli.screen import Screen, ScreenOptions, counted
from faceren.cli.undo import show_merge
from faceren.commands.options import MACHINE, DegradeOptions
from faceren.errors import MachineError
from faceren.runs.storage import STORED, spelled

LIST = "list"
"""In place of a name: show all of them."""
TASK_WORDS = {
    "sr4x": "shrunk to a quarter and enlarged (paper)",
    "hallucination": "blocks of 16 x 16 pixels (paper)",
    "denoise": "noise (paper)",
    "deblur": "blur (paper)",
    "jpeg": "JPEG of low quality (paper)",
    "full": "blur, noise, JPEG and shrinking to an eighth to a quarter, in any order (paper)",
    "small": "noise and JPEG in a small picture that was enlarged afterwards",
    "historic": "any kind of old photograph",
    "daguerreotype-1850": "a tarnished plate",
    "cabinet-card-1880": "an albumen print, faded and stained",
    "newsprint-1920": "a halftone on newspaper",
    "snapshot-1940": "a small gelatin print",
    "faded-colour-1970": "a colour print whose dyes have gone",
    "worn": "a print with scratches, cracks, dust, tape and writing",
    "mixed": "what training draws: from almost clean to full",
}
"""Of ``--task``."""

if TYPE_CHECKING:
    from faceren.commands.degrade import DegradeRun


def degrade(
    *,
    inputs: Annotated[
        tuple[Path, ...],
        Argument(help="Clean photos and folders.", metavar="INPUT...", show_default=False),
        STORED,
    ] = (),
    output: Annotated[
        Path | None,
        Option("--output", "-o", help="Default INPUT_TASK in the current folder.", metavar="OUT"),
        STORED,
    ] = None,
    options: DegradeOptions,
    sheet: Annotated[Path | None, Option(help="Only write a PNG that shows all tasks.")] = None,
    merge: Annotated[
        bool,
        Option(
            help="Join what all parts of a --shard run have made; the inputs are their folders.",
            rich_help_panel=MACHINE,
        ),
    ] = False,
    shown: ScreenOptions,
) -> None:
    """Make damaged twins of clean photos; a manifest says how."""
    from faceren.commands import degrade as command

    screen = shown.screen()
    if options.task == LIST:
        raise Exit(show_tasks(screen))
    if merge:
        raise Exit(show_merge(inputs, output, "degrade", screen)[1])
    if sheet is not None:
        screen.say(f"wrote {command.sheet(inputs, sheet, seed=options.seed)}")
        raise Exit
    run = command.degrade(inputs, output, options)
    status = show_degradation(run, screen)
    if options.shard:
        screen.say(f"when all parts have ended: faceren degrade --merge {spelled(run.output)}")
    raise Exit(status)


def show_tasks(screen: Screen) -> int:
    """List the tasks by name; return the exit status."""
    for name, words in TASK_WORDS.items():
        screen.item({"task": name, "does": words})
        if not screen.as_json:
            screen.show([f"{name:<20}{words}"])
    return 0


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
        screen.say(f"{done:,} of {len(run):,} photos done; the same command goes on")
        raise
    parts = [f"{counts[status]} {status}" for status in ("degraded", "skipped", "failed")]
    screen.say(f"{counted(len(run), 'photo')}: {', '.join(parts)}; in {spelled(run.output)}")
    return 1 if counts["failed"] or counts["different"] else 0
