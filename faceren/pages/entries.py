"""The photos of a run as the review page shows them: from the manifest, and from what is there."""

import os
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any, Literal

from faceren.checks import Json
from faceren.errors import MachineError
from faceren.files import sha256_of
from faceren.images import read_photo, shown
from faceren.pages.comparison import Face, Look, draw, keys_of, left_in, look_at
from faceren.pages.marks import marks_of, mask_place
from faceren.pages.page import relative_url
from faceren.pages.pictures import Picture, Pictures
from faceren.runs.folder import PICTURES_DIR
from faceren.runs.manifest import Manifest, key_of, output_of, source_of

Check = Literal["there", "bytes"]
"""How files are checked: that they have the bytes they had, or, where they lie in the folder or
the page has pictures of them already, only that they are there."""

SEEN_BY_BROWSERS = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".avif"}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One photo of the page."""

    line: Json
    header: Json
    """Of the run that restored it."""
    original: Path | None
    """None if it is gone or another file by now."""
    result: Path | None
    """None if there is none, or it is gone or another file by now."""
    notes: tuple[str, ...]
    """What is gone, one sentence each."""

    @property
    def key(self) -> str:
        """The photo's name: its output's path below the output folder."""
        return key_of(self.line)


def entries_of(output: Path, manifest: Manifest, check: Check, pool: Executor) -> list[Entry]:
    """Return the photos of a run, sorted by name.

    Args:
        output: The folder of the outputs.
        manifest: What it records.
        check: How closely to look at the files.
        pool: Looks at the files.
    """
    keys = sorted(manifest.items, key=lambda key: key.split("/"))
    pictures = Pictures(output / PICTURES_DIR)  # made from files that had the recorded bytes
    return list(pool.map(partial(_entry, output, manifest, check, pictures), keys))


def _entry(output: Path, manifest: Manifest, check: Check, pictures: Pictures, key: str) -> Entry:
    line = manifest.items[key]
    digest = str(line.get("input_sha256") or "")
    known = check == "there" and keys_of(line).before in pictures
    original, gone = _checked(source_of(line, output), digest, "the original", known=known)
    unread = line.get("status") == "failed" and not digest  # which its reason says
    notes = [gone] * (bool(gone) and not unread)
    result = None
    if line.get("output"):
        digest = str(line.get("output_sha256") or "")
        made = output_of(line, output)
        result, gone = _checked(made, digest, "the restored file", known=check == "there")
        notes += [gone] * bool(gone)
    return Entry(
        line=line,
        header=manifest.headers.get(key, {}),
        original=original,
        result=result,
        notes=tuple(notes),
    )


def _checked(path: Path | None, digest: str, what: str, *, known: bool) -> tuple[Path | None, str]:
    """Return the file and nothing, or None and what is wrong with it.

    A manifest may name any file of the disk: only one that has the recorded bytes is shown.
    """
    if path is None:
        return None, f"{what} is recorded as a file outside of the folder"
    if not path.is_file():
        return None, f"{what} is gone: {shown(path)}"
    if not digest:
        return None, f"{what} cannot be told from another file, its hash is not recorded"
    if not known:
        try:
            same = sha256_of(path) == digest
        except OSError as error:
            return None, f"{what} cannot be read ({error.strerror}): {shown(path)}"
        if not same:
            return None, f"{what} has changed since the run: {shown(path)}"
    return path, ""


def drawn(
    entries: Sequence[Entry], pictures: Pictures, max_pixels: int, pool: Executor
) -> list[Entry]:
    """Make the pictures that are not there; return the entries with notes of what failed.

    Args:
        entries: The photos.
        pictures: Where to.
        max_pixels: Show no larger photos.
        pool: Draws.

    Raises:
        MachineError: If the disk is full.
    """
    problems = pool.map(lambda entry: _draw_missing(entry, pictures, max_pixels), entries)
    return [
        replace(entry, notes=(*entry.notes, problem)) if problem else entry
        for entry, problem in zip(entries, problems, strict=True)
    ]


def lacks_pictures(entry: Entry, pictures: Pictures) -> bool:
    """Say whether pictures of a photo are not there that could be made.

    Args:
        entry: The photo.
        pictures: Those that are there, beside its mask if it has one.
    """
    keys = keys_of(entry.line)
    wanted = set(keys) if entry.line.get("output") else {keys.before}
    if not mask_place(entry.line, pictures.folder.parent).is_file():
        wanted.discard(keys.marks)
    if entry.line.get("status") == "failed":
        return False  # it could not be read then
    return not all(key in pictures for key in wanted)


def _draw_missing(entry: Entry, pictures: Pictures, max_pixels: int) -> str:
    if entry.original is None or not lacks_pictures(entry, pictures):
        return ""
    faces, left = entry.line.get("faces") or [], left_in(entry.line)
    after: Look | None = None
    try:
        photo = read_photo(entry.original, max_pixels=max_pixels)
        before, width = look_at(photo, faces, left, 1), photo.pages[0].upright_shape[1]
        if entry.line.get("output_sha256") == entry.line.get("input_sha256"):
            after = before
        elif entry.result is not None:
            photo = read_photo(entry.result, max_pixels=max_pixels)
            after = look_at(photo, faces, (), photo.pages[0].upright_shape[1] / width)
        draw(pictures, entry.line, before, after)
    except MachineError:
        raise
    except Exception as error:  # a line that other hands have edited, say
        return f"it cannot be shown: {shown(str(error))}"
    return ""


def to_page(entry: Entry, pictures: Pictures, base: Path) -> dict[str, Any]:
    """Return what the page's script needs to know of a photo.

    Args:
        entry: The photo.
        pictures: The page's pictures.
        base: The folder of the page.
    """
    line, keys = entry.line, keys_of(entry.line)
    before, after, marked = map(pictures.get, (keys.before, keys.after, keys.marks))
    size = before or after
    folder = () if base == pictures.folder else (pictures.folder.name,)

    def url(picture: Picture | None) -> str | None:
        return relative_url(PurePath(*folder, picture.name)) if picture else None

    def tile(face: Face, key: str) -> dict[str, Any]:
        picture = pictures.get(key)
        return {
            "picture": url(picture),
            "width": picture.width if picture else 0,
            "height": picture.height if picture else 0,
            "page": face.get("page", 0) + 1,
            "reason": shown(str(face.get("reason") or "")),
            "box": face.get("box"),
        }

    faces = [
        tile(face, key)
        | {
            "identity": face.get("identity_distance"),
            "by_dlib": face.get("identity"),
            "crop": face.get("working_size") or face.get("crop"),
            "halftone_dots": face.get("halftone_dots", 0),
            "reverted": bool(face.get("reverted")),
            "strength": face.get("strength"),
        }
        for face, key in zip(line.get("faces") or [], keys.faces, strict=True)
    ]
    left = [tile(face, key) for face, key in zip(left_in(line), keys.left, strict=True)]
    marks = marks_of(line)
    return {
        "key": entry.key,
        "name": shown(entry.key),
        "status": str(line.get("status")),
        "reason": shown(str(line.get("reason") or "")),
        "mark": str(line.get("output_sha256") or "")[:12],
        "before": url(before),
        "after": url(after),
        "width": size.width if size else 0,
        "height": size.height if size else 0,
        "size": line.get("size"),
        "scale": line.get("scale") or 1,
        "original": _url(entry.original, base),
        "result": _url(entry.result, base),
        "notes": list(entry.notes),
        "strength": (entry.header.get("options") or {}).get("strength"),
        "faces": faces,
        "left": left,
        "marks": marks and marks | {"picture": url(marked)},
    }


def _url(path: Path | None, base: Path) -> str | None:
    """Return a file's address for the page, None if there is none or no browser can show it."""
    if path is None or path.suffix.lower() not in SEEN_BY_BROWSERS:
        return None
    try:
        return relative_url(os.path.relpath(path.resolve(), base.resolve()))
    except ValueError:  # on another drive
        return None
