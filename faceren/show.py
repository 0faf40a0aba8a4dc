"""How the commands show their results: tables and lines on stderr, JSON on stdout."""

import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faceren.commands.degrade import DegradeRun
from faceren.commands.restore import RestoreRun
from faceren.console import Screen
from faceren.restoration.results import PhotoResult
from faceren.training.events import Event, Finished, Progress, Saved, Started, Validated


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
            _print_json(photo.to_json())
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
    parts += [f"{counts['failed']} failed"] * bool(counts["failed"])
    text = f"{total} photos: {', '.join(parts)}"
    if counts["unchanged"] == total:
        return f"{text}; nothing has changed since the last run, nothing was recomputed"
    if counts["unchanged"]:
        text += f"; {counts['unchanged']} unchanged since the last run"
    return f"{text}; {faces} faces now, in {output}"


def show_degradation(run: DegradeRun, screen: Screen, *, as_json: bool) -> int:
    """Show a degradation as it goes on; return the exit status."""
    if run.warning:
        screen.say(f"warning: {run.warning}")
    counts: Counter[str] = Counter()
    for twin in screen.progress(run, len(run), "photos"):
        counts[twin.status] += 1
        if as_json:
            _print_json(twin.to_json())
        if twin.status == "failed":
            screen.error(twin.reason)
    parts = [f"{counts[status]} {status}" for status in ("degraded", "skipped", "failed")]
    screen.say(f"{len(run)} photos: {', '.join(parts)}; in {run.output}")
    return 1 if counts["failed"] else 0


def show_training(events: Iterator[Event], screen: Screen, *, as_json: bool) -> int:
    """Show a training run as it goes on; return the exit status."""
    status = 0
    for event in events:
        if as_json and not (isinstance(event, Progress) and not event.logged):
            _print_json({"event": type(event).__name__} | dataclasses.asdict(event))
        for line in _lines_of(event):
            screen.say(line)
        if isinstance(event, Finished) and event.interrupted:
            status = 130
    return status


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
            pairs = (f"{name} {value:.4f} (input {before[name]:.4f})" for name, value in scores.items())
            yield f"validation, {task}: {', '.join(pairs)}{', best so far' if event.best else ''}"
    elif isinstance(event, Saved):
        yield f"saved {event.path}"
    elif isinstance(event, Finished):
        state = "interrupted" if event.interrupted else "finished"
        yield f"{state} at step {event.step}, {event.images_seen} images: {event.weights}"


def _print_json(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()
