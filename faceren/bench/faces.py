"""The clean faces of a benchmark: which files, and what identifies them as a set."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from faceren.errors import ConfigError, NothingToDoError
from faceren.files import sha256_of
from faceren.images import Found, find_images


@dataclass(frozen=True)
class FaceSet:
    """Clean aligned faces, in a fixed order."""

    folder: Path
    found: tuple[Found, ...]

    def __len__(self) -> int:
        return len(self.found)

    @cached_property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file, by its path below the folder."""
        return {item.relative.as_posix(): sha256_of(item.path) for item in self.found}

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that change with any name or byte."""
        lines = "".join(f"{name} {value}\n" for name, value in self.hashes.items())
        return hashlib.sha256(lines.encode()).hexdigest()[:16]

    def names(self, count: int) -> list[str]:
        """Return the paths of ``count`` faces, evenly chosen, as degraded: PNG files."""
        step = max(1, len(self.found) // max(1, count))
        return [i.relative.with_suffix(".png").as_posix() for i in self.found[::step][:count]]


def face_set(folder: Path, limit: int | None = None) -> FaceSet:
    """Return the first ``limit`` images of a folder, sub-folders searched.

    Raises:
        ConfigError: If there is no such folder.
        NothingToDoError: If there is no image in it.
    """
    if not folder.exists():
        raise ConfigError(f"{folder}: no such folder; give a folder of aligned clean faces")
    found = tuple(find_images([folder]))[:limit]
    if not found:
        raise NothingToDoError(f"no image found in {folder}; expected aligned clean faces")
    return FaceSet(folder, found)
