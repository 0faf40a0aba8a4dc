"""Which of the places that the detector names are marks: each is looked at by itself.

A lamp that is taken away is worse than a scratch that stays, so a component has to pass every gate;
what it failed is written down. Shape letters: H and W pixels of the page, h and w of a component.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from faceren.arrays import LUMA, Plane, Rgb8
from faceren.config import Mark
from faceren.faces.face import Face
from faceren.images import Box
from faceren.restoration.repair.finder import Marked
from faceren.restoration.repair.texture import detail_around

DENSE = 0.04
"""Share of a neighbourhood that candidates cover, from which each has to be more certain: a beard,
knitting, lace."""
NEIGHBOURHOOD = 16
"""Side of that neighbourhood, as how many of them lie along the page's shorter side."""
LEAST_CONTRAST = 8.0
"""Levels by which a mark differs from what is around."""
OF_SIDES = 1.3
"""A mark differs from both of its sides so many times as much as they from one another; a collar's
edge or a hair line before a wall does not."""
WIDEST = 0.03
"""Of the page's shorter side: what is wider is a thing, or a loss that no line can bridge."""
SPANNED = 12.0
"""Pixels of the widest gap that is filled by lines; see the figures of the benchmark."""
SMALLEST = 3
"""Pixels of the smallest mark."""
LONG = 3.0
"""Length over width from which a mark is a line."""
ACROSS = 0.6
"""Length of a straight line, as a share of the shorter side, from which it is a crease."""
BUSY = 0.12
"""Share of fine details around a mark from which it may be one of them: foliage, gravel, hair."""
INSIDE_ZONE = 0.35
"""Share of a component in eyes, nose or mouth from which it is part of the face."""
ZONES = (0.42, 0.42, 0.34, 0.34, 0.34)
"""Radius of what is protected around each landmark, in distances of the eyes."""
SAMPLES = 400
"""Pixels of a component at which its contrast is measured."""
WIDE_COMPONENT = 1 << 22
"""Pixels of a component's box beyond which it is not told from what lies inside its outline."""


@dataclass(frozen=True)
class Thresholds:
    """How certain the detector has to be, of 255."""

    certain: int
    """Somewhere in a component."""
    likely: int
    """In all of it."""
    dense: int
    """Somewhere in a component among many."""
    busy: float = BUSY
    """Share of fine details around a component beyond which it stays."""


AUTO = Thresholds(certain=253, likely=190, dense=255)
STRONG = Thresholds(certain=217, likely=128, dense=242, busy=1.0)


@dataclass(frozen=True)
class Component:
    """One connected place that the detector has named."""

    box: Box
    """In pixels of the page as it is seen."""
    pixels: NDArray[np.bool_]
    """(h, w): which of the box."""
    mark: Mark
    width: float
    """Its widest place, pixels."""
    certainty: float
    """The detector's, at its surest pixel, in [0, 1]."""
    left: str = ""
    """Why it stays as it is; nothing if it is to be filled."""

    @property
    def area(self) -> int:
        """How many pixels it has."""
        return int(self.pixels.sum())


def components_of(
    marked: Marked, image: Rgb8, faces: Sequence[Face], thresholds: Thresholds
) -> Iterator[Component]:
    """Yield what the detector has named and what is to be said about each, from the top.

    Args:
        marked: (H, W), probabilities.
        image: (H, W, 3), the page as it is seen.
        faces: Faces on it.
        thresholds: How certain it has to be.
    """
    candidates = (marked >= thresholds.likely).astype(np.uint8)
    crowd, detail = _crowd(candidates), detail_around(image, candidates)
    zones = [zone for face in faces for zone in zones_of(face)]
    outlines, _ = cv2.findContours(candidates, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for outline in outlines:
        x, y, w, h = cv2.boundingRect(outline)
        pixels = _pixels(candidates[y : y + h, x : x + w], outline - (x, y))
        surest = int(marked[y : y + h, x : x + w][pixels].max())
        if surest >= thresholds.certain and pixels.sum() >= SMALLEST:
            found.append(((x, y, x + w, y + h), pixels, surest))
    for box, pixels, surest in sorted(found, key=lambda one: one[0][1::-1]):
        part = _judged(box, pixels, surest, image, candidates, crowd, zones, thresholds)
        busy = _median_of(detail, box, pixels, image.shape[:2])
        if not part.left and busy > thresholds.busy:
            part = replace(part, left=f"busy: fine detail around it ({busy:.0%})")
        yield part


def zones_of(face: Face) -> list[tuple[float, float, float]]:
    """Return the protected circles of a face: x, y and radius of eyes, nose and mouth corners."""
    points = face.landmarks
    unit = float(np.hypot(*(points[1] - points[0])))
    # seen from the side, the eyes are near one another and the face is no smaller
    unit = max(unit, float(np.hypot(*(points[3:].mean(0) - points[:2].mean(0)))) * 0.8)
    zones = [(float(x), float(y), r * unit) for (x, y), r in zip(points, ZONES, strict=True)]
    (x0, y0), (x1, y1) = points[3], points[4]
    return [*zones, (float(x0 + x1) / 2, float(y0 + y1) / 2, ZONES[3] * unit)]


def _judged(
    box: Box,
    pixels: NDArray[np.bool_],
    surest: int,
    image: Rgb8,
    candidates: NDArray[np.uint8],
    crowd: Plane,
    zones: Sequence[tuple[float, float, float]],
    thresholds: Thresholds,
) -> Component:
    """Return a component with what it is, and the first gate that it fails."""
    padded = np.pad(pixels.astype(np.uint8), 1)
    width = 2 * float(cv2.distanceTransform(padded, cv2.DIST_L2, 5).max()) - 1
    contrast, sides = _contrast(box, pixels, image, candidates, width)
    mark = _kind(pixels, width, contrast, min(image.shape[:2]))
    left = ""
    if width > WIDEST * min(image.shape[:2]) or width > SPANNED:
        left = f"wide: {width:.0f} pixels"
    elif abs(contrast) < max(LEAST_CONTRAST, OF_SIDES * sides):
        left = f"faint: {abs(contrast):.0f} levels, its sides differ by {sides:.0f}"
    elif surest < thresholds.dense and _around(crowd, box, image.shape[:2]) > DENSE:
        left = "dense: one of many"
    elif (share := _in_zones(box, pixels, zones)) > INSIDE_ZONE:
        left = f"face: {share:.0%} of it in eyes, nose or mouth"
    return Component(box, pixels, mark, round(width, 1), surest / 255, left)


def _pixels(part: NDArray[np.uint8], outline: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which pixels of a part belong to the component with an outline."""
    if part.size > WIDE_COMPONENT:
        inside = np.zeros(part.shape, np.uint8)
        cv2.drawContours(inside, [outline], -1, 1, cv2.FILLED)
        return (inside & part) > 0
    _, labels = cv2.connectedComponents(part, connectivity=8)
    x, y = outline[0, 0]
    return np.asarray(labels == labels[y, x])


def _contrast(
    box: Box,
    pixels: NDArray[np.bool_],
    image: Rgb8,
    candidates: NDArray[np.uint8],
    width: float,
) -> tuple[float, float]:
    """Return by how many levels a component differs from its sides, and they from one another.

    At each of some of its pixels the two sides are looked for in four directions, just beyond the
    mark; the nearest pair counts. Medians over these pixels.
    """
    rows, columns = np.nonzero(pixels)
    step = max(1, len(rows) // SAMPLES)
    rows, columns = rows[::step] + box[1], columns[::step] + box[0]
    here = _luma(image, rows, columns)
    best = np.full(len(rows), np.inf)
    difference, between = np.zeros(len(rows)), np.zeros(len(rows))
    far = int(np.ceil(width)) + 2
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        lengths, values = [], []
        for sign in (1, -1):
            length, value = _beyond(
                image, candidates, rows, columns, (sign * down, sign * right), far
            )
            lengths.append(length)
            values.append(value)
        across = (lengths[0] + lengths[1]) * np.hypot(down, right)
        nearer = across < best
        best[nearer] = across[nearer]
        difference[nearer] = (here - (values[0] + values[1]) / 2)[nearer]
        between[nearer] = np.abs(values[0] - values[1])[nearer]
    known = np.isfinite(best)
    if not known.any():
        return 0.0, 0.0
    return float(np.median(difference[known])), float(np.median(between[known]))


def _beyond(
    image: Rgb8,
    candidates: NDArray[np.uint8],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    step: tuple[int, int],
    far: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how many steps it is from pixels to two beyond the mark, and the luma there."""
    height, width = candidates.shape
    lengths, values = np.full(len(rows), np.inf), np.zeros(len(rows))
    for number in range(1, far + 1):
        y, x = rows + number * step[0], columns + number * step[1]
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        y, x = y.clip(0, height - 1), x.clip(0, width - 1)
        y2, x2 = (y + step[0]).clip(0, height - 1), (x + step[1]).clip(0, width - 1)
        out = inside & (candidates[y, x] == 0) & ~np.isfinite(lengths)
        # the rim of a mark is half of it: one pixel further, if that is free, too
        free = candidates[y2, x2] == 0
        values[out] = np.where(free, _luma(image, y2, x2), _luma(image, y, x))[out]
        lengths[out] = number
    return lengths, values


def _luma(image: Rgb8, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
    return np.asarray(image[rows, columns] @ LUMA, np.float64)


def _kind(pixels: NDArray[np.bool_], width: float, contrast: float, short: int) -> Mark:
    """Return what a component is, by its shape."""
    area = float(pixels.sum())
    length = area / max(width * 0.7, 1)
    if length < LONG * width:
        if width > SPANNED:
            return Mark.LOSS
        return Mark.BRIGHT_DUST if contrast > 0 else Mark.DARK_DUST
    span = float(np.hypot(*pixels.shape))
    if span > ACROSS * short and length < 1.6 * span:
        return Mark.CREASE
    return Mark.LINE


def _crowd(candidates: NDArray[np.uint8]) -> Plane:
    """Return the share of candidates in each cell of a grid, about 1 in NEIGHBOURHOOD wide."""
    side = max(1, min(candidates.shape) // NEIGHBOURHOOD)
    down, across = (max(1, length // side) for length in candidates.shape)
    share = cv2.resize(candidates * 255, (across, down), interpolation=cv2.INTER_AREA)
    return np.asarray(share / 255, np.float32)


def _median_of(plane: Plane, box: Box, pixels: NDArray[np.bool_], shape: tuple[int, int]) -> float:
    """Return the median of a small plane of the page over the pixels of a component."""
    rows, columns = np.nonzero(pixels)
    places = [
        ((at + start) * length // full).clip(0, length - 1)
        for at, start, length, full in zip(
            (rows, columns), box[1::-1], plane.shape, shape, strict=True
        )
    ]
    return float(np.median(plane[places[0], places[1]]))


def _around(crowd: Plane, box: Box, shape: tuple[int, int]) -> float:
    """Return the share of candidates where a component's middle lies."""
    y = (box[1] + box[3]) / 2 / shape[0] * len(crowd)
    x = (box[0] + box[2]) / 2 / shape[1] * crowd.shape[1]
    return float(crowd[min(int(y), len(crowd) - 1), min(int(x), crowd.shape[1] - 1)])


def _in_zones(
    box: Box, pixels: NDArray[np.bool_], zones: Sequence[tuple[float, float, float]]
) -> float:
    """Return the share of a component that lies in protected circles."""
    near = [
        z for z in zones
        if box[0] - z[2] < z[0] < box[2] + z[2] and box[1] - z[2] < z[1] < box[3] + z[2]
    ]  # fmt: skip
    if not near:
        return 0.0
    rows, columns = np.nonzero(pixels)
    inside = np.zeros(len(rows), bool)
    for x, y, radius in near:
        inside |= np.hypot(columns + box[0] - x, rows + box[1] - y) < radius
    return float(inside.mean())
