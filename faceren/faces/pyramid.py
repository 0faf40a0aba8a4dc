"""Search a whole picture at every size of face, from portrait to group photograph.

A detector knows faces of 16 to 512 pixels, so a picture is searched as a pyramid, each level
keeping the faces of its own size; large levels are searched in overlapping tiles, which bounds
memory.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from faceren.arrays import Rgb8
from faceren.faces.face import Face, Search, merged

COARSEST = 640
"""Long side in pixels of the coarsest level."""
LARGEST = 4.0
"""Most that a small picture is enlarged: a face of four pixels is none."""
TILE, OVERLAP = 1536, 256
"""Sides and overlap of the tiles in which a larger level is searched, in its pixels."""
TRUSTED = 160.0
"""Widest face, in a level's pixels, that a level finer than the coarsest may report: on finer
levels eyes and ears of a large face look like faces; coarser levels report it anyway."""


def search_levels(image: Rgb8, threshold: float, search: Search) -> list[Face]:
    """Return what a detector finds in a picture as it stands, the surest of each place.

    Args:
        image: (H, W, 3) uint8.
        threshold: Least confidence, in (0, 1).
        search: The detector.
    """
    found: list[Face] = []
    for level, scale in enumerate(levels(max(image.shape[:2]))):
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        size = [max(32, round(side * scale)) for side in image.shape[1::-1]]
        scaled = image if scale == 1 else cv2.resize(image, size, interpolation=method)
        found += [
            face.moved(1 / scale, 0, 0)
            for face in _search_tiled(np.asarray(scaled, np.uint8), threshold, search)
            if level == 0 or face.width <= TRUSTED
        ]
    return [face for face in merged(found) if _plausible(face, image.shape)]


def levels(long_side: int) -> list[float]:
    """Return the scales of the pyramid: COARSEST, doubled up to the picture's own size."""
    scales = [min(COARSEST / long_side, LARGEST)]
    while scales[-1] * 1.5 < 1:
        scales.append(min(1.0, scales[-1] * 2))
    return scales


def tiles(length: int) -> list[int]:
    """Return the starts of tiles that cover ``length`` pixels with at least OVERLAP in common."""
    if length <= TILE + OVERLAP:
        return [0]
    count = -(-(length - OVERLAP) // (TILE - OVERLAP))
    return [round(index * (length - TILE) / (count - 1)) for index in range(count)]


def _search_tiled(image: Rgb8, threshold: float, search: Search) -> Iterator[Face]:
    height, width = image.shape[:2]
    rows, columns = tiles(height), tiles(width)
    for top in rows:
        for left in columns:
            bottom = height if len(rows) == 1 else top + TILE
            right = width if len(columns) == 1 else left + TILE
            for face in search(np.ascontiguousarray(image[top:bottom, left:right]), threshold):
                yield face.moved(1.0, left, top)


def _plausible(face: Face, shape: tuple[int, ...]) -> bool:
    """Say whether the face lies in the picture and its landmarks span an area."""
    inside = np.all(
        (face.landmarks > -0.1 * face.width)
        & (face.landmarks < np.array([shape[1], shape[0]]) + 0.1 * face.width)
    )
    spread = np.ptp(face.landmarks, axis=0)
    return bool(inside) and float(spread.min()) > 0.1 * face.width
