"""The record of a run into an object store, where nothing can be appended to: in many objects.

Each holds some lines under the header of their run, ``OUT/.shards/0-of-3.0002-5e0f….000007.jsonl``:
part, attempt, whose, number. An attempt's number is one more than that of the last one that is
there, so that no clock decides which line of a photo is its latest. What ``commands.merge`` makes
of all of them is ``OUT/manifest.jsonl``.
"""

import json
import re
import tempfile
import time
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path

from faceren.errors import ConfigError
from faceren.runs.manifest import (
    FORMAT_VERSION,
    MANIFEST_NAME,
    Line,
    Manifest,
    line_text,
    read_manifest,
)
from faceren.runs.shards import (
    PLANNED_SUFFIX,
    RECORD_SUFFIX,
    SHARDS_DIR,
    Shard,
    named,
)
from faceren.runs.storage import Storage, Stored

MOST_LINES = 200
MOST_SECONDS = 60.0
"""After either, lines become an object: a run that is killed has lost the record of no more."""
NAME = re.compile(
    re.escape(SHARDS_DIR) + r"/(\d{1,9})-of-(\d{1,9})\.(\d{4,9})-([0-9a-f]{32})\.(\d{6,9})\.jsonl"
)
PLANNED = re.compile(re.escape(SHARDS_DIR) + r"/(\d{1,9})-of-(\d{1,9})\.planned")


def segments_in(keys: Collection[str]) -> dict[Shard, list[str]]:
    """Return the objects that hold the record of each part, in the order of their lines.

    Args:
        keys: Of all objects of the output folder.
    """
    found: dict[Shard, list[tuple[int, str, int, str]]] = {}
    for key in keys:
        if match := NAME.fullmatch(key):
            shard = Shard(int(match[1]), int(match[2]))
            found.setdefault(shard, []).append((int(match[3]), match[4], int(match[5]), key))
    return {shard: [item[3] for item in sorted(items)] for shard, items in found.items()}


def check_parts(storage: Storage, keys: Collection[str], shard: Shard) -> None:
    """Refuse a folder in which the records of parts stand that do not belong to this run.

    Raises:
        ConfigError: If there are any, of another number of parts.
    """
    others = [other for other in segments_in(keys) if other.count != shard.count]
    if others:
        raise ConfigError(
            f"{storage.url} holds the records of {named(others)} (this is {shard}), not yet "
            f"merged; when all of them are done: faceren restore --merge {storage.url}"
        )


def read_part(storage: Storage, there: Mapping[str, Stored], shard: Shard) -> Manifest:
    """Return what is recorded of a part: by earlier runs that were merged, and by its own.

    Args:
        storage: The output folder.
        there: Its objects.
        shard: The part.

    Raises:
        MachineError: If a record cannot be read.
        ConfigError: If one is of a newer format.
    """
    keys = [MANIFEST_NAME] * (MANIFEST_NAME in there) + segments_in(there).get(shard, [])
    with tempfile.TemporaryDirectory(prefix="faceren-") as folder:
        path = Path(folder) / MANIFEST_NAME
        join(storage, keys, path)
        return read_manifest(path)


def join(storage: Storage, keys: Collection[str], path: Path) -> None:
    """Write the contents of objects into one file, one after the other.

    Raises:
        MachineError: If one cannot be read.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for key in keys:
            data = storage.read(key)
            file.write(data[: data.rfind(b"\n") + 1])


def planned_keys(storage: Storage, there: Collection[str], shard: Shard) -> set[str]:
    """Return what a part's run that did not end was going to write.

    Args:
        storage: The output folder.
        there: Keys of its objects.
        shard: The part.
    """
    key = planned_name(shard)
    try:
        keys = json.loads(storage.read(key)) if key in there else []
    except (ValueError, RecursionError):
        keys = []
    return {key for key in keys if isinstance(key, str)} if isinstance(keys, list) else set()


def planned_name(shard: Shard) -> str:
    """Return the key of the list of what a part is going to write."""
    return shard.place(Path(), PLANNED_SUFFIX).as_posix()


class SegmentWriter:
    """Write the record of one part, some lines at a time; a context manager.

    Args:
        storage: The output folder.
        there: Keys of its objects.
        shard: The part.
        header: Of the run.
    """

    def __init__(
        self, storage: Storage, there: Collection[str], shard: Shard, header: Line
    ) -> None:
        earlier = segments_in(there).get(shard, [])
        last = NAME.fullmatch(earlier[-1]) if earlier else None
        attempt = int(last[3]) + 1 if last else 1
        start = shard.place(Path(), "").as_posix()
        self._start = f"{start}.{attempt:04}-{uuid.uuid4().hex}"
        self._storage = storage
        self._header = header
        self._lines: list[str] = []
        self._number = 0
        self._since = time.monotonic()

    def append(self, line: Line) -> None:
        """Take a line; it is in the store when a number of lines is there, or some time is over.

        Raises:
            MachineError: If the store takes no more.
        """
        self._lines.append(line_text(line))
        if len(self._lines) >= MOST_LINES or time.monotonic() - self._since > MOST_SECONDS:
            self.flush()

    def flush(self, header: Line | None = None) -> None:
        """Write the lines that are not in the store yet.

        Args:
            header: Written after them; none if nothing follows.

        Raises:
            MachineError: If the store takes no more.
        """
        headers = [{"format_version": FORMAT_VERSION, **h} for h in (self._header, header) if h]
        if self._lines or header:
            text = line_text(headers[0]) + "".join(self._lines)
            text += "".join(map(line_text, headers[1:]))
            self._storage.write(text.encode(), f"{self._start}.{self._number:06}{RECORD_SUFFIX}")
            self._number += 1
        self._lines, self._since = [], time.monotonic()

    def __enter__(self) -> "SegmentWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
