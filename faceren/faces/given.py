"""Faces that a person has marked because the detector missed them."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from faceren.errors import FaceError
from faceren.faces.face import Face, Image, Search

Box = tuple[float, float, float, float]

TYPICAL = np.array([[0.28, 0.40], [0.72, 0.40], [0.5, 0.60], [0.31, 0.75], [0.69, 0.75]])
"""Where landmarks lie in the box of a face: the mean of 53 portraits, made symmetric."""
AROUND = 2.5
"""Side of the region that is searched, in longer sides of the box."""
SEARCHED = 160
"""Width in pixels to which the box is brought for that."""
LEAST_SCORE = 0.1
"""A person says that there is a face; the detector need only say where."""
LEAST_OVERLAP = 0.25
"""Intersection over union with the box that a finding needs."""


@dataclass(frozen=True)
class GivenFace:
    """One face as it is marked, in pixels of the photo as it is seen upright."""

    box: Box
    """x0, y0, x1, y1."""
    landmarks: tuple[tuple[float, float], ...] | None = None
    """Eye, other eye, nose tip, mouth corners, image left before right; None: to be found."""


def locate(given: GivenFace, image: Image, search: Search) -> Face:
    """Return a marked face with its landmarks; its score is 1 where they were marked as well.

    Without them the box is searched, enlarged, for any sign of a face; if there is none, the
    landmarks are where they lie in most boxes, and the score is 0.

    Args:
        given: The face.
        image: (H, W, 3) uint8, RGB.
        search: The detector.

    Raises:
        FaceError: If the box lies outside the photo.
    """
    x0, y0, x1, y1 = given.box
    if min(x1, image.shape[1]) - max(x0, 0) < 2 or min(y1, image.shape[0]) - max(y0, 0) < 2:
        raise FaceError(
            f"--boxes: {given.box} lies outside the photo of {image.shape[1]}×{image.shape[0]} "
            f"pixels"
        )
    if given.landmarks is not None:
        return Face(given.box, np.array(given.landmarks, np.float64), 1.0)
    corner, side = np.array([x0, y0]), np.array([x1 - x0, y1 - y0])
    guess = Face(given.box, corner + TYPICAL * side, 0.0)
    found = [face for face in _searched(given.box, image, search) if _fits(face, guess)]
    best = max(found, key=lambda face: face.overlap(guess), default=guess)
    return replace(best, box=given.box)


def _fits(face: Face, guess: Face) -> bool:
    return face.overlap(guess) > LEAST_OVERLAP and face.is_same(guess)


def _searched(box: Box, image: Image, search: Search) -> list[Face]:
    """Return what a detector finds in and around a box brought to a size that it knows well."""
    x0, y0, x1, y1 = box
    half = AROUND * max(x1 - x0, y1 - y0) / 2
    left, top = (max(0, int(middle - half)) for middle in ((x0 + x1) / 2, (y0 + y1) / 2))
    right, bottom = (int(middle + half) for middle in ((x0 + x1) / 2, (y0 + y1) / 2))
    part: NDArray[np.uint8] = image[top : bottom + 1, left : right + 1]
    scale = SEARCHED / (x1 - x0)
    size = [max(32, round(length * scale)) for length in part.shape[1::-1]]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = np.ascontiguousarray(cv2.resize(part, size, interpolation=method), np.uint8)
    return [face.moved(1 / scale, left, top) for face in search(scaled, LEAST_SCORE)]
