"""How the review page and the reverts that follow it are shown."""

from collections import Counter
from pathlib import Path

from faceren.commands.review import RevertRun, report
from faceren.console import Screen
from faceren.show.report import print_json


def show_report(
    output: Path, screen: Screen, *, max_pixels: int | None = None, workers: int = 0
) -> int:
    """Write the review page of a run and say what is gone; return the exit status."""
    review = report(output, max_pixels=max_pixels, workers=workers)
    for note in review.notes:
        screen.say(f"warning: {note}")
    screen.say(f"{review.photos} photos; wrote {review.page}")
    return 0


def show_revert(
    run: RevertRun, screen: Screen, output: Path, *, as_json: bool, with_report: bool
) -> int:
    """Show a revert as it goes on; return the exit status.

    Args:
        run: The planned revert; iterating over its results does the work.
        screen: Where messages go.
        output: The folder of the run.
        as_json: Print the new line of each photo on stdout.
        with_report: Write the review page anew.
    """
    counts: Counter[str] = Counter()
    for taken in screen.progress(run.results, run.total, "photos"):
        counts[taken.outcome] += 1
        if as_json:
            print_json(taken.line)
        if taken.outcome == "failed":
            screen.error(taken.reason)
        elif taken.reason:
            screen.say(taken.reason)
    parts = [f"the original is back in {counts['reverted']}"]
    parts += [f"{counts['unchanged']} had it already"] * bool(counts["unchanged"])
    parts += [f"{counts['failed']} failed"] * bool(counts["failed"])
    screen.say(f"{run.total} photos: {', '.join(parts)}; in {output}")
    if with_report:
        screen.say(f"wrote {report(output, check='there').page}")
    return 1 if counts["failed"] else 0
