"""What is seen on a page before anything is decided: probabilities and faces.

A page is always looked at in the same one of its eight orientations, whichever way it was scanned:
upright, and with its light to the lower right. So a turned or mirrored scan gets the turned or
mirrored mask, though networks, tiles and orders of components know left from right.

Shape letters: H and W pixels of the page as it is seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from faceren.arrays import Rgb8
from faceren.faces.face import Face
from faceren.images.page import TURNS, Page, stored_box, stored_raster, upright_view
from faceren.restoration.repair.finder import Marked, MarkFinder
from faceren.restoration.repair.gates import Component, Strictness, components_of


@dataclass(frozen=True)
class Sighting:
    """A page, turned the way in which it is looked at."""

    way: int
    """How it was turned, as an EXIF Orientation that turns the upright page."""
    shape: tuple[int, int]
    """H and W."""
    image: Rgb8
    """Turned, a view."""
    marked: Marked
    """Probabilities, turned."""
    faces: tuple[Face, ...]
    """Their landmarks are turned; their boxes are not."""

    def components(self, strictness: Strictness) -> list[Component]:
        """Return what the detector has named and what is to be said about each, from the top.

        Args:
            strictness: What is asked of each.
        """
        parts = components_of(self.marked, self.image, self.faces, strictness)
        upright = [
            replace(
                part,
                box=stored_box(part.box, self.way, self.shape),
                pixels=stored_raster(part.pixels, self.way),
            )
            for part in parts
        ]
        return sorted(upright, key=lambda part: part.box[1::-1])


def sighted(page: Page, finder: MarkFinder, image: Rgb8, faces: Sequence[Face]) -> Sighting:
    """Return what is seen on a page.

    Args:
        page: The page.
        finder: The detector.
        image: The page as it is seen, (H, W, 3).
        faces: Faces on it.

    Raises:
        MachineError: If memory is short.
    """
    way, shape = way_of(image), page.upright_shape
    upright = upright_view(page.raster, page.orientation)
    turned = replace(page, raster=upright_view(upright, way), orientation=1)
    return Sighting(
        way,
        shape,
        upright_view(image, way),
        finder.marked(turned),
        tuple(_turned(face, way, shape) for face in faces),
    )


def way_of(image: Rgb8) -> int:
    """Return the EXIF Orientation that turns a picture the way in which it is looked at.

    Turned, it is at least as high as wide, and its light is to the lower right of its middle; of a
    square, more below than to the right. What is symmetric has more than one such way, and stays.

    Args:
        image: (H, W, 3).
    """
    height, width = image.shape[:2]
    down, right = (_off_middle(image, axis) for axis in (1, 0))
    transposed = width > height or (width == height and abs(right) > abs(down))
    flips = (right < 0, down < 0) if transposed else (down < 0, right < 0)
    return next(way for way, turns in TURNS.items() if turns == (transposed, *flips))


def _off_middle(image: Rgb8, axis: int) -> int:
    """Return how far the light is from the middle; whole numbers, so that order plays no part."""
    sums = cv2.reduce(image, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).reshape(-1, 3)
    light = sums.sum(1, dtype=np.int64)
    return int(light @ (2 * np.arange(len(light)) - (len(light) - 1)))


def _turned(face: Face, way: int, shape: tuple[int, int]) -> Face:
    transpose, rows, columns = TURNS[way]
    points = face.landmarks[:, ::-1] if transpose else face.landmarks
    height, width = shape[::-1] if transpose else shape
    x, y = points[:, 0], points[:, 1]
    turned = [width - 1 - x if columns else x, height - 1 - y if rows else y]
    return replace(face, landmarks=np.stack(turned, 1))
