"""A photo before and after as one picture, to be shown to others."""

from pathlib import Path

import numpy as np

from faceren.arrays import Rgb8
from faceren.errors import ImageError
from faceren.files import sha256_of
from faceren.images import read_photo, shown
from faceren.pages.comparison import overview
from faceren.pages.contact_sheet import Cell, contact_sheet
from faceren.pages.page import jpeg
from faceren.runs.manifest import Line, output_of, source_of

SIDE = 1600
"""Longest side in pixels of each of the two."""
QUALITY = 92


def pair_of(line: Line, output: Path, max_pixels: int) -> bytes:
    """Return a JPEG of a photo before and after, side by side.

    Args:
        line: Of the record.
        output: The folder that was restored into.
        max_pixels: Refuse larger photos.

    Raises:
        ImageError: If a file is gone, has changed, or cannot be read.
    """
    before = _shown(source_of(line, output), str(line.get("input_sha256")), max_pixels)
    after = _shown(output_of(line, output), str(line.get("output_sha256")), max_pixels)
    side = max(before.shape[:2])
    sheet = contact_sheet([[Cell(before, "before"), Cell(after, "after")]], side=side)
    return jpeg(np.ascontiguousarray(sheet), QUALITY)


def _shown(path: Path | None, digest: str, max_pixels: int) -> Rgb8:
    if path is None or not path.is_file() or sha256_of(path) != digest:
        name = "a file" if path is None else shown(path)
        raise ImageError(f"{name} is gone, or has changed since it was restored")
    return overview(read_photo(path, max_pixels=max_pixels), SIDE)
