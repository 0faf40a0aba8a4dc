"""Which of the places that the detector names are marks: each is looked at by itself.

A lamp that is taken away is worse than a scratch that stays, so a component has to pass every gate;
what it failed is written down. ``evidence`` says how likely it is a mark at all. Shape letters: H
and W pixels of the page, h and w of a component.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from faceren.arrays import Plane, Rgb8
from faceren.config import Mark
from faceren.faces.face import Face
from faceren.images import Box
from faceren.restoration.repair.evidence import (
    RIM,
    WIDEST_RIM,
    Evidence,
    Ground,
    alone,
    gathered,
    ground_of,
    likelihood,
    rim_of,
)
from faceren.restoration.repair.finder import Marked
from faceren.restoration.repair.observer import load_observer
from faceren.restoration.repair.texture import detail_around

CERTAIN, LIKELY = 160, 128
"""How certain the detector has to be, of 255: somewhere in a component, and in all of it."""
LEAST_CONTRAST = 8.0
"""Levels by which a mark differs from what is around."""
OF_SIDES = 1.3
"""A mark differs from both of its sides so many times as much as they from one another; a collar's
edge or a hair line before a wall does not."""
WIDEST = 0.03
"""Of the page's shorter side: what is wider is a thing, or a loss that no line can bridge."""
SPANNED = 12.0
"""Pixels of the widest gap that is filled by lines; see the figures of the benchmark."""
CORNERS = 2
"""Pixels by which the corners of a wide place stick out."""
SMALLEST = 3
"""Pixels of the smallest mark."""
LONG = 3.0
"""Length over width from which a mark is a line."""
ACROSS = 0.6
"""Length of a straight line, as a share of the shorter side, from which it is a crease."""
INSIDE_ZONE = 0.35
"""Share of a component in eyes, nose or mouth from which it is part of the face, however far it
runs beyond: glasses do."""
ZONES = (0.42, 0.42, 0.34, 0.34, 0.34)
"""Radius of what is protected around each landmark, in distances of the eyes."""
MARGIN = WIDEST_RIM + 1
"""Pixels around what is protected: a mask is wider than what is named."""
CELLS = 16
"""Cells along the page's shorter side in which marks are counted."""
ALL_OVER = 0.25
"""Share of the cells with a mark from which the marks are the picture: stars, foam, a pattern. On
worn pictures that thresholds were chosen by it was .11 at most."""
WIDE_COMPONENT = 1 << 22
"""Pixels of a component's box beyond which it is not told from what lies inside its outline."""

Zone = tuple[float, float, float]
"""A protected circle: x, y and radius, pixels."""


@dataclass(frozen=True)
class Strictness:
    """What is asked of a component."""

    likelihood: float
    """How likely it has to be a mark, see ``evidence``."""
    of_specks: float
    """The same of a speck alone on smooth ground."""
    spares_faces: bool
    """Whether no pixel of eyes, nose and mouth is ever a mark, also of one that runs beyond."""


AUTO = Strictness(likelihood=0.7, of_specks=0.08, spares_faces=True)
"""As low as leaves 89 % of what is filled right, lines and dust alike, in the halves A, B and C of
the card's pictures, each picture judged by weights that were fitted without it."""
STRONG = Strictness(likelihood=0.2, of_specks=0.05, spares_faces=False)


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
    """How likely it is a mark, in [0, 1]."""
    left: str = ""
    """Why it stays as it is; nothing if it is to be filled."""
    rim: int = RIM
    """Pixels around it that are filled, too."""

    @property
    def area(self) -> int:
        """How many pixels it has."""
        return int(self.pixels.sum())


@dataclass(frozen=True)
class Named:
    """A place that the detector names, and what is measured of it."""

    component: Component
    evidence: Evidence
    contrast: float
    """Levels by which it differs from its sides; negative if it is darker."""
    speck: bool
    """Whether it is a speck alone on smooth ground."""


def components_of(
    marked: Marked, image: Rgb8, faces: Sequence[Face], strictness: Strictness
) -> Iterator[Component]:
    """Yield what the detector has named and what is to be said about each, from the top.

    Args:
        marked: (H, W), probabilities.
        image: (H, W, 3), the page as it is seen.
        faces: Faces on it.
        strictness: What is asked of each.
    """
    zones = [zone for face in faces for zone in zones_of(face)]
    for place in named(marked, image):
        yield _gated(place, zones, strictness, image.shape[:2])


def named(marked: Marked, image: Rgb8) -> Iterator[Named]:
    """Yield what the detector has named, from the top.

    Args:
        marked: (H, W), probabilities.
        image: (H, W, 3), the page as it is seen.
    """
    candidates = (marked >= LIKELY).astype(np.uint8)
    ground, detail = ground_of(image, candidates), detail_around(image, candidates)
    outlines, _ = cv2.findContours(candidates, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for outline in outlines:
        x, y, w, h = cv2.boundingRect(outline)
        whole = _pixels(candidates[y : y + h, x : x + w], outline - (x, y))
        for box, pixels in _parted(whole, (x, y), _widest(image.shape[:2])):
            sure = marked[box[1] : box[3], box[0] : box[2]][pixels]
            if sure.max() >= CERTAIN and len(sure) >= SMALLEST:
                found.append((box, pixels, float(sure.mean()) / 255))
    if not found:
        return
    seen = load_observer().seen(image, candidates)
    for box, pixels, certainty in sorted(found, key=lambda one: one[0][1::-1]):
        busy = _median_of(detail, box, pixels, image.shape[:2])
        yield _named(ground, box, pixels, certainty, busy, seen.meaning(box, pixels))


def ruled_out(place: Named, shape: Sequence[int]) -> str:
    """Return why a place stays, however likely it is a mark; nothing if it may be filled.

    Args:
        place: What the detector names.
        shape: H and W of the page.
    """
    part, contrast, sides = place.component, abs(place.contrast), np.expm1(place.evidence.sides)
    if part.width > _widest(shape):
        return f"wide: {part.width:.0f} pixels"
    along = _along_border(part, shape)
    if along > max(LONG * part.width, max(part.pixels.shape) / 2):
        return f"border: {along} pixels along the picture's, nothing beyond"
    if contrast < max(LEAST_CONTRAST, OF_SIDES * sides):
        return f"faint: {contrast:.0f} levels, its sides differ by {sides:.0f}"
    return ""


def all_over(parts: Sequence[Component], shape: tuple[int, int]) -> str:
    """Return how marks are all over a page, as no wear is; nothing if they are not.

    Args:
        parts: All components; those that stay do not count.
        shape: H and W of the page.
    """
    side = max(1, min(shape) // CELLS)
    filled = [part.box for part in parts if not part.left]
    cells = {((y0 + y1) // 2 // side, (x0 + x1) // 2 // side) for x0, y0, x1, y1 in filled}
    share = len(cells) / ((shape[0] // side) * (shape[1] // side))
    return f"marks all over ({share:.0%}), as of stars or a pattern" if share > ALL_OVER else ""


def zones_of(face: Face) -> list[Zone]:
    """Return the protected circles of a face: x, y and radius of eyes, nose and mouth corners."""
    points = face.landmarks
    unit = float(np.hypot(*(points[1] - points[0])))
    # seen from the side, the eyes are near one another and the face is no smaller
    unit = max(unit, float(np.hypot(*(points[3:].mean(0) - points[:2].mean(0)))) * 0.8)
    zones = [(float(x), float(y), r * unit) for (x, y), r in zip(points, ZONES, strict=True)]
    (x0, y0), (x1, y1) = points[3], points[4]
    return [*zones, (float(x0 + x1) / 2, float(y0 + y1) / 2, ZONES[3] * unit)]


def _named(
    ground: Ground,
    box: Box,
    pixels: NDArray[np.bool_],
    certainty: float,
    busy: float,
    meaning: float,
) -> Named:
    padded = np.pad(pixels.astype(np.uint8), 1)
    width = 2 * float(cv2.distanceTransform(padded, cv2.DIST_L2, 5).max()) - 1
    near = min(width, SPANNED)  # what is wider stays, and its other side is far to seek
    evidence, contrast = gathered(
        ground, box, pixels, certainty=certainty, width=near, busy=busy, meaning=meaning
    )
    mark = _kind(pixels, width, contrast, min(ground.image.shape[:2]))
    part = Component(box, pixels, mark, round(width, 1), likelihood(evidence))
    if part.certainty >= STRONG.likelihood:
        part = replace(part, rim=rim_of(ground, box, pixels, contrast))
    return Named(part, evidence, contrast, alone(ground, box, pixels, contrast))


def _gated(
    place: Named, zones: Sequence[Zone], strictness: Strictness, shape: Sequence[int]
) -> Component:
    """Return a component with the first gate that it fails, or without what is protected."""
    part = place.component
    left = ruled_out(place, shape)
    if left:
        return replace(part, left=left)
    asked = strictness.of_specks if place.speck else strictness.likelihood
    share = float(_in_zones(part.box, part.pixels, zones)[part.pixels].mean())
    if share > INSIDE_ZONE:
        return replace(part, left=f"face: {share:.0%} of it in eyes, nose or mouth")
    if part.certainty < asked:
        return replace(part, left=f"doubtful: {part.certainty:.0%} likely a mark")
    if not strictness.spares_faces:
        return part
    grown = [(x, y, radius + MARGIN) for x, y, radius in zones]
    pixels = part.pixels & ~_in_zones(part.box, part.pixels, grown)
    if not pixels.any():
        return replace(part, left="face: all of it at eyes, nose or mouth")
    return replace(part, pixels=pixels)


def _along_border(part: Component, shape: Sequence[int]) -> int:
    """Return how many pixels of one side of the page a component takes up.

    A strip of the paper around a picture looks like a mark, and only one side of it is known.
    """
    (x0, y0, x1, y1), pixels = part.box, part.pixels
    edges = (
        *((x0 == 0, pixels[:, 0]), (x1 == shape[1], pixels[:, -1])),
        *((y0 == 0, pixels[0]), (y1 == shape[0], pixels[-1])),
    )
    return max((int(line.sum()) for there, line in edges if there), default=0)


def _widest(shape: Sequence[int]) -> float:
    """Return the width in pixels of the widest mark that is filled on a page of a shape."""
    return min(WIDEST * min(shape), SPANNED)


def _parted(
    pixels: NDArray[np.bool_], corner: tuple[int, int], widest: float
) -> list[tuple[Box, NDArray[np.bool_]]]:
    """Return a component, or its places that are too wide and, each by itself, what leaves them.

    Where cracks cross or a flake has come off, they are wider than can be filled; what runs on
    from there is a mark like others.

    Args:
        pixels: (h, w), which of its box.
        corner: Left and top of the box.
        widest: Pixels beyond which a place is too wide.
    """
    x, y = corner
    whole = ((x, y, x + pixels.shape[1], y + pixels.shape[0]), pixels)
    deep = cv2.distanceTransform(np.pad(pixels.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    cores = 2 * deep - 1 > widest
    if not cores.any():
        return [whole]
    # a wide place reaches half of the width beyond its core, and its corners a little further
    away = cv2.distanceTransform((~cores).astype(np.uint8), cv2.DIST_L2, 5)
    wide = pixels & (away <= widest / 2 + CORNERS)
    parts = []
    for which in (wide, pixels & ~wide):
        count, labels, boxes, _ = cv2.connectedComponentsWithStats(which.astype(np.uint8))
        for number in range(1, count):
            left, top, w, h = map(int, boxes[number][:4])
            # what is shorter than the place is wide is its frayed rim
            if which is wide or max(w, h) > widest:
                part = labels[top : top + h, left : left + w] == number
                parts.append(((x + left, y + top, x + left + w, y + top + h), part))
    return parts


def _pixels(part: NDArray[np.uint8], outline: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which pixels of a part belong to the component with an outline."""
    if part.size > WIDE_COMPONENT:
        inside = np.zeros(part.shape, np.uint8)
        cv2.drawContours(inside, [outline], -1, 1, cv2.FILLED)
        return (inside & part) > 0
    _, labels = cv2.connectedComponents(part, connectivity=8)
    x, y = outline[0, 0]
    return np.asarray(labels == labels[y, x])


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


def _in_zones(box: Box, pixels: NDArray[np.bool_], zones: Sequence[Zone]) -> NDArray[np.bool_]:
    """Return which pixels of a component lie in protected circles, (h, w)."""
    inside = np.zeros(pixels.shape, bool)
    rows, columns = np.nonzero(pixels)
    for x, y, radius in zones:
        if box[0] - radius < x < box[2] + radius and box[1] - radius < y < box[3] + radius:
            near = np.hypot(columns + box[0] - x, rows + box[1] - y) < radius
            inside[rows[near], columns[near]] = True
    return inside
