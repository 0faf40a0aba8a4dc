"""How a restoration is shown."""

from collections import Counter
from pathlib import Path

from faceren.commands.restore import RestoreRun
from faceren.console import Screen
from faceren.restoration.results import PhotoResult
from faceren.show.report import print_json


def show_restoration(run: RestoreRun, screen: Screen, output: Path, *, as_json: bool) -> int:
    """Show a restoration as it goes on; return the exit status.

    Args:
        run: The planned run; iterating it does the work.
        screen: Where messages go.
        output: The output folder, for the last line.
        as_json: Print one JSON object a photo on stdout.
    """
    if run.shipped_samples:
        screen.say("sample_photos is not here: restoring the samples that ship with faceren")
    counts: Counter[str] = Counter()
    faces = 0
    for photo in screen.progress(run.results, run.total, "photos"):
        counts[photo.previous or photo.status] += 1
        counts["unchanged"] += photo.status == "skipped"
        faces += len(photo.faces)
        if as_json:
            print_json(photo.to_json())
        _mention(photo, screen)
    screen.say(_summary(run.total, counts, faces, output))
    return 1 if counts["failed"] else 0


def _mention(photo: PhotoResult, screen: Screen) -> None:
    if "failed" in (photo.status, photo.previous):
        screen.error(photo.reason)
    elif photo.status == "planned":
        screen.say(f"would restore {photo.source} to {photo.output}")


def _summary(total: int, counts: Counter[str], faces: int, output: Path) -> str:
    if counts["planned"]:
        return f"{counts['planned']} of {total} photos would be restored, nothing was done"
    parts = [f"{counts['restored']} restored"]
    parts += [f"{counts['no_face']} without a face"] * bool(counts["no_face"])
    parts += [f"{counts['reverted']} kept as it was"] * bool(counts["reverted"])
    parts += [f"{counts['failed']} failed"] * bool(counts["failed"])
    text = f"{total} photos: {', '.join(parts)}"
    if counts["unchanged"] == total:
        return f"{text}; nothing has changed since the last run, nothing was recomputed"
    if counts["unchanged"]:
        text += f"; {counts['unchanged']} unchanged since the last run"
    return f"{text}; {faces} faces now, in {output}"


def show_stream(photo: PhotoResult, screen: Screen) -> int:
    """Say what became of the photo that went to stdout; return the exit status."""
    if photo.status == "failed":
        screen.error(photo.reason)
        return 1
    screen.say(f"{photo.status.replace('_', ' ')}: {len(photo.faces)} faces")
    return 0
