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


LARGE, HALF = 4_000_000, 0.5
"""In a picture of more pixels, levels finer than half its size are searched for a crowd alone: of a
face of 24 pixels the detector sees at half that size enough to have it looked at closely."""
SEEN, CROWD = 24.0, 12
"""Width in a level's pixels from which a face is surely seen; more narrower ones are a crowd."""


def search_levels(
    image: Rgb8,
    threshold: float,
    search: Search,
    *,
    coarse: list[Face] | None = None,
    smallest: float = 0.0,
) -> list[Face]:
    """Return what a detector finds in a picture as it stands, the surest of each place.

    Args:
        image: (H, W, 3) uint8.
        threshold: Least confidence, in (0, 1).
        search: The detector.
        coarse: What ``search_coarsest`` has found in this picture, if it was asked already.
        smallest: Width in pixels of the narrowest faces to be seen surely; 0 is any. Levels that
            only narrower ones need are left out.
    """
    first, *finer = levels(max(image.shape[:2]), large=is_large(image))
    found = search_coarsest(image, threshold, search) if coarse is None else list(coarse)
    before = first
    for scale in finer:
        if before * smallest >= SEEN:
            break
        narrow = sum(face.width * before < SEEN for face in merged(found))
        if is_large(image) and before >= HALF and narrow <= CROWD:
            break
        found += [f for f in _level(image, scale, threshold, search) if f.width * scale <= TRUSTED]
        before = scale
    return [face for face in merged(found) if _plausible(face, image.shape)]


def search_coarsest(image: Rgb8, threshold: float, search: Search) -> list[Face]:
    """Return what a detector finds in the coarsest level alone.

    Args:
        image: (H, W, 3) uint8.
        threshold: Least confidence, in (0, 1).
        search: The detector.
    """
    return _level(image, levels(max(image.shape[:2]))[0], threshold, search)


def is_large(image: Rgb8) -> bool:
    """Say whether a picture's finest levels are searched for crowds alone."""
    return image.shape[0] * image.shape[1] > LARGE


def levels(long_side: int, *, large: bool = False) -> list[float]:
    """Return the scales of the pyramid: COARSEST, doubled up to the picture's own size.

    Args:
        long_side: Of the picture, in pixels.
        large: Whether HALF has to be one of them.
    """
    scales = [min(COARSEST / long_side, LARGEST)]
    while scales[-1] * 1.5 < 1:
        finer = min(1.0, scales[-1] * 2)
        scales.append(HALF if large and scales[-1] < HALF < finer else finer)
    return scales


def _level(image: Rgb8, scale: float, threshold: float, search: Search) -> list[Face]:
    """Return what is found in a picture brought to a scale, in pixels of the picture."""
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    size = [max(32, round(side * scale)) for side in image.shape[1::-1]]
    scaled = image if scale == 1 else cv2.resize(image, size, interpolation=method)
    found = _search_tiled(np.asarray(scaled, np.uint8), threshold, search)
    return [face.moved(1 / scale, 0, 0) for face in found]


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
