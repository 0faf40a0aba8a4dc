"""The review page of a restoration: every photo before and after, every face, every decision.

``OUT/report.html`` shows what ``OUT/manifest.jsonl`` records; its pictures lie in ``OUT/report/``,
and so do the further parts of a page of many photos.
"""

import os
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from faceren.checks import Json, whole_number
from faceren.config import ANOTHER_PERSON
from faceren.images import DEFAULT_MAX_PIXELS, shown
from faceren.pages.comparison import FULL_CHANGE, keys_of, left_in
from faceren.pages.entries import Check, Entry, drawn, entries_of, to_page
from faceren.pages.page import relative_url, rendered, write_page
from faceren.pages.pictures import Pictures
from faceren.runs.folder import PAGE_NAME, PICTURES_DIR, check_ours
from faceren.runs.manifest import MANIFEST_NAME, TORN, Manifest, is_torn

PER_FILE = 500
"""Photos that one HTML file shows; more are in further files, by name."""
STATUSES = {
    "restored": "restored",
    "no_face": "without a face",
    "failed": "failed",
    "reverted": "original kept",
}
WORDS = {
    "aligned": "Aligned crops",
    "faces": "Which faces",
    "min_face": "Narrowest face, pixels",
    "detector": "Found by",
    "detection_threshold": "Least confidence",
    "rotate": "Turned faces",
    "max_identity_distance": "Largest identity distance",
    "min_identity": "Largest identity distance",
    "working_size": "Faces seen at, pixels",
    "grain": "Grain of the photo",
    "ensemble": "Mirror image, too",
    "mask": "What is pasted",
    "color": "Chroma",
    "scale": "Enlarged",
}
"""What options are called on the page, where their own name says too little."""
STYLES = ("review.css",)
SHOWING = ("marks.js", "cards.js", "review.js")
SCRIPTS = ("compare.js", "zoom.js", "decisions.js", *SHOWING)
ACTING_SCRIPTS = ("compare.js", "zoom.js", "acting.js", *SHOWING, "drop.js")
"""Of the page that a server shows: what is ticked is done at once."""


@dataclass(frozen=True)
class Review:
    """What was written."""

    page: Path
    photos: int
    notes: tuple[str, ...]
    """What is gone, or could not be shown."""


def pictures_of(output: Path) -> Pictures:
    """Return the pictures of a run's page; ``comparison.draw`` can add some during the run."""
    return Pictures(output / PICTURES_DIR)


def write_review(
    output: Path,
    manifest: Manifest,
    *,
    check: Check = "bytes",
    commands: Mapping[str, str] | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    threads: int = 2,
) -> Review:
    """Write the review page of a run, and those of its pictures that are not there yet.

    Args:
        output: The folder that ``restore`` wrote.
        manifest: What it records, see ``read_run``.
        check: ``bytes`` reads every file to find those that have changed; ``there`` trusts those
            that exist.
        commands: What to tell people to run with an exported list, by ``keep``, ``weaker``,
            ``stronger``, ``faces`` and ``marks``; a missing one is not offered.
        max_pixels: Show no larger photos.
        threads: How many to read files with.

    Raises:
        MachineError: If the disk is full.
    """
    pictures = pictures_of(output)
    entries, notes = _looked_at(output, manifest, pictures, check, max_pixels, threads)
    write_parts(output, str(output.resolve()), entries, notes, manifest, pictures, commands or {})
    return Review(output / PAGE_NAME, len(entries), (*notes, *_notes(entries)))


def write_parts(
    output: Path,
    name: str,
    entries: Sequence[Entry],
    notes: Sequence[str],
    manifest: Manifest,
    pictures: Pictures,
    commands: Mapping[str, str],
) -> int:
    """Write the files of the page, and remove those that are too many; return how many there are.

    Args:
        output: Where to.
        name: What the folder is called, always the same.
        entries: The photos, sorted by name.
        notes: What is wrong with the record.
        manifest: The record.
        pictures: Of the photos.
        commands: See ``write_review``.
    """
    whole = _context(name, entries, manifest.main_header, ())
    parts = [entries[at : at + PER_FILE] for at in range(0, len(entries), PER_FILE)] or [[]]
    index = [_summary(number, part) for number, part in enumerate(parts, start=1)]
    for number, part in enumerate(parts, start=1):
        place = place_of(output, number)
        context = whole | _counts(part)
        context["notes"] = [*(notes if number == 1 else ()), *_notes(part)]
        context["commands"] = dict(commands)
        context["photos"] = [to_page(entry, pictures, place.parent) for entry in part]
        context["parts"] = _parts(number, index) if len(parts) > 1 else None
        if number > 1:
            check_ours(place.parent, {place.name})
        write_page(place, "review.html.j2", context, styles=STYLES, scripts=SCRIPTS)
    # Remove the parts of an earlier page that this one has not.
    after = len(parts)
    for page in (output / PICTURES_DIR).glob("part-*.html"):
        other = whole_number(page.stem.removeprefix("part-"))
        if other is not None and other > after:
            with suppress(OSError):  # it does no harm, and the next page tries again
                page.unlink()
    return len(parts)


def place_of(output: Path, number: int) -> Path:
    """Return where a part of the page is: ``OUT/report.html`` and its others beside the pictures.

    Args:
        output: The folder.
        number: Of the part, from 1.
    """
    return output / PAGE_NAME if number == 1 else output / PICTURES_DIR / f"part-{number}.html"


def _looked_at(
    output: Path,
    manifest: Manifest,
    pictures: Pictures,
    check: Check,
    max_pixels: int,
    threads: int,
) -> tuple[list[Entry], list[str]]:
    """Return the photos, their pictures drawn, and what is wrong with the record."""
    with ThreadPoolExecutor(threads) as pool:
        entries = entries_of(output, manifest, check, pool)
        entries = drawn(entries, pictures, max_pixels, pool)
    used = {key for entry in entries for key in keys_of(entry.line)}
    pictures.keep_only(used, {Path(entry.key).name for entry in entries})
    record = output / MANIFEST_NAME
    return entries, [*manifest.problems, *[TORN] * (record.exists() and is_torn(record))]


def _notes(entries: Sequence[Entry]) -> list[str]:
    return [f"{shown(entry.key)}: {note}" for entry in entries for note in entry.notes]


def review_context(
    output: Path, manifest: Manifest, *, check: Check, max_pixels: int, threads: int
) -> dict[str, Any]:
    """Return what the page of a server shows, and write the pictures that are not there yet.

    See ``write_review``.
    """
    pictures = pictures_of(output)
    entries, notes = _looked_at(output, manifest, pictures, check, max_pixels, threads)
    name = str(output.resolve())
    context = _context(name, entries, manifest.main_header, [*notes, *_notes(entries)])
    context["photos"] = [to_page(entry, pictures, output) for entry in entries]
    return context


def acting_page(context: Mapping[str, Any]) -> tuple[str, str]:
    """Return the page whose ticks act at once, as a server shows it, and its policy.

    Args:
        context: From ``review_context``.
    """
    # what may be asked for: the page offers nothing else
    commands = dict.fromkeys(("keep", "again", "weaker", "stronger", "faces", "marks"), "yes")
    filled = {**context, "commands": commands, "acts": True}
    return rendered("review.html.j2", filled, styles=STYLES, scripts=ACTING_SCRIPTS, connects=True)


def _context(
    name: str, entries: Sequence[Entry], header: Json, notes: Sequence[str]
) -> dict[str, Any]:
    faces = [face for entry in entries for face in entry.line.get("faces") or []]
    distances = [
        face["identity_distance"] for face in faces if face.get("identity_distance") is not None
    ]
    counts = _counts(entries)
    totals = [("Photos", f"{len(entries):,}")]
    totals += [(label.capitalize(), f"{count:,}") for _, label, count in counts["statuses"]]
    totals.append(("Faces", f"{len(faces):,}"))
    left = sum(len(left_in(entry.line)) for entry in entries)
    totals += [("Left alone", f"{left:,}")] if left else []
    if distances:
        beyond = sum(distance > ANOTHER_PERSON for distance in distances)
        totals.append(("Median identity distance", f"{statistics.median(distances):.2f}"))
        totals.append((f"Faces beyond {ANOTHER_PERSON}", f"{beyond:,}"))
    shown_first = [
        ("Tool", header.get("tool", "?")),
        ("Model", header.get("model", "?")),
        ("Weights, SHA-256", header.get("weights_sha256", "?")),
    ]
    shown_first += (header.get("options") or {}).items()
    settings = []
    for option, value in shown_first:
        words = option.replace("_", " ").capitalize() if option.islower() else option
        words = WORDS.get(option, words)
        text = "–" if value is None else str(value)
        if isinstance(value, bool):
            text = "yes" if value else "no"
        elif option == "scale":
            text = "twice, where faces are small" if value == "auto" else f"{value} times"
        settings.append((words, shown(text)))
    return counts | {
        "title": "Restored photographs",
        "subtitle": shown(Path(name).name),
        "run": sha256(name.encode("utf-8", "replace")).hexdigest()[:16],
        "totals": totals,
        "settings": settings,
        "strength": (header.get("options") or {}).get("strength"),
        "notes": notes,
        "another_person": ANOTHER_PERSON,
        "full_change": f"{FULL_CHANGE:.0%}",
        "acts": False,
        "parts": None,
    }


def _counts(entries: Sequence[Entry]) -> dict[str, Any]:
    """Return what can be chosen to be shown, and how many photos of each there are."""
    counts = Counter(str(entry.line.get("status")) for entry in entries)
    return {
        "statuses": [
            (name, label, counts[name]) for name, label in STATUSES.items() if counts[name]
        ],
        "with_left": sum(bool(left_in(entry.line)) for entry in entries),
    }


def _summary(number: int, part: Sequence[Entry]) -> dict[str, Any]:
    """Return the row of a part in the list of all parts."""
    faces = [face for entry in part for face in entry.line.get("faces") or []]
    return {
        "number": number,
        "first": shown(part[0].key) if part else "",
        "last": shown(part[-1].key) if part else "",
        "failed": sum(entry.line.get("status") == "failed" for entry in part),
        "beyond": sum((face.get("identity_distance") or 0) > ANOTHER_PERSON for face in faces),
        "noted": sum(bool(entry.notes) for entry in part),
    }


def _parts(number: int, index: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what a part shows of the others: the first names them all, each its neighbours."""
    inner = number > 1

    def url(other: int) -> str | None:
        if not 1 <= other <= len(index):
            return None
        here, there = place_of(Path(), number).parent, place_of(Path(), other)
        return relative_url(os.path.relpath(there, here))

    rows = [] if inner else [row | {"url": url(row["number"])} for row in index]
    return {
        "number": number,
        "count": len(index),
        "previous": url(number - 1),
        "next": url(number + 1),
        "overview": url(1) if inner else None,
        "rows": rows,
    } | index[number - 1]
