"""Search a whole picture at every size of face, from portrait to group photograph.

A detector knows faces of 16 to 512 pixels, so a picture is searched as a pyramid, each level
keeping the faces of its own size; large levels are searched in overlapping tiles, which bounds
memory. Of a scanned page the prints that lie on it are told apart: each is judged by itself, not by
the page's mean.
"""

from collections.abc import Iterator, Sequence

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
    known: Sequence[Face] = (),
    long_side: int = 0,
) -> list[Face]:
    """Return what a detector finds in a picture as it stands, the surest of each place.

    Args:
        image: (H, W, 3) uint8.
        threshold: Least confidence, in (0, 1).
        search: The detector.
        coarse: What ``search_coarsest`` has found in this picture, if it was asked already.
        known: Faces that the picture has shown in another turn. Levels that only narrower ones
            need are left out; they themselves may be a crowd.
        long_side: Of the picture that this is a part of, which decides the levels; 0: of itself.
    """
    first, *finer = levels(long_side or max(image.shape[:2]))
    found = list(_level(image, first, threshold, search) if coarse is None else coarse)
    before, smallest = first, min((min(f.width, f.height) for f in known), default=0.0)
    for scale in finer:
        if before * smallest >= SEEN:
            break
        narrow = sum(face.width * before < SEEN for face in (*merged(found), *known))
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


PAGE_SIDE = 512
"""Long side in pixels at which a page is looked at."""
UNLIKE_PAPER = 24
"""Least difference from the paper, in levels of any channel, of what lies on it."""
PLAIN = 0.6
"""Share of the page's edge that has to be plain paper: else the picture is no page."""
LEAST_AREA = 0.01
"""Of a print, as a share of the page."""
FILLED = 0.75
"""Share that a print fills of the turned rectangle around it."""

Box = tuple[int, int, int, int]


def prints_on(image: Rgb8) -> list[Box]:
    """Return the prints on a page of plain paper, as boxes x0, y0, x1, y1; none of a single photo.

    Args:
        image: (H, W, 3) uint8.
    """
    return lying_on(image)[0]


def lying_on(image: Rgb8) -> tuple[list[Box], list[Box]]:
    """Return what ``prints_on`` does, and boxes around all that lies on the page, prints or not.

    Args:
        image: (H, W, 3) uint8.
    """
    scale = min(1.0, PAGE_SIDE / max(image.shape[:2]))
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    edge = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    paper = np.median(edge, axis=0)
    if (np.abs(edge - paper).max(1) < UNLIKE_PAPER).mean() < PLAIN:
        return [], []
    low, high = np.floor(paper - UNLIKE_PAPER) + 1, np.ceil(paper + UNLIKE_PAPER) - 1
    on_it = (cv2.inRange(small, low, high) == 0).astype(np.uint8)
    closed = np.asarray(cv2.morphologyEx(on_it, cv2.MORPH_CLOSE, np.ones((5, 5))), np.uint8)
    prints, things = [], []
    for shape in cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]:
        x, y, width, height = cv2.boundingRect(shape)
        edges = (x, y, x + width, y + height)
        box = tuple(round(edge / scale) for edge in edges)
        things.append((box[0], box[1], box[2], box[3]))
        area, (_, sides, _) = cv2.contourArea(shape), cv2.minAreaRect(shape)
        if area >= LEAST_AREA * on_it.size and area >= FILLED * sides[0] * sides[1]:
            prints.append(things[-1])
    return prints if len(prints) > 1 else [], things


def print_of(face: Face, prints: list[Box], image: Rgb8) -> Rgb8:
    """Return the part of a page that is the print a face is on; the page if it is on none.

    Args:
        face: In pixels of the page.
        prints: See ``prints_on``.
        image: (H, W, 3) uint8.
    """
    x, y = face.landmarks.mean(0)
    on = [box for box in prints if box[0] <= x < box[2] and box[1] <= y < box[3]]
    if not on:
        return image
    x0, y0, x1, y1 = min(on, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
    return image[y0:y1, x0:x1]
