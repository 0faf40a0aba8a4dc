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
"""Longest sides and overlap of the tiles in which a larger level is searched, in its pixels."""
TRUSTED = 160.0
"""Widest face, in a level's pixels, that a level finer than the coarsest may report: on finer
levels eyes and ears of a large face look like faces; coarser levels report it anyway."""
HALF = 0.5
"""Share of a picture's size up to which it is always searched: of a face of 24 pixels the detector
sees at half its size enough to have it looked at closely. Finer levels are for crowds alone."""
NEAR = 1.3
"""HALF itself follows a level that is smaller by a factor of between this and twice this."""
SEEN, CROWD = 24.0, 2
"""Width in a level's pixels from which a face is surely seen; more narrower ones are a crowd."""


def search_levels(
    image: Rgb8,
    threshold: float,
    search: Search,
    *,
    coarse: list[Face] | None = None,
    smallest: float = 0.0,
    long_side: int = 0,
) -> list[Face]:
    """Return what a detector finds in a picture as it stands, the surest of each place.

    Args:
        image: (H, W, 3) uint8.
        threshold: Least confidence, in (0, 1).
        search: The detector.
        coarse: What ``search_coarsest`` has found in this picture, if it was asked already.
        smallest: Width in pixels of the narrowest faces to be seen surely; 0 is any. Levels that
            only narrower ones need are left out.
        long_side: Of the picture that this is a part of, which decides the levels; 0: of itself.
    """
    first, *finer = levels(long_side or max(image.shape[:2]))
    found = list(_level(image, first, threshold, search) if coarse is None else coarse)
    before = first
    for scale in finer:
        if before * smallest >= SEEN:
            break
        narrow = sum(face.width * before < SEEN for face in merged(found))
        if before >= HALF and narrow <= CROWD:
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


def levels(long_side: int) -> list[float]:
    """Return the scales of the pyramid: COARSEST, doubled up to HALF, and the picture's own size.

    Args:
        long_side: Of the picture, in pixels.
    """
    scales = [min(COARSEST / long_side, LARGEST)]
    while scales[-1] < HALF / NEAR:
        scales.append(2 * scales[-1])
    if scales[0] < HALF:
        scales[-1] = HALF
    return scales if scales[-1] * 1.2 >= 1 else [*scales, 1.0]


def always_seen(long_side: int) -> float:
    """Return the scale of the finest level in which a picture is always searched, at most 1.

    Args:
        long_side: Of the picture, in pixels.
    """
    scales = levels(long_side)
    return min(1.0, next(scale for scale in scales if scale >= HALF))


def _level(image: Rgb8, scale: float, threshold: float, search: Search) -> list[Face]:
    """Return what is found in a picture brought to a scale, in pixels of the picture."""
    found = _search_tiled(_scaled(image, scale), threshold, search)
    return [face.moved(1 / scale, 0, 0) for face in found]


def _scaled(image: Rgb8, scale: float) -> Rgb8:
    """Return a picture brought to a scale; halving it first takes a tenth of the time."""
    while scale <= HALF and min(image.shape[:2]) >= 64:
        height, width = (side // 2 for side in image.shape[:2])
        even = image[: 2 * height, : 2 * width]
        image = np.asarray(
            cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8
        )
        scale *= 2
    if scale == 1:
        return image
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    size = [max(32, round(side * scale)) for side in image.shape[1::-1]]
    return np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)


def tiles(length: int) -> list[tuple[int, int]]:
    """Return starts and ends of tiles that cover ``length`` pixels, OVERLAP of them in common."""
    if length <= TILE + OVERLAP:
        return [(0, length)]
    count = -(-(length - OVERLAP) // (TILE - OVERLAP))
    side = -(-(length - OVERLAP) // count) + OVERLAP
    starts = [round(index * (length - side) / (count - 1)) for index in range(count)]
    return [(start, start + side) for start in starts]


def _search_tiled(image: Rgb8, threshold: float, search: Search) -> Iterator[Face]:
    for top, bottom in tiles(image.shape[0]):
        for left, right in tiles(image.shape[1]):
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
