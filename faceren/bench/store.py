"""Finished rows on disk, so that an interrupted benchmark goes on where it stopped."""

import hashlib
import json
from pathlib import Path
from typing import Any

from faceren.files import atomic_write


def key_of(parts: dict[str, Any]) -> str:
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

    def get(self, key: str) -> dict[str, Any] | None:
        """Return a finished row; None if there is none, or its file is no JSON object."""
        try:
            row = json.loads((self.folder / f"{key}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return row if isinstance(row, dict) else None

    def put(self, key: str, row: dict[str, Any]) -> None:
        """Keep a finished row.

        Raises:
            MachineError: If it cannot be written.
        """
        text = json.dumps(row, ensure_ascii=False, indent=1)
        atomic_write(self.folder / f"{key}.json", (text + "\n").encode())
