"""How a degradation is shown."""

from collections import Counter

from faceren.commands.degrade import DegradeRun
from faceren.console import Screen
from faceren.show.report import print_json


def show_degradation(run: DegradeRun, screen: Screen, *, as_json: bool) -> int:
    """Show a degradation as it goes on; return the exit status."""
    if run.warning:
        screen.say(f"warning: {run.warning}")
    counts: Counter[str] = Counter()
    for twin in screen.progress(run, len(run), "photos"):
        counts[twin.status] += 1
        if as_json:
            print_json(twin.to_json())
        counts["different"] += twin.status == "degraded" and bool(twin.reason)
        if twin.reason:  # failed, or replayed to other bytes
            screen.error(twin.reason)
    parts = [f"{counts[status]} {status}" for status in ("degraded", "skipped", "failed")]
    screen.say(f"{len(run)} photos: {', '.join(parts)}; in {run.output}")
    return 1 if counts["failed"] or counts["different"] else 0
