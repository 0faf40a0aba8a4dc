"""The append-only record of a run: one JSON object a line, a header first.

A line is written in one call and synced, so that a killed run loses at most the line it was
writing; a torn last line is ignored by the reader and cut off by the next writer.
"""

import json
import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from faceren.arrays import Json
from faceren.errors import ConfigError, MachineError

MANIFEST_NAME = "manifest.jsonl"
FORMAT_VERSION = 1

Line = Json
"""A line of a manifest: the header of a run, or an item."""


@dataclass
class Manifest:
    """What a manifest file holds."""

    header: Line = field(default_factory=dict)
    """Tool version, command, options, weights: of the latest run."""
    items: dict[str, Line] = field(default_factory=dict)
    """The latest line of each item, by its ``output`` (or ``input``, if it has none)."""
    headers: dict[str, Line] = field(default_factory=dict)
    """The header of the run that wrote each of these lines."""

    @property
    def main_header(self) -> Line:
        """The header under which most of the latest lines were written."""
        texts = {key: json.dumps(header, sort_keys=True) for key, header in self.headers.items()}
        most = Counter(texts.values()).most_common(1)
        return next(
            (self.headers[k] for k, text in texts.items() if text == most[0][0]), self.header
        )


def key_of(item: Line) -> str:
    """Return what identifies an item: the output it made or would have made, else its input."""
    return str(item.get("key") or item.get("output") or item["input"])


def source_of(item: Line, folder: Path) -> Path:
    """Return where an item's input is: as written, or beside the manifest's folder if that moved.

    Args:
        item: A line of the manifest.
        folder: Where the manifest lies.
    """
    written = Path(item["input"])
    places = (written, folder.parent / written, folder / written)
    return next((place for place in places if place.is_file()), written)


def _parsed_lines(path: Path) -> list[Line]:
    raw = path.read_bytes()
    lines = raw[: raw.rfind(b"\n") + 1].splitlines()  # what follows the last newline is torn
    parsed = []
    for number, line in enumerate(lines, start=1):
        try:
            parsed.append(json.loads(line))
        except ValueError as error:
            raise ConfigError(
                f"{path}: line {number} is no JSON; a manifest has one JSON object a line "
                f"(remove that line, or give another output folder)"
            ) from error
        if not isinstance(parsed[-1], dict):
            raise ConfigError(f"{path}: line {number} is no JSON object")
    return parsed


def read_manifest(path: Path) -> Manifest:
    """Read a manifest; later lines of an item replace earlier ones.

    Raises:
        ConfigError: If the file is no manifest, or was written by a newer format.
    """
    manifest = Manifest()
    for line in _parsed_lines(path):
        if "format_version" in line:
            if line["format_version"] != FORMAT_VERSION:
                raise ConfigError(
                    f"{path}: manifest format {line['format_version']}, "
                    f"this version reads {FORMAT_VERSION}"
                )
            manifest.header = line
        elif "input" in line:
            manifest.items[key_of(line)] = line
            manifest.headers[key_of(line)] = manifest.header
    return manifest


def read_run(folder: Path, command: str) -> Manifest:
    """Return the manifest of earlier runs of a command into a folder.

    Raises:
        ConfigError: If the folder has no manifest, or another command's.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise ConfigError(f"{folder}: expected a folder that {command} wrote, {path} is not there")
    manifest = read_manifest(path)
    if (found := manifest.header.get("command", command)) != command:
        raise ConfigError(f"{folder} holds the manifest of {found!r}, not of {command}")
    return manifest


class ManifestWriter:
    """Append to a manifest; a context manager.

    Args:
        path: The file; made if missing, continued if there.
        header: What to record of this run; ``format_version`` is added.
    """

    def __init__(self, path: Path, header: Line) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and is_torn(path):
            with path.open("r+b") as file:
                file.truncate(path.read_bytes().rfind(b"\n") + 1)
        self._path = path
        self._file: TextIO = path.open("a", encoding="utf-8")
        self.append({"format_version": FORMAT_VERSION, **header})

    def append(self, line: Line) -> None:
        """Write one line and sync it to disk.

        Raises:
            MachineError: If the disk is full.
        """
        text = json.dumps(line, ensure_ascii=False, allow_nan=False)
        if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
            text = json.dumps(line, allow_nan=False)  # a name that is no text, as escapes
        try:
            self._file.write(text + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise MachineError(
                f"cannot write {self._path}: {error.strerror}; free space, then run again"
            ) from error

    def __enter__(self) -> "ManifestWriter":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # of a line that could not be written, which append has said
            self._file.close()


def is_torn(path: Path) -> bool:
    """Say whether the last line of a manifest was cut off while it was written."""
    raw = path.read_bytes()
    return bool(raw) and not raw.endswith(b"\n")
