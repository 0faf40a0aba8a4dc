"""``--merge``: the parts of a run become the run that one machine would have made.

Records are joined line by line as they are written, never held in memory whole: of each photo only
its name and its place in a file are.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from faceren.checks import Json
from faceren.errors import ConfigError
from faceren.files import atomic_path, place_copy, sha256_of
from faceren.images import shown
from faceren.runs.folder import (
    BESIDE,
    check_places,
    forget_shards,
    inside,
    locked,
    planned_before,
)
from faceren.runs.manifest import (
    FORMAT_VERSION,
    MANIFEST_NAME,
    Line,
    key_of,
    line_text,
    parsed,
    relocated,
    source_of,
)
from faceren.runs.plan import check_output
from faceren.runs.resume import earlier_run
from faceren.runs.shards import RECORD_SUFFIX, Shard, named, shards_in
from faceren.runs.storage import spelled

SETTINGS = ("command", "weights_sha256", "engine", "self_ensemble", "libraries", "options")
"""What the headers of all parts must agree in: who computed where may differ."""


@dataclass(frozen=True)
class Merged:
    """What was joined."""

    output: Path
    shards: int
    statuses: Counter[str]
    """How many photos of the parts there are, by what became of them."""
    problems: tuple[str, ...]
    """Lines of the records that are damaged and were left out."""


@dataclass(frozen=True, slots=True)
class _Photo:
    """Where the latest line of a photo stands."""

    part: int
    """Index of its record."""
    offset: int
    """Of its line in the file, in bytes."""
    header: str
    """Of its run, without what is only the part's own; as JSON."""
    status: str


@dataclass
class _Part:
    """The record of one part, read once."""

    folder: Path
    shard: Shard
    header: Line = field(default_factory=dict)
    """The last one."""
    dates: dict[str, str] = field(default_factory=dict)
    """The latest date of the runs under each header."""
    photos: dict[str, _Photo] = field(default_factory=dict)
    originals: dict[Path, Path] = field(default_factory=dict)
    """One photo of each folder that originals are in, by that folder."""
    problems: list[str] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.shard.place(self.folder, RECORD_SUFFIX)


def merge(
    folders: Sequence[Path], output: Path | None = None, *, command: str = "restore"
) -> Merged:
    """Join the records of all parts of a run into ``OUT/manifest.jsonl``.

    What parts have written into folders of their own gets its place in the output folder by a hard
    link where the disk can, else by a copy; those folders stay as they are. The records of parts
    that share the output folder are removed when all is joined. Interrupted, the same call goes on.

    Args:
        folders: Where the parts have written.
        output: Where to; default the only one of ``folders``.
        command: What they are parts of.

    Raises:
        ConfigError: If a part is missing, has not ended, stands there twice, is of another command,
            or differs from the others in its settings or in the photos that it saw; or if a file is
            in the way that no run wrote.
        MachineError: If a run is still writing into one of the folders, or a disk is full.
    """
    folders, output = _places(folders, output)
    with ExitStack() as held:
        for folder in folders:
            held.enter_context(locked(folder))
        parts = [_read(folder, shard, i) for i, (folder, shard) in enumerate(_found(folders))]
        _check(parts, command)
        originals = {k: v for part in parts for k, v in part.originals.items()}
        check_output(list(originals.values()), output, ())
        check_places(output)
        if output not in folders:
            held.enter_context(locked(output))
        _bring(parts, output, command)
        photos = {key: photo for part in parts for key, photo in part.photos.items()}
        _append(parts, photos, output)
        if output in folders:
            forget_shards(output)
    problems = tuple(problem for part in parts for problem in part.problems)
    return Merged(output, len(parts), Counter(p.status for p in photos.values()), problems)


def _places(folders: Sequence[Path], output: Path | None) -> tuple[list[Path], Path]:
    """Return the folders of the parts, each once, and the output: if it is one of them, that."""
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"--merge: expected folders that --shard wrote, {folder} is none")
    if not folders or (output is None and len(folders) > 1):
        raise ConfigError(
            f"--merge: expected the folder of the parts, or several and -o OUT, got {len(folders)} "
            f"and no -o"
        )
    by_place: dict[Path, Path] = {}
    for folder in folders:
        by_place.setdefault(folder.resolve(), folder)
    target = folders[0] if output is None else output
    return list(by_place.values()), by_place.get(target.resolve(), target)


def _found(folders: Sequence[Path]) -> list[tuple[Path, Shard]]:
    """Return the parts that are there, in order.

    Raises:
        ConfigError: If they are not the parts of one run, each of them once.
    """
    found: dict[Shard, Path] = {}
    for folder in folders:
        for shard in shards_in(folder):
            if shard in found:
                raise ConfigError(
                    f"--merge: shard {shard} stands in {found[shard]} and in {folder}; name one"
                )
            found[shard] = folder
    if not found:
        where = ", ".join(map(str, folders))
        raise ConfigError(f"--merge: expected folders that --shard wrote, there is none in {where}")
    counts = sorted({shard.count for shard in found})
    if len(counts) > 1:
        parts = [min(shard for shard in found if shard.count == count) for count in counts]
        raise ConfigError(f"--merge: expected the parts of one run, got {named(parts)}")
    missing = set(range(counts[0])) - {shard.index for shard in found}
    if missing:
        lacking = [Shard(index, counts[0]) for index in missing]
        are = "is" if len(lacking) == 1 else "are"
        raise ConfigError(f"--merge: {named(lacking)} {are} not there; run what is missing first")
    return [(found[shard], shard) for shard in sorted(found)]


def _read(folder: Path, shard: Shard, number: int) -> _Part:
    """Return what the record of a part says.

    Raises:
        ConfigError: If it cannot be read, or holds a photo of another part.
    """
    part, common = _Part(folder, shard), ""
    with part.path.open("rb") as file:
        offset = 0
        for place, text in enumerate(file, start=1):
            start, offset = offset, offset + len(text)
            line, problem = parsed(text) if text.endswith(b"\n") else ({}, "it is cut off")
            if problem:
                part.problems.append(f"{part.path}: line {place} is left out: {problem}")
            elif "format_version" in line:
                if line["format_version"] != FORMAT_VERSION:
                    raise ConfigError(
                        f"{part.path}: manifest format {line['format_version']!r:.40}, "
                        f"this version reads {FORMAT_VERSION}"
                    )
                part.header, common = line, _common(line)
                date = str(line.get("date", ""))
                part.dates[common] = max(part.dates.get(common, ""), date)
            elif line.get("input") is not None:
                key = key_of(line)
                if not shard.has(key):
                    raise ConfigError(
                        f"{part.path}: line {place}: {shown(key)} is no photo of shard {shard}"
                    )
                part.photos[key] = _Photo(number, start, common, str(line.get("status")))
                source = source_of(line, folder)
                part.originals.setdefault(source.parent, source)
    return part


def _common(header: Line) -> str:
    """Return what a header says beside its part and its date, as JSON."""
    undated = {"date": ""} if "date" in header else {}
    return json.dumps(header | undated | {"shard": None})


def _check(parts: Sequence[_Part], command: str) -> None:
    """Refuse parts that do not make one run.

    Raises:
        ConfigError: If one has not ended, is of another command, or they differ in settings or in
            the photos they saw.
    """
    for part in parts:
        if (found := part.header.get("command", command)) != command:
            raise ConfigError(
                f"--merge: shard {part.shard} is one of a run of {found!r}: faceren {found} --merge"
            )
        said = part.header.get("shard") or {}
        if said.get("ended") is not True:
            raise ConfigError(
                f"--merge: shard {part.shard} has not ended: {len(part.photos):,} of "
                f"{said.get('photos', '?')} photos are recorded; run it again, it goes on"
            )
    first = parts[0]
    for part in parts[1:]:
        if part.header["shard"].get("listing") != first.header["shard"].get("listing"):
            raise ConfigError(
                f"--merge: shards {first.shard} and {part.shard} saw different photos; run all "
                f"parts again: what is done is skipped"
            )
    headers = [(part.shard, part.header) for part in parts]
    used = {photo.header: part.shard for part in parts for photo in part.photos.values()}
    headers += [(shard, json.loads(text)) for text, shard in used.items()]
    who, wanted = headers[0]
    for other, header in headers[1:]:
        if differing := _difference(wanted, header):
            raise ConfigError(
                f"--merge: shards {who} and {other} differ in {differing}; run one of them again "
                f"as the other"
            )


def _difference(one: Json, other: Json) -> str:
    """Return the first setting in which two headers differ; nothing if they agree."""
    for name in SETTINGS:
        mine, theirs = one.get(name), other.get(name)
        if mine != theirs and isinstance(mine, dict) and isinstance(theirs, dict):
            name = next(key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key))
            mine, theirs = mine.get(name), theirs.get(name)
        if mine != theirs:
            return f"{name}: {mine!r:.40} and {theirs!r:.40}"
    return ""


def _bring(parts: Sequence[_Part], output: Path, command: str) -> None:
    """Give the files of parts their places in the output folder, if they lie elsewhere.

    Raises:
        ConfigError: If one is gone, or a file is in its place that no run wrote.
    """
    away = [part for part in parts if part.folder != output]
    if not away:
        return
    own = next((part.shard for part in parts if part.folder == output), None)
    known = planned_before(output) | set(earlier_run(output, command, own, others=True).items)
    places = []
    for part in away:
        for key, line in _lines(part):
            if line.get("output"):
                source, target = inside(part.folder, key), inside(output, key)
                _check_brought(source, target, line, part, known=key in known)
                places.append((source, target))
        for name in BESIDE:
            for file in (part.folder / name).rglob("*"):
                if file.is_file() and not file.is_symlink():
                    key = file.relative_to(part.folder).as_posix()
                    places.append((file, inside(output, key)))
    for source, target in places:
        place_copy(source, target)


def _check_brought(source: Path, target: Path, line: Line, part: _Part, *, known: bool) -> None:
    if not source.is_file():
        raise ConfigError(
            f"--merge: {source} is gone, which shard {part.shard} wrote; run it again"
        )
    there = target.exists() or target.is_symlink()
    if known or not there or (target.is_file() and target.samefile(source)):
        return
    if target.is_symlink() or sha256_of(target) != line.get("output_sha256"):
        raise ConfigError(
            f"{target} is there already, and no earlier run into that folder wrote it; move it "
            f"away or choose another folder"
        )


def _lines(part: _Part) -> Iterator[tuple[str, Line]]:
    """Yield the latest line of each photo of a part."""
    with part.path.open("rb") as file:
        for key, photo in part.photos.items():
            yield key, parsed(_line_at(file, photo))[0]


def _line_at(file: BinaryIO, photo: _Photo) -> bytes:
    file.seek(photo.offset)
    return file.readline()


def _append(parts: Sequence[_Part], photos: dict[str, _Photo], output: Path) -> None:
    """Write the record: what it held, then the photos under the headers of their runs, by name."""
    path = output / MANIFEST_NAME
    groups: dict[str, list[str]] = {}
    for key in sorted(photos):
        groups.setdefault(photos[key].header, []).append(key)
    if not groups:  # none of the parts had anything to do
        groups = {} if path.exists() else {_common(parts[0].header): []}
    with ExitStack() as opened, atomic_path(path) as temporary:
        files = [opened.enter_context(part.path.open("rb")) for part in parts]
        with temporary.open("wb") as new:
            if path.exists():
                with path.open("rb") as old:  # a last line may be cut off
                    for line in old:
                        if line.endswith(b"\n"):
                            new.write(line)
            for text, keys in groups.items():
                header = json.loads(text)
                del header["shard"]
                if "date" in header:
                    header["date"] = max(part.dates.get(text, "") for part in parts)
                new.write(line_text(header).encode())
                for key in keys:
                    part = parts[photos[key].part]
                    raw = _line_at(files[photos[key].part], photos[key])
                    new.write(
                        raw if part.folder == output else _moved(raw, key, part.folder, output)
                    )


def _moved(raw: bytes, key: str, folder: Path, output: Path) -> bytes:
    line, _ = parsed(raw)
    line = relocated(line | {"input": spelled(source_of(line, folder))}, output)
    if line.get("output"):
        line["output"] = str(output / key)
    return line_text(line).encode()
