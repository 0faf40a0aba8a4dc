"""What people write of the photos of a run: lists of photos and faces, and boxes of faces.

A list, as the review page exports it, has one photo a line: its path below the output folder, or
the path of its input. For one face of it, a tab and the face's number from 1 follow. A line that
starts with a quotation mark holds the path as a JSON string: so a path may have a line break, or be
no text (surrogate escapes).

Boxes (``--boxes``) are faces that the detector missed, marked by hand or by another program: either
JSON Lines, ``{"photo": "box 1/wedding.jpg", "box": [x0, y0, x1, y1]}`` with an optional
``"landmarks": [[x, y], …]``; or CSV without quotation of numbers: ``photo,x0,y0,x1,y1`` and
optionally ten more numbers. A photo is named as in a list; pixels are those of the photo seen
upright, as in the manifest.

Marks on prints that are to stay (``--repair-keep``) are JSON Lines, too: ``{"photo": "a.jpg",
"box": [x0, y0, x1, y1]}`` with the box of the manifest, and ``"page"`` from 0 if it is not the
first. A line without a box names a photo whose marks are all to be filled.
"""

import csv
import errno
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from faceren.checks import Bounds, Json, fits
from faceren.errors import ConfigError, told
from faceren.faces.given import GivenFace
from faceren.files import read_bounded
from faceren.images import Box, same_name
from faceren.runs.plan import AnyJob, Job
from faceren.runs.storage import spelled

FARTHEST = 1e6
"""Pixels from a photo's corner that a mark may be."""
LARGEST_LIST = 2**26
"""Bytes: a million photos by long names."""
STDIN = Path("-")
MOST_DIGITS = 9
"""Of a face's number."""
COLUMNS = (5, 15)
"""Columns of a CSV line of boxes: a name and a box, or landmarks too."""


@dataclass(frozen=True)
class Choice:
    """A line of a list."""

    name: str
    """As written; it may still be a whole line with a tab that belongs to the name."""
    face: int | None = None
    """Index from 0; None is the whole photo."""
    place: str = field(default="the list", compare=False)
    """Option, file and line, for messages."""


def read_list(path: Path, option: str) -> list[Choice]:
    """Return the lines of a list.

    Args:
        path: A text file in UTF-8; ``-`` is stdin.
        option: The option that named it, for messages.

    Raises:
        ConfigError: If it cannot be read or a line makes no sense.
    """
    try:
        data = _stdin() if path == STDIN else read_bounded(path, LARGEST_LIST)
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = told(error) if isinstance(error, OSError) else f"{path}: {error}"
        stdin = f"; {option} - reads the lines from stdin" * isinstance(error, FileNotFoundError)
        raise ConfigError(
            f"{option}: expected a text file with one photo a line, {why}{stdin}"
        ) from error
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        place = f"{option} {path}: line {number}"
        if line.strip():
            found.append(replace(_choice(line, place), place=place))
    return found


def _stdin() -> bytes:
    data = sys.stdin.buffer.read(LARGEST_LIST + 1)
    if len(data) > LARGEST_LIST:
        raise OSError(errno.EFBIG, f"larger than {LARGEST_LIST:,} bytes")
    return data


def _choice(line: str, place: str) -> Choice:
    line = line.removesuffix("\r")
    if line.startswith('"'):
        try:
            name, end = json.JSONDecoder().raw_decode(line)
        except ValueError as error:
            raise ConfigError(f"{place}: a quoted path must be a JSON string, {error}") from error
        rest = line[end:].strip()
    else:
        name, tab, rest = line.rpartition("\t")
        rest = rest.strip()
        if not tab or not rest.isdecimal():
            return Choice(line)  # a tab, if there is one, belongs to the name
    if not rest:
        return Choice(name)
    if not rest.isdecimal() or len(rest) > MOST_DIGITS or int(rest) < 1:
        raise ConfigError(
            f"{place}: expected a face's number from 1 after the path, got {rest!r:.60}"
        )
    return Choice(name, int(rest) - 1)


def photos_only(choices: Iterable[Choice]) -> list[Choice]:
    """Return a list in which faces make no sense.

    Raises:
        ConfigError: If it names a face.
    """
    whole = []
    for choice in choices:
        if choice.face is not None:
            raise ConfigError(
                f"{choice.place}: expected photos, got face {choice.face + 1} of {choice.name!r}; "
                f"a photo is restored whole (faceren open OUT restores one face of it)"
            )
        whole.append(choice)
    return whole


def resolved(
    choices: Iterable[Choice], keys: Mapping[str, str]
) -> dict[str, frozenset[int] | None]:
    """Return what a list asks for each photo: indices of faces, or None for the whole of it.

    Args:
        choices: The list.
        keys: From every name that a photo may go by to its key.

    Raises:
        ConfigError: If a name fits no photo.
    """
    keys = {same_name(name): key for name, key in keys.items()}
    wanted: dict[str, frozenset[int] | None] = {}
    for choice in choices:
        if same_name(choice.name) not in keys:
            count = len(set(keys.values()))
            name, _, number = choice.name.rpartition(" ")
            tab = number.isdecimal() and same_name(name) in keys
            raise ConfigError(
                f"{choice.place}: {choice.name!r} is none of the {count} photos of this run"
                + "; a tab, not a space, parts a photo from the number of its face" * tab
            )
        key = keys[same_name(choice.name)]
        earlier = wanted.get(key, frozenset())
        if choice.face is None or earlier is None:
            wanted[key] = None
        else:
            wanted[key] = earlier | {choice.face}
    return wanted


def listed(jobs: Sequence[AnyJob], choices: Iterable[Choice]) -> list[AnyJob]:
    """Return the jobs that a list names, by output key or by input path.

    Raises:
        ConfigError: If a name fits no job.
    """
    keys = {job.key: job.key for job in jobs} | {spelled(job.source): job.key for job in jobs}
    by_key = {job.key: job for job in jobs}
    return [by_key[key] for key in resolved(choices, keys)]


@dataclass(frozen=True)
class BoxLine:
    """One line of a file of boxes."""

    photo: str
    face: GivenFace
    place: str
    """File and line, for messages."""


def read_boxes(path: Path) -> list[BoxLine]:
    """Return the marked faces of a file; its suffix ``.csv`` says that it is CSV.

    Raises:
        ConfigError: If it cannot be read or a line makes no sense; the message names the line.
    """
    try:
        text = read_bounded(path, LARGEST_LIST).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--boxes: expected a text file, {path}: {error}") from error
    parse = _csv_line if path.suffix.lower() == ".csv" else _json_line
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() and not (number == 1 and line.lower().startswith("photo,")):
            place = f"--boxes {path}: line {number}"
            found.append(parse(line.removesuffix("\r"), place))
    return found


def given_faces(jobs: Sequence[Job], lines: Sequence[BoxLine]) -> dict[str, tuple[GivenFace, ...]]:
    """Return the faces that are marked in the photos of a run, by the keys of their jobs.

    Raises:
        ConfigError: If a line names a photo that is not among them.
    """
    given: dict[str, tuple[GivenFace, ...]] = {}
    for line, key in zip(lines, _keys(jobs, lines), strict=True):
        given[key] = (*given.get(key, ()), line.face)
    return given


@dataclass(frozen=True)
class MarkLine:
    """One line of a file of marks to keep."""

    photo: str
    place: str
    """File and line, for messages."""
    page: int = 0
    box: Box | None = None
    """None names the photo alone."""


def read_marks(path: Path) -> list[MarkLine]:
    """Return the lines of a file of marks that are to stay as they are.

    Raises:
        ConfigError: If it cannot be read or a line makes no sense; the message names the line.
    """
    try:
        text = read_bounded(path, LARGEST_LIST).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--repair-keep: expected a text file, {path}: {error}") from error
    return [
        _mark_line(line, f"--repair-keep {path}: line {number}")
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]


def given_marks(
    jobs: Sequence[Job], lines: Sequence[MarkLine]
) -> dict[str, frozenset[tuple[int, Box]]]:
    """Return the marks that are to stay, page and box, by the keys of the photos of a run.

    Raises:
        ConfigError: If a line names a photo that is not among them.
    """
    found: dict[str, frozenset[tuple[int, Box]]] = {}
    for line, key in zip(lines, _keys(jobs, lines), strict=True):
        marks = frozenset() if line.box is None else frozenset([(line.page, line.box)])
        found[key] = found.get(key, frozenset()) | marks
    return found


def _keys(jobs: Sequence[Job], lines: Sequence[BoxLine] | Sequence[MarkLine]) -> list[str]:
    """Return the key of the photo that each line names."""
    keys = {same_name(spelled(job.source)): job.key for job in jobs}
    keys |= {same_name(job.key): job.key for job in jobs}
    for line in lines:
        if same_name(line.photo) not in keys:
            raise ConfigError(
                f"{line.place}: {line.photo!r} is none of the {len(jobs)} photos of this run"
            )
    return [keys[same_name(line.photo)] for line in lines]


def _mark_line(line: str, place: str) -> MarkLine:
    entry = _json_object(line, place, {"photo", "box", "page"})
    page, box = entry.get("page", 0), entry.get("box")
    if not fits(page, Annotated[int, Bounds(0, FARTHEST)]):
        raise ConfigError(f"{place}: page: expected a whole number from 0, got {page!r:.40}")
    if box is None:
        return MarkLine(entry["photo"], place, page)
    x0, y0, x1, y1 = map(int, _numbers(box, 4, f"{place}: box"))
    return MarkLine(entry["photo"], place, page, (x0, y0, x1, y1))


def _json_object(line: str, place: str, names: set[str]) -> Json:
    """Return the object that a line holds, which names a photo and nothing unknown."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f'{place}: expected a JSON object such as {{"photo": "a.jpg", "box": '
            f"[10, 20, 90, 120]}}, {error}"
        ) from error
    if not isinstance(entry, dict) or not isinstance(entry.get("photo"), str):
        raise ConfigError(f'{place}: expected a JSON object with "photo", got {line[:80]}')
    unknown = sorted(set(entry) - names)
    if unknown:
        known = "photo, box and " + ", ".join(sorted(names - {"photo", "box"}))
        raise ConfigError(f"{place}: expected {known}, got {unknown[0]!r:.60}")
    return entry


def _json_line(line: str, place: str) -> BoxLine:
    entry = _json_object(line, place, {"photo", "box", "landmarks"})
    points = entry.get("landmarks")
    if points is not None:
        pairs = isinstance(points, list) and all(
            isinstance(point, list) and len(point) == 2 for point in points
        )
        flat = [value for point in points for value in point] if pairs else points
        points = _numbers(flat, 10, f"{place}: landmarks")
    return BoxLine(
        entry["photo"], _face(_numbers(entry.get("box"), 4, f"{place}: box"), points, place), place
    )


def _csv_line(line: str, place: str) -> BoxLine:
    try:
        (cells,) = csv.reader([line])
    except (csv.Error, ValueError) as error:
        raise ConfigError(f"{place}: expected columns split by commas, {error}") from error
    if len(cells) not in COLUMNS:
        raise ConfigError(
            f"{place}: expected photo,x0,y0,x1,y1 and optionally ten numbers of landmarks, got "
            f"{len(cells)} columns"
        )
    values = []
    for cell in cells[1:]:
        try:
            values.append(float(cell))
        except ValueError as error:
            raise ConfigError(f"{place}: expected a number, got {cell!r:.60}") from error
    box = _numbers(values[:4], 4, f"{place}: box")
    points = _numbers(values[4:], 10, f"{place}: landmarks") if values[4:] else None
    return BoxLine(cells[0], _face(box, points, place), place)


def _numbers(values: Any, count: int, place: str) -> list[float]:
    good = isinstance(values, list) and len(values) == count
    if not good or not all(
        fits(value, Annotated[float, Bounds(-FARTHEST, FARTHEST)]) for value in values
    ):
        raise ConfigError(f"{place}: expected {count} numbers, got {values!r:.120}")
    return [float(value) for value in values]


def _face(box: list[float], points: list[float] | None, place: str) -> GivenFace:
    x0, y0, x1, y1 = box
    if x1 - x0 < 2 or y1 - y0 < 2:
        raise ConfigError(
            f"{place}: box: expected x0 < x1 and y0 < y1, two pixels apart at least, got {box}"
        )
    if points is None:
        return GivenFace((x0, y0, x1, y1))
    pairs = tuple(zip(points[::2], points[1::2], strict=True))
    if max(x for x, _ in pairs) - min(x for x, _ in pairs) < 1:
        raise ConfigError(f"{place}: landmarks: expected five different points, got {points}")
    return GivenFace((x0, y0, x1, y1), pairs)
