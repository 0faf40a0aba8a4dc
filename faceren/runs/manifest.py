"""The append-only record of a run: one JSON object a line, a header first.

A line is written in one call and synced, so that a killed run loses at most the line it was
writing; a torn last line is ignored by the reader and cut off by the next writer. A manifest is
data, whoever wrote it: a line that is not as we write them is left out, and said to be.
"""

import json
import math
import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, BinaryIO, TextIO

from faceren.checks import HUGE, Bounds, Json, fits
from faceren.errors import ConfigError, MachineError
from faceren.runs.shards import check_merged
from faceren.runs.storage import is_stored

MANIFEST_NAME = "manifest.jsonl"
LONGEST_NAME = 255
"""Bytes between two slashes."""
LONGEST_KEY = 1024
"""Those of a photo that failed, whose output may have failed for its length."""
MAX_COUNT = 2**31 - 1
FORMAT_VERSION = 1
PIECE = 2**16
"""Bytes that are read at a time of a file whose end is looked for."""

Line = Json
"""A line of a manifest: the header of a run, or an item."""
Kind = Any
"""A class, ``number``, ``count`` (a whole number from 0), or a kind of items and how many
(None: any) for a list."""
FIELDS: dict[str, tuple[Kind, str]] = {
    "input": (str, "a path"),
    "key": (str, "a path"),
    "output": (str, "a path"),
    "input_sha256": (str, "a hash"),
    "output_sha256": (str, "a hash"),
    "settings": (str, "a text"),
    "status": (str, "a text"),
    "reason": (str, "a text"),
    "command": (str, "a text"),
    "options": (dict, "an object"),
    "machine": (dict, "an object"),
    "date": (str, "a text"),
    "libraries": (dict, "an object"),
    "shard": (dict, "an object"),
    "stored": (dict, "an object"),
    "faces": ((dict, None), "a list of objects"),
    "left": ((dict, None), "a list of objects"),
    "warnings": ((str, None), "a list of texts"),
    "size": (("count", 2), "two whole numbers"),
    "scale": ("count", "a whole number"),
    "scale_reason": (str, "a text"),
}
"""What a line may hold, by name; other names are nobody's concern."""
FACE_FIELDS: dict[str, tuple[Kind, str]] = {
    "box": (("number", 4), "four numbers"),
    "landmarks": ((("number", 2), 5), "five points"),
    "crop": ("count", "a whole number"),
    "working_size": ("count", "a whole number"),
    "halftone_dots": ("count", "a whole number"),
    "page": ("count", "a whole number"),
    "identity_distance": ("number", "a number"),
    "identity": ("number", "a number"),
    "strength": ("number", "a number"),
    "score": ("number", "a number"),
    "reason": (str, "a text"),
    "reverted": (bool, "true or false"),
}


@dataclass
class Manifest:
    """What a manifest file holds."""

    header: Line = field(default_factory=dict)
    """Tool version, command, options, weights: of the latest run."""
    items: dict[str, Line] = field(default_factory=dict)
    """The latest line of each item, by its ``output`` (or ``input``, if it has none)."""
    headers: dict[str, Line] = field(default_factory=dict)
    """The header of the run that wrote each of these lines."""
    problems: list[str] = field(default_factory=list)
    """The lines that were left out, and why: one sentence each."""

    @property
    def main_header(self) -> Line:
        """The header under which most of the latest lines were written."""
        counts: Counter[str] = Counter()
        found = {id(header): header for header in self.headers.values()}
        for number, count in Counter(map(id, self.headers.values())).items():
            counts[_undated(found[number])] += count
        most = counts.most_common(1)
        return next((h for h in found.values() if _undated(h) == most[0][0]), self.header)


def _undated(header: Line) -> str:
    return json.dumps({**header, "date": None}, sort_keys=True)


def key_of(item: Line) -> str:
    """Return what identifies an item: the output it made or would have made, else its input."""
    return str(item.get("key") or item.get("output") or item["input"])


def leads_out(key: str) -> bool:
    """Say whether what identifies an item is no path below a folder: a line may have no ``key``."""
    path = PurePosixPath(key)
    return path.is_absolute() or ".." in path.parts


def relocated(line: Line, folder: Path) -> Line:
    """Return a line with its input as it is found from wherever the record is read.

    A path that was given relative to the current folder is kept if that is the folder which the
    outputs' folder lies in, and else written relative to that one.

    Args:
        line: A line of the manifest, or what will be one.
        folder: Where the manifest lies.
    """
    written = Path(line["input"])
    if written.is_absolute() or is_stored(written) or is_stored(folder):
        return line
    above = folder.resolve().parent
    if above == Path.cwd():
        return line
    try:
        return line | {"input": os.path.relpath(written, above)}
    except ValueError:  # on another drive of Windows, from which no relative path leads here
        return line | {"input": str(written.absolute())}


def source_of(item: Line, folder: Path, is_file: Callable[[Path], bool] = Path.is_file) -> Path:
    """Return where an item's input is: see ``relocated``; or as written, as older records have it.

    Where neither is a file, the folder itself may hold the originals; but what the item has made
    is none.

    Args:
        item: A line of the manifest.
        folder: Where the manifest lies.
        is_file: Says whether a file is there.
    """
    written = Path(item["input"])
    beside = folder.parent / written
    if not is_stored(folder):
        above = folder.resolve().parent
        beside = written if above == Path.cwd() else above / written
    places = [beside, written]
    if item.get("key") != written.as_posix():
        places.append(folder / written)
    return next((place for place in places if is_file(place)), written)


def output_of(
    item: Line, folder: Path, is_file: Callable[[Path], bool] = Path.is_file
) -> Path | None:
    """Return the file that an item made, wherever the folder is now; None if it made none.

    A manifest is data: a file outside of its folder is none that it made.

    Args:
        item: A line of the manifest.
        folder: Where the manifest lies.
        is_file: Says whether a file is there.
    """
    if not item.get("output"):
        return None
    places = [folder / key_of(item), Path(item["output"])]
    root = folder.resolve()
    inner = [place for place in places if place.resolve().is_relative_to(root)]
    return next((place for place in inner if is_file(place)), inner[0] if inner else None)


def read_manifest(path: Path, wanted: Callable[[str], bool] = lambda _: True) -> Manifest:
    """Read a manifest; later lines of an item replace earlier ones.

    A line that is damaged is left out; ``problems`` names it. Lines are read one by one; of each
    item that is wanted, the latest is held, in some 4 KB.

    Args:
        path: The file.
        wanted: Says by its key whether an item is; default: all are.

    Raises:
        ConfigError: If the file cannot be read, or was written by a newer format.
    """
    manifest = Manifest()
    try:
        with path.open("rb") as file:
            for number, text in enumerate(file, start=1):
                if not text.endswith(b"\n"):  # torn
                    break
                line, problem = parsed(text)
                if problem:
                    manifest.problems.append(f"{path}: line {number} is left out: {problem}")
                elif "format_version" in line:
                    if line["format_version"] != FORMAT_VERSION:
                        raise ConfigError(
                            f"{path}: manifest format {line['format_version']!r:.40}, "
                            f"this version reads {FORMAT_VERSION}"
                        )
                    manifest.header = line
                elif line.get("input") is not None and wanted(key := key_of(line)):
                    manifest.items[key] = line
                    manifest.headers[key] = manifest.header
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    return manifest


def parsed(text: bytes) -> tuple[Json, str]:
    """Return the object on a line and nothing, or an empty one and what is wrong with it.

    Args:
        text: The line, with or without its line break.
    """
    try:
        words = text.decode("utf-8-sig", "surrogatepass")  # json itself would guess the encoding
        line = json.loads(words, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        return {}, f"expected one JSON object, {error}"
    if not isinstance(line, dict):
        return {}, f"expected one JSON object, got {line!r:.60}"
    for name, (kind, words) in FIELDS.items():
        value = line.get(name)
        if value is not None and not _is(value, kind):
            return {}, f"{name}: expected {words}, got {value!r:.60}"
    key = str(line.get("key") or "")
    for name in ("key", "input", "output"):
        longest = LONGEST_KEY if line.get("status") == "failed" else LONGEST_NAME
        if line.get(name) is not None and not _is_path(line[name], longest):
            below = " below the output folder" if name == "key" else ""
            return {}, f"{name}: expected a path{below}, got {line[name]!r:.60}"
    if leads_out(key):
        return {}, f"key: expected a path below the output folder, got {key!r:.120}"
    faces = [*(line.get("faces") or []), *(line.get("left") or [])]
    for number, face in enumerate(faces, start=1):
        for name, (kind, words) in FACE_FIELDS.items():
            value = face.get(name)
            if value is not None and not _is(value, kind):
                return {}, f"face {number}, {name}: expected {words}, got {value!r:.60}"
        if "landmarks" in face and "crop" not in face:
            return {}, f"face {number}: expected the size of its crop, got none"
    return line, ""


def _is_path(text: str, longest: int) -> bool:
    """Say whether a file system could have a file of this name, up to so many bytes a part."""
    try:
        parts = os.fsencode(text).split(b"/")
    except UnicodeEncodeError:
        return False
    return bool(text) and "\0" not in text and max(map(len, parts)) <= longest


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    return value if math.isfinite(value := float(text)) else _no_number(text[:40])


def _is(value: object, kind: Kind) -> bool:
    if kind == "number":
        return fits(value, Annotated[float, Bounds(-HUGE)])
    if kind == "count":
        return fits(value, Annotated[int, Bounds(0, MAX_COUNT)])
    if isinstance(kind, type):
        return isinstance(value, kind) and not (kind is int and isinstance(value, bool))
    inner, count = kind
    if not isinstance(value, list) or (count is not None and len(value) != count):
        return False
    return all(_is(item, inner) for item in value)


def read_run(folder: Path, command: str) -> Manifest:
    """Return the manifest of earlier runs of a command into a folder.

    Raises:
        ConfigError: If the folder has no manifest, or another command's, or if parts of a run into
            it are not merged.
    """
    check_merged(folder, command)
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise ConfigError(f"{folder}: expected a folder that {command} wrote, {path} is not there")
    manifest = read_manifest(path)
    if (found := manifest.header.get("command", command)) != command:
        raise ConfigError(f"{folder} holds the manifest of {found!r}, not of {command}")
    return manifest


def line_text(line: Line) -> str:
    """Return a line as it stands in the file, with its line break."""
    text = json.dumps(line, ensure_ascii=False, allow_nan=False)
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        text = json.dumps(line, allow_nan=False)  # a name that is no text, as escapes
    return text + "\n"


class ManifestWriter:
    """Append to a manifest; a context manager.

    Args:
        path: The file; made if missing, continued if there.
        header: What to record of this run; ``format_version`` is added.
    """

    def __init__(self, path: Path, header: Line) -> None:
        self._path = path
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise ConfigError(
                f"{path}: expected a file of ours, this is a link or no file; move it"
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and is_torn(path):
                with path.open("r+b") as file:
                    file.truncate(_end_of_lines(file))
            self._file: TextIO = path.open("a", encoding="utf-8")
        except OSError as error:
            raise self._failed(error) from error
        self.begin(header)

    def begin(self, header: Line) -> None:
        """Write the header of the lines that follow; as ``append``."""
        self.append({"format_version": FORMAT_VERSION, **header})

    def append(self, line: Line) -> None:
        """Write one line and sync it to disk.

        Raises:
            MachineError: If the disk is full.
        """
        try:
            self._file.write(line_text(line))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> MachineError:
        return MachineError(
            f"cannot write {self._path}: {error.strerror}; free space, then run again"
        )

    def __enter__(self) -> "ManifestWriter":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # of a line that could not be written, which append has said
            self._file.close()


def restate_header(path: Path, header: Line) -> None:
    """Make a header the last one again, as the last one tells of the last restoration.

    Args:
        path: A manifest to which lines of another run were appended.
        header: Of the last restoration.

    Raises:
        MachineError: If the disk is full.
    """
    with ManifestWriter(path, header):
        pass


TORN = "the last line of the manifest is cut off; run restore again for its photo"


def is_torn(path: Path) -> bool:
    """Say whether the last line of a manifest was cut off while it was written."""
    with path.open("rb") as file:
        return _end_of_lines(file) < file.seek(0, os.SEEK_END)


def _end_of_lines(file: BinaryIO) -> int:
    """Return where the last line that is whole ends; 0 if there is none."""
    start = file.seek(0, os.SEEK_END)
    while start:
        end, start = start, max(0, start - PIECE)
        file.seek(start)
        if (found := file.read(end - start).rfind(b"\n")) >= 0:
            return start + found + 1
    return 0
