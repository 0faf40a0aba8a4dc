"""Fill marked pixels: straight lines across the gap in eight directions, and the photo's own grain.

Every pair of opposite directions that meets unmarked pixels on both sides gives a value; short and
level pairs count most, so that edges go on across a crack. Measured in ``faceren benchmark --suite
repair``: nearer than OpenCV's Telea and Navier-Stokes. A biharmonic equation comes nearer still in
gaps that are cut out with a knife, and is much farther off in scanned marks: it goes on with the
slope at the rim, and at the rim of a mark that a scanner has blurred the slope is the mark's.

Shape letters: h and w pixels of a part of the photo, n marked ones.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from faceren.arrays import LUMA, Plane, Rgb
from faceren.images import Box
from faceren.images.page import Page

REACH = 96
"""Pixels that are gone in a direction to find an unmarked one; nothing wider is filled."""
LEVEL = 12 / 255
"""Difference of the two sides at which a pair counts half."""
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Rows and columns of a step; the opposite directions go with them."""
BAND = 256
"""Rows that are filled at a time."""
GRAIN_SIGMA = 1.5
"""Of the Gaussian, in pixels, that parts grain from picture."""
GRAIN_FROM = (5, 23)
"""Distances in pixels from which a filled pixel takes its grain."""
TRIES = 6
BOLDEST = 2.0
"""Grain beyond so many of its own standard deviations is picture, and is cut."""

Mask = NDArray[np.bool_]


def filled_bands(page: Page, mask: Mask) -> Iterator[tuple[Box, Rgb]]:
    """Yield what filling changes in a page, in bands from the top: a box and (h, w, 3) to add.

    Unmarked pixels get exactly zero. The page must stay as it is until all bands are made.

    Args:
        page: The page as it is seen.
        mask: (H, W), the pixels to fill.
    """
    height, width = mask.shape
    for top in range(0, height, BAND):
        bottom = min(top + BAND, height)
        columns = np.flatnonzero(mask[top:bottom].any(0))
        if not len(columns):
            continue
        left, right = int(columns[0]), int(columns[-1]) + 1
        y0, x0 = max(top - REACH, 0), max(left - REACH, 0)
        y1, x1 = min(bottom + REACH, height), min(right + REACH, width)
        seen, gaps = page.upright_region((x0, y0, x1, y1)), mask[y0:y1, x0:x1]
        inner = (slice(top - y0, bottom - y0), slice(left - x0, right - x0))
        only = np.zeros_like(gaps)
        only[inner] = gaps[inner]
        new = filled(seen, gaps, only, seed=top)
        yield (left, top, right, bottom), np.ascontiguousarray((new - seen)[inner])


def filled(seen: Rgb, gaps: Mask, only: Mask | None = None, *, seed: int = 0) -> Rgb:
    """Return a picture with its gaps filled, grain added; all else is exactly as it was.

    Args:
        seen: (h, w, 3) in [0, 1].
        gaps: (h, w), what is unknown.
        only: (h, w), the part of the gaps to fill; default all.
        seed: Decides which grain is taken from where.
    """
    places = np.nonzero(gaps if only is None else only)
    new = seen.copy()
    new[places] = bridged(seen, gaps, places)
    grain = _grain(seen, gaps, places, np.random.default_rng(seed))
    new[places] = np.clip(new[places] + grain[:, None], 0, 1)
    return new


def bridged(seen: Rgb, gaps: Mask, places: tuple[NDArray[np.intp], ...]) -> NDArray[np.float32]:
    """Return values for places in gaps, (n, 3), by lines across them.

    A place from which no direction reaches both sides gets the mean of the sides it reaches, by
    their nearness; one that reaches nothing keeps its value.

    Args:
        seen: (h, w, 3).
        gaps: (h, w).
        places: Rows and columns, (n,) each.
    """
    count = len(places[0])
    total, weight = np.zeros((count, 3), np.float32), np.zeros((count, 1), np.float32)
    spare, spares = np.zeros_like(total), np.zeros_like(weight)
    for down, right in DIRECTIONS:
        near, there = _first_known(seen, gaps, places, (down, right))
        far, opposite = _first_known(seen, gaps, places, (-down, -right))
        unit = np.float32(np.hypot(down, right))
        across = (near + far)[:, None] * unit
        step = np.abs((there - opposite) @ LUMA)[:, None] / LEVEL
        share = np.where((near > 0) & (far > 0), 1, 0)[:, None] / (
            np.maximum(across, 1) ** 2 * (1 + step**2)
        )
        line = (there * far[:, None] + opposite * near[:, None]) / np.maximum(near + far, 1)[
            :, None
        ]
        total += share * line
        weight += share
        for distance, value in ((near, there), (far, opposite)):
            one = ((distance > 0) / np.maximum(distance * unit, 1) ** 2)[:, None]
            spare += one * value
            spares += one
    best = np.where(weight > 0, total / np.maximum(weight, 1e-12), 0)
    rest = np.where(spares > 0, spare / np.maximum(spares, 1e-12), seen[places])
    return np.asarray(np.where(weight > 0, best, rest), np.float32)


def _first_known(
    seen: Rgb, gaps: Mask, places: tuple[NDArray[np.intp], ...], step: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return how many steps it is from each place to an unmarked pixel, 0: none; and its value."""
    height, width = gaps.shape
    steps = np.zeros(len(places[0]), np.float32)
    values = np.zeros((len(places[0]), 3), np.float32)
    open_ = np.arange(len(places[0]))
    rows, columns = places[0].copy(), places[1].copy()
    for number in range(1, REACH + 1):
        rows, columns = rows + step[0], columns + step[1]
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        open_, rows, columns = open_[inside], rows[inside], columns[inside]
        known = ~gaps[rows, columns]
        steps[open_[known]] = number
        values[open_[known]] = seen[rows[known], columns[known]]
        open_, rows, columns = open_[~known], rows[~known], columns[~known]
        if not len(open_):
            break
    return steps, values


def _grain(
    seen: Rgb, gaps: Mask, places: tuple[NDArray[np.intp], ...], rng: np.random.Generator
) -> Plane:
    """Return grain for places, (n,), taken from unmarked pixels around, none of it picture."""
    height, width = gaps.shape
    near = cv2.dilate(gaps.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    luma = seen @ LUMA
    fine = luma - cv2.GaussianBlur(luma, (0, 0), GRAIN_SIGMA)
    fine[near] = 0  # at the rim of a mark there is more mark than grain
    # the median of what lies around: edges are few there, grain is everywhere
    small = [max(1, side // 8) for side in (width, height)]
    typical = cv2.resize(np.abs(fine), small, interpolation=cv2.INTER_AREA)
    typical = cv2.medianBlur(typical, 5) if min(small) >= 5 else typical
    spread = cv2.resize(typical, (width, height), interpolation=cv2.INTER_LINEAR)[places] * 1.25
    grain = np.zeros(len(places[0]), np.float32)
    missing = np.ones(len(grain), bool)
    for _ in range(TRIES):
        angle, far = rng.uniform(0, 2 * np.pi, len(grain)), rng.uniform(*GRAIN_FROM, len(grain))
        rows = np.rint(places[0] + far * np.sin(angle)).astype(int).clip(0, height - 1)
        columns = np.rint(places[1] + far * np.cos(angle)).astype(int).clip(0, width - 1)
        good = missing & ~near[rows, columns]
        grain[good] = fine[rows[good], columns[good]]
        missing &= ~good
    return np.asarray(grain.clip(-BOLDEST * spread, BOLDEST * spread), np.float32)
