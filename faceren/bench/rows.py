"""What a benchmark yields: rows, each of one section of the report; finished ones are kept on disk.

A row on disk is how an interrupted benchmark goes on where it stopped.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from faceren.checks import Json
from faceren.files import atomic_write


def plain(record: Any) -> Json:
    """Return the fields of a dataclass as JSON has them: paths are text, tuples are lists."""
    fields: Json = json.loads(json.dumps(asdict(record), default=str))
    return fields


@dataclass(frozen=True)
class Row(ABC):
    """One measured line; every suite yields frozen dataclasses of this kind."""

    section: ClassVar[str]
    """List of the report that the row belongs to."""

    def to_json(self) -> Json:
        """Return the row's numbers and names, by the names of its fields."""
        return plain(self)

    @abstractmethod
    def line(self) -> str:
        """Return the row as it is shown while the benchmark goes on."""


@dataclass(frozen=True)
class LeftOut(Row):
    """Something that was not measured here, and why."""

    section: ClassVar[str] = "left_out"
    what: str
    why: str
    failed: bool = False
    """It was asked for, and failed."""

    def line(self) -> str:
        """Return one sentence."""
        return f"{'failed' if self.failed else 'left out'}: {self.what} ({self.why})"


def key_of(parts: Json) -> str:
    """Return 16 hexadecimal digits that change with anything that a row depends on."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class RowStore:
    """Rows by key, each a file of its own.

    Args:
        folder: Where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> Json | None:
        """Return a finished row; None if there is none, or its file is no JSON object."""
        try:
            row = json.loads((self.folder / f"{key}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return None
        return row if isinstance(row, dict) else None

    def put(self, key: str, row: Json) -> None:
        """Keep a finished row.

        Raises:
            MachineError: If it cannot be written.
        """
        text = json.dumps(row, ensure_ascii=False, indent=1)
        atomic_write(self.folder / f"{key}.json", (text + "\n").encode("utf-8", "backslashreplace"))
