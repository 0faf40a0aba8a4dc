"""``faceren restore --verify``: is everything that a run has recorded still as it was?"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from faceren.checks import Json
from faceren.errors import told
from faceren.files import sha256_of
from faceren.images import shown
from faceren.runs.manifest import Line, output_of, read_run, source_of

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
        output: The folder that they wrote.

    Raises:
        ConfigError: If the folder has no manifest of ``restore``, or it cannot be read.
    """
    manifest = read_run(output, "restore")
    keys = sorted(manifest.items)
    results = (_verified(key, manifest.items[key], output) for key in keys)
    return Verification(len(keys), tuple(manifest.problems), results)


def _verified(key: str, line: Line, output: Path) -> Verified:
    source, made = source_of(line, output), output_of(line, output)
    before, why = _compared(source, str(line.get("input_sha256") or ""))
    if line.get("status") == "failed" and before == "unknown":
        before = "none"  # it could not be read then, and its reason says so
    told_of = [f"the original {why}: {shown(source)}"] * (before not in ("same", "gone", "none"))
    after: State = "none"
    if line.get("output"):
        after, why = "unknown", "is recorded outside of the folder"
        if made is not None:
            after, why = _compared(made, str(line.get("output_sha256") or ""))
        told_of += [f"{shown(key)}: the output {why}"] * (after != "same")
    return Verified(key, before, after, tuple(told_of))


def _compared(path: Path, digest: str) -> tuple[State, str]:
    """Return how a file stands to its recorded hash, and the same in words."""
    if not path.exists():
        return "gone", "is gone"
    if not digest:
        return "unknown", "has no hash in the record"
    try:
        same = sha256_of(path) == digest
    except OSError as error:
        return "unreadable", f"cannot be read ({told(error)})"
    return ("same", "") if same else ("changed", "has changed since the run")
