"""Fine detail: where a picture has much of it, marks cannot be told from it.

Shape letters: H and W pixels of a page, h and w of the same page, small.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from faceren.arrays import Plane, Rgb8

SIDE = 512
"""Shorter side in pixels at which detail is measured."""
FINE = 7
"""Pixels there below which a detail is fine."""
STANDS_OUT = 25
"""Levels by which a fine detail differs from what is around."""
CELLS = 16
"""Cells along the shorter side."""
FULL = 0.15
"""Share of a cell's pixels in fine details from which the cell is full of them."""
TEXTURE = 0.6
"""Share of full cells from which a page is all texture: lace, gravel, foliage, a page of text."""
DRAWING = 0.25
"""Share of full cells from which a page that is mostly of one tone is a drawing."""
ONE_TONE = 0.6
"""Share of the pixels within ``TONE`` levels of one another that makes a page of one tone."""
TONE = 33
AROUND = 8
"""Side of what is around a mark, as how many of it lie along the shorter side."""
RIM = 5
"""Pixels around marks that are not looked at."""


def no_photo(image: Rgb8) -> str:
    """Return what a picture has that marks cannot be told from; nothing if they can.

    Args:
        image: (H, W, 3).
    """
    gray = _small(image)
    side = max(1, min(gray.shape) // CELLS)
    grid = [max(1, length // side) for length in gray.shape[::-1]]
    cells = cv2.resize(_fine(gray), grid, interpolation=cv2.INTER_AREA)
    full = float((cells > FULL).mean())
    if full > TEXTURE:
        return f"fine detail all over ({full:.0%}), as of lace, gravel, foliage or a page of text"
    tones = np.bincount(gray.ravel(), minlength=256) / gray.size
    if full > DRAWING and np.convolve(tones, np.ones(TONE)).max() > ONE_TONE:
        return f"one tone and lines ({full:.0%}), as of a drawing or a page of text"
    return ""


def detail_around(image: Rgb8, candidates: NDArray[np.uint8]) -> Plane:
    """Return the share of fine details around each place, (h, w), marks themselves left out.

    Args:
        image: (H, W, 3).
        candidates: (H, W), 1 where a mark may be.
    """
    gray = _small(image)
    square = np.ones((RIM, RIM), np.uint8)
    marks = cv2.resize(
        cv2.dilate(candidates, square), gray.shape[::-1], interpolation=cv2.INTER_NEAREST
    )
    free = (marks == 0).astype(np.float32)
    side = min(gray.shape) // AROUND | 1
    around = cv2.blur(free, (side, side))
    fine = cv2.blur(_fine(gray) * free, (side, side))
    return np.asarray(fine / np.maximum(around, 0.05), np.float32)


def _small(image: Rgb8) -> NDArray[np.uint8]:
    """Return a picture in gray, (h, w), its shorter side at most ``SIDE``."""
    scale = SIDE / min(image.shape[:2])
    if scale < 1:
        size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
        # a turned view has strides that OpenCV does not know
        image = cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY), np.uint8)


def _fine(gray: NDArray[np.uint8]) -> Plane:
    """Return 1 where a fine detail is, lighter or darker than what is around; else 0."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (FINE, FINE))
    light, dark = (
        cv2.morphologyEx(gray, kind, disc) for kind in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT)
    )
    return (cv2.max(light, dark) > STANDS_OUT).astype(np.float32)
