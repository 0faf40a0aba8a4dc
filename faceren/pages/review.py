"""The review page of a restoration: every photo before and after, every face, every decision.

``OUT/report.html`` shows what ``OUT/manifest.jsonl`` records; its pictures lie in ``OUT/report/``.
"""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from faceren.checks import Json
from faceren.images import DEFAULT_MAX_PIXELS, shown
from faceren.pages.comparison import FULL_CHANGE, keys_of, left_in
from faceren.pages.entries import Check, Entry, drawn, entries_of, to_page
from faceren.pages.page import rendered, write_page
from faceren.pages.pictures import Pictures
from faceren.runs.folder import PAGE_NAME, PICTURES_DIR
from faceren.runs.manifest import MANIFEST_NAME, Manifest, is_torn

SAME_PERSON = 0.6
"""Identity distance up to which dlib's authors take two faces for one person."""
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
    context = review_context(output, manifest, check=check, max_pixels=max_pixels, threads=threads)
    context["commands"] = dict(commands or {})
    write_page(output / PAGE_NAME, "review.html.j2", context, styles=STYLES, scripts=SCRIPTS)
    return Review(output / PAGE_NAME, len(context["photos"]), tuple(context["notes"]))


def review_context(
    output: Path, manifest: Manifest, *, check: Check, max_pixels: int, threads: int
) -> dict[str, Any]:
    """Return what the review page shows, and write the pictures that are not there yet.

    See ``write_review``.
    """
    pictures = pictures_of(output)
    with ThreadPoolExecutor(threads) as pool:
        entries = entries_of(output, manifest, check, pool)
        entries = drawn(entries, pictures, max_pixels, pool)
    used = {key for entry in entries for key in keys_of(entry.line)}
    pictures.keep_only(used, {Path(entry.key).name for entry in entries})
    torn = ["the last line of the manifest is cut off; run restore again for its photo"]
    record = output / MANIFEST_NAME
    notes = torn * (record.exists() and is_torn(record)) + [
        f"{shown(entry.key)}: {note}" for entry in entries for note in entry.notes
    ]
    context = _context(output, entries, manifest.main_header, notes)
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
    output: Path, entries: Sequence[Entry], header: Json, notes: Sequence[str]
) -> dict[str, Any]:
    place = output.resolve()
    counts = Counter(str(entry.line.get("status")) for entry in entries)
    statuses = [(name, label, counts[name]) for name, label in STATUSES.items() if counts[name]]
    faces = [face for entry in entries for face in entry.line.get("faces") or []]
    distances = [face["identity"] for face in faces if face.get("identity") is not None]
    totals = [("Photos", f"{len(entries):,}")]
    totals += [(label.capitalize(), f"{count:,}") for _, label, count in statuses]
    totals.append(("Faces", f"{len(faces):,}"))
    left = [len(left_in(entry.line)) for entry in entries if left_in(entry.line)]
    totals += [("Left alone", f"{sum(left):,}")] if left else []
    if distances:
        beyond = sum(distance > SAME_PERSON for distance in distances)
        totals.append(("Median identity distance", f"{statistics.median(distances):.2f}"))
        totals.append((f"Faces beyond {SAME_PERSON}", f"{beyond:,}"))
    return {
        "title": "Restored photographs",
        "subtitle": shown(place.name),
        "run": sha256(str(place).encode("utf-8", "replace")).hexdigest()[:16],
        "statuses": statuses,
        "with_left": len(left),
        "totals": totals,
        "settings": _settings(header),
        "strength": (header.get("options") or {}).get("strength"),
        "notes": notes,
        "same_person": SAME_PERSON,
        "full_change": f"{FULL_CHANGE:.0%}",
        "acts": False,
    }


def _settings(header: Json) -> list[tuple[str, str]]:
    known = [
        ("Tool", header.get("tool", "?")),
        ("Model", header.get("model", "?")),
        ("Weights, SHA-256", header.get("weights_sha256", "?")),
    ]
    known += (header.get("options") or {}).items()
    settings = []
    for name, value in known:
        words = name.replace("_", " ").capitalize() if name.islower() else name
        words = WORDS.get(name, words)
        text = "–" if value is None else str(value)
        if isinstance(value, bool):
            text = "yes" if value else "no"
        elif name == "scale":
            text = f"{value} times"
        settings.append((words, shown(text)))
    return settings
