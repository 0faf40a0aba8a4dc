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
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
from faceren.runs.plan import Job
from faceren.runs.shards import (
    PLANNED_SUFFIX,
    RECORD_SUFFIX,
    SHARDS_DIR,
    Shard,
    named,
)
from faceren.runs.storage import UPLOADS_DIR, Storage, Stored

MOST_LINES = 200
MOST_SECONDS = 60.0
"""After either, lines become an object: a run that is killed has lost the record of no more."""
NAME = re.compile(
    re.escape(SHARDS_DIR) + r"/(\d{1,9})-of-(\d{1,9})\.(\d{4,9})-([0-9a-f]{32})\.(\d{6,9})\.jsonl"
)
MERGED_NAME = f"{SHARDS_DIR}/merged"
"""Lists the objects that a merge has joined, until all of them are deleted."""
OURS = (f"{SHARDS_DIR}/", f"{UPLOADS_DIR}/")
"""Below these alone a merge deletes anything: no photo, no output."""


def settled(storage: Storage) -> tuple[dict[str, Stored], list[str]]:
    """Return the objects of a folder, and what an interrupted merge had not deleted but has now.

    Raises:
        MachineError: If the folder cannot be read, or those cannot be deleted.
    """
    there = storage.listing()
    left, joined = unmerged(storage, there)
    if MERGED_NAME in there:
        storage.remove([key for key in joined if key in there])
        storage.remove([MERGED_NAME])
    return left, joined


def unmerged(storage: Storage, there: Mapping[str, Stored]) -> tuple[dict[str, Stored], list[str]]:
    """Return the objects of a folder but those that an interrupted merge has joined, and these.

    Args:
        storage: The folder.
        there: All of its objects, by their keys.

    Raises:
        MachineError: If the folder cannot be read.
    """
    names = _names_in(storage, there, MERGED_NAME)
    joined = [name for name in names if name.startswith(OURS)]  # the list may be forged
    left = {key: item for key, item in there.items() if key not in {*joined, MERGED_NAME}}
    return left, joined


def forget_segments(storage: Storage, keys: Collection[str]) -> None:
    """Delete what a merge has joined; if that is interrupted, ``settled`` goes on with it.

    Raises:
        MachineError: If it cannot be deleted.
    """
    storage.write(json.dumps(sorted(keys)).encode(), MERGED_NAME)
    storage.remove([*keys, MERGED_NAME])


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


def join(storage: Storage, items: Iterable[Stored], path: Path) -> None:
    """Write the lines of objects into one file, one object after the other.

    The record of a run may be larger than the memory: it passes in pieces.

    Raises:
        MachineError: If one cannot be read, or is replaced meanwhile.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for item in items:
            whole = file.tell()
            for piece in storage.pieces(item):
                start = file.tell()
                file.write(piece)
                if (end := piece.rfind(b"\n")) >= 0:
                    whole = start + end + 1
            file.seek(whole)  # what follows its last line break is torn
            file.truncate()


def merged_away(keys: Iterable[str]) -> list[str]:
    """Return which objects of a folder a merge leaves nothing to keep of.

    A list of what is to be written that is there after a run is that of one that was killed.

    Args:
        keys: Of the folder's objects.
    """
    kept = planned_name(Shard(0, 1))
    return [key for key in keys if key.startswith(OURS) and key != kept]


def planned_name(shard: Shard) -> str:
    """Return the key of the list of what a part is going to write."""
    return shard.place(Path(), PLANNED_SUFFIX).as_posix()


@dataclass(frozen=True)
class StoredFolder:
    """The output folder of a run in a store, or of a part of one, as it is found at the start."""

    storage: Storage
    there: Mapping[str, Stored]
    """Its objects, by their keys."""
    shard: Shard
    """The part; the whole is 0/1."""
    recorded: Manifest
    """What is recorded of the part: by earlier runs that were merged, and by its own."""
    planned: frozenset[str]
    """What a run of it that did not end was going to write."""

    @classmethod
    def opened(cls, output: Path, command: str, shard: Shard | None) -> "StoredFolder":
        """Look into a folder.

        Args:
            output: The folder; it need not be there.
            command: What is going to write there.
            shard: The part that is to be done; None is the whole.

        Raises:
            ConfigError: If it holds records of another command, or those of parts that do not
                belong to this run.
            MachineError: If it cannot be read.
        """
        storage, own = Storage(output), shard or Shard(0, 1)
        there, _ = settled(storage)
        segments = segments_in(there)
        if others := [other for other in segments if other.count != own.count]:
            raise ConfigError(
                f"{storage.url} holds the records of {named(others)} (this is {own}), not yet "
                f"merged; when all of them are done: faceren {command} --merge {storage.url}"
            )
        keys = [MANIFEST_NAME] * (MANIFEST_NAME in there) + segments.get(own, [])
        with tempfile.TemporaryDirectory(prefix="faceren-") as folder:
            path = Path(folder) / MANIFEST_NAME
            join(storage, (there[key] for key in keys), path)
            recorded = read_manifest(path, own.has)
        if (found := recorded.header.get("command", command)) != command:
            raise ConfigError(
                f"-o {storage.url} holds the manifest of {found!r}; choose another folder"
            )
        planned = frozenset(_names_in(storage, there, planned_name(own)))
        return cls(storage, there, own, recorded, planned)

    def check_replaced(self, jobs: Sequence[Job]) -> None:
        """Raise ConfigError if an output is there already that no run has recorded."""
        for key in {job.key for job in jobs} & self.there.keys():
            if key not in self.planned and key not in self.recorded.items:
                raise ConfigError(
                    f"{self.storage.url}/{key} is there already, and no earlier run wrote it; move "
                    f"it away or choose another folder"
                )

    def done_before(self, job: Job, found: Stored, settings: str) -> Line | None:
        """Return the line of a photo whose input, output and settings are as it says, else None.

        No hash can tell that without reading all objects: their versions do.

        Args:
            job: What is to be done.
            found: Its input.
            settings: Digest of all that decides the output beside its input; of a photo that was
                taken back it may be another.
        """
        line = self.recorded.items.get(job.key)
        if line is None or (line.get("settings") != settings and not line.get("chosen")):
            return None
        versions = line.get("stored") or {}
        if versions.get("input") != found.version:
            return None
        if line.get("status") == "failed":
            return line if line.get("input_sha256") else None
        output = self.there.get(job.key)
        return line if output is not None and output.version == versions.get("output") else None

    @contextmanager
    def record(self, keys: Collection[str], header: Line) -> Iterator["SegmentWriter"]:
        """Note what the block is going to write, and record what it has done.

        Args:
            keys: Of the outputs.
            header: Of the run, with its ``shard``.

        Raises:
            MachineError: If the store takes no more.
        """
        planned = json.dumps(sorted(self.planned | set(keys))).encode()
        self.storage.write(planned, planned_name(self.shard))
        with SegmentWriter(self.storage, self.there, self.shard, header) as writer:
            yield writer
            writer.flush({**header, "shard": {**header["shard"], "ended": True}})
        # what a run that was killed may have written stays known
        if left := self.planned - set(keys) - self.recorded.items.keys():
            self.storage.write(json.dumps(sorted(left)).encode(), planned_name(self.shard))
        else:
            self.storage.remove([planned_name(self.shard)])

    @property
    def is_begun(self) -> bool:
        """Whether runs into the folder have left records that are not merged."""
        return bool(segments_in(self.there))


def _names_in(storage: Storage, there: Mapping[str, Stored], key: str) -> list[str]:
    """Return the names that an object lists; none if it is not there, or no list."""
    try:
        names = json.loads(storage.read(there[key])) if key in there else []
    except (ValueError, RecursionError):
        names = []
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


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
