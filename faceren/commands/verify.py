"""``--verify``: every file that earlier runs of ``restore`` recorded, compared with its hash.

In a store, too, where all of them are read for it: versions tell whether an object was replaced,
not whether it still has its bytes.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from faceren.checks import Json
from faceren.errors import FacerenError, NothingToDoError, told
from faceren.files import sha256_of
from faceren.images import shown
from faceren.runs.disk_or_store import Files, folders_of
from faceren.runs.manifest import (
    MANIFEST_NAME,
    TORN,
    Manifest,
    is_torn,
    output_of,
    read_run,
    source_of,
)
from faceren.runs.storage import Storage, is_stored, spelled
from faceren.runs.stored import THREADS, in_order

State = Literal["same", "changed", "gone", "unreadable", "unknown", "none"]
"""Of a file against its record; ``unknown``: no hash is recorded, ``none``: there was no file."""


@dataclass(frozen=True)
class Verified:
    """A photo of the record, compared with its files."""

    key: str
    input: State
    """``gone`` is no difference: originals may lie elsewhere by now."""
    output: State
    differences: tuple[str, ...]
    """What is not as it was recorded, one sentence each."""

    def to_json(self) -> Json:
        """Return what ``--json`` prints."""
        return {
            "key": self.key,
            "input": self.input,
            "output": self.output,
            "differences": list(self.differences),
        }


@dataclass(frozen=True)
class Verification:
    """A record, read; iterating over ``results`` reads the files."""

    total: int
    problems: tuple[str, ...]
    """Lines of the record that are damaged: what they recorded cannot be checked."""
    results: Iterator[Verified]


def verify(output: Path) -> Verification:
    """Compare every file that earlier runs of ``restore`` recorded with its hash; change nothing.

    Args:
        output: The folder that they wrote, on a disk or in a store.

    Raises:
        ConfigError: If the folder has no manifest of ``restore``, or it cannot be read.
        NothingToDoError: If nothing is recorded.
        MachineError: If it is in a store that cannot be listed or read.
    """
    files = Files([output])
    if is_stored(output):
        from faceren.commands.stored import stored_run
        from faceren.runs.segments import unmerged

        target = Storage(output)
        there, _ = unmerged(target, target.listing())
        manifest = stored_run(target, there)
        files.know([output, *folders_of(Path(line["input"]) for line in manifest.items.values())])
    else:
        manifest = read_run(output, "restore")
        if is_torn(output / MANIFEST_NAME):
            manifest.problems.append(TORN)
    keys = sorted(manifest.items)
    if not keys and not manifest.problems:
        raise NothingToDoError(f"{spelled(output)}: its record names no photo to compare")
    results = _each_verified(keys, manifest, output, files)
    return Verification(len(keys), tuple(manifest.problems), results)


def _each_verified(
    keys: Sequence[str], manifest: Manifest, output: Path, files: Files
) -> Iterator[Verified]:
    work = partial(_verified, manifest, output, files)
    if not is_stored(output):
        yield from map(work, keys)
        return
    with ThreadPoolExecutor(THREADS) as pool:
        yield from in_order(pool, work, keys)


def _verified(manifest: Manifest, output: Path, files: Files, key: str) -> Verified:
    line = manifest.items[key]
    made: Path | None
    if is_stored(output):
        source, made = Path(line["input"]), output / key
    else:
        source, made = source_of(line, output), output_of(line, output)
    before, why = _compared(source, str(line.get("input_sha256") or ""), files)
    if line.get("status") == "failed" and before == "unknown":
        before = "none"  # it could not be read then, and its reason says so
    differs = before not in ("same", "gone", "none")
    told_of = [f"the original {why}: {shown(spelled(source))}"] * differs
    after: State = "none"
    if line.get("output"):
        after, why = "unknown", "is recorded outside of the folder"
        if made is not None:
            after, why = _compared(made, str(line.get("output_sha256") or ""), files)
        told_of += [f"{shown(key)}: the output {why}"] * (after != "same")
    return Verified(key, before, after, tuple(told_of))


def _compared(path: Path, digest: str, files: Files) -> tuple[State, str]:
    """Return how a file stands to its recorded hash, and the same in words."""
    if not files.exists(path):
        return "gone", "is gone"
    if not digest:
        return "unknown", "has no hash in the record"
    try:
        with files.local(path) as here:
            same = sha256_of(here) == digest
    except (OSError, FacerenError) as error:
        why = told(error) if isinstance(error, OSError) else str(error)
        return "unreadable", f"cannot be read ({why})"
    return ("same", "") if same else ("changed", "has changed since the run")
