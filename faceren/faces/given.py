"""Faces that a person has marked because the detector missed them."""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from faceren.arrays import Rgb8
from faceren.errors import FaceError
from faceren.faces.closer import LEANING, best_turn, measured
from faceren.faces.face import Face, Search, is_human, tilt

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
CONFIDENT = 0.8
"""Confidence from which a face in a box is surely read the right way up."""
BEYOND = 0.25
"""How far landmarks may lie outside their box, in its sides."""


@dataclass(frozen=True)
class GivenFace:
    """One face as it is marked, in pixels of the photo as it is seen upright."""

    box: Box
    """x0, y0, x1, y1."""
    landmarks: tuple[tuple[float, float], ...] | None = None
    """Eye, other eye, nose tip, mouth corners, image left before right; None: to be found."""
    page: int = field(default=0, repr=False)  # hashed by itself, see RestoreOptions.digest
    """Of a photo with several."""


def locate(given: GivenFace, image: Rgb8, search: Search) -> Face:
    """Return a marked face with its landmarks; its score is 1 where they were marked as well.

    Without them the box is searched, enlarged, for any sign of a face; if there is none, the
    landmarks are where they lie in most boxes, and the score is 0.

    Args:
        given: The face.
        image: (H, W, 3) uint8, RGB.
        search: The detector.

    Raises:
        FaceError: If the box lies outside the photo, or the landmarks are not of a face in it.
    """
    _check(given, image.shape[0], image.shape[1])
    if given.landmarks is not None:
        return Face(given.box, np.array(given.landmarks, np.float64), 1.0)
    x0, y0, x1, y1 = given.box
    corner, side = np.array([x0, y0]), np.array([x1 - x0, y1 - y0])
    guess = Face(given.box, corner + TYPICAL * side, 0.0)
    found = [
        face
        for face in _searched(given.box, image, search)
        if face.overlap(guess) > LEAST_OVERLAP and face.is_same(guess)
    ]
    best = max(found, key=lambda face: face.overlap(guess), default=guess)
    seen: Face | None = best
    if best.score < CONFIDENT or abs(tilt(best)) >= LEANING:
        seen = best_turn(image, guess, search, (0, 1, 2, 3))
    face = None if seen is None else measured(image, seen, search)
    certain = face is not None and face.score > CONFIDENT and is_human(face)
    return replace(face if face is not None and certain else best, box=given.box)


def _check(given: GivenFace, height: int, width: int) -> None:
    """Raise FaceError if the box lies outside the photo, or the landmarks are not of a face in it.

    Args:
        given: The face.
        height: Of the photo, seen upright.
        width: Of the photo, seen upright.
    """
    x0, y0, x1, y1 = given.box
    if min(x1, width) - max(x0, 0) < 2 or min(y1, height) - max(y0, 0) < 2:
        on_its_side = x1 <= height and y1 <= width and min(x0, y0) >= 0
        hint = "; pixels are counted as the photo is seen upright" if on_its_side else ""
        raise FaceError(
            f"--boxes: {given.box} lies outside the photo of {width}×{height} pixels{hint}"
        )
    if given.landmarks is None:
        return
    points = np.array(given.landmarks, np.float64)
    low, high = np.array([x0, y0]), np.array([x1, y1])
    beyond = BEYOND * (high - low)
    if (points < low - beyond).any() or (points > high + beyond).any():
        raise FaceError(f"--boxes: the landmarks of {given.box} lie outside that box")
    if not is_human(Face(given.box, points, 1.0)):
        raise FaceError(
            f"--boxes: the landmarks of {given.box} are those of no face; expected eye, other eye, "
            f"nose, mouth corners, left before right as seen with the face upright"
        )


def _searched(box: Box, image: Rgb8, search: Search) -> list[Face]:
    """Return what a detector finds in and around a box brought to a size that it knows well."""
    x0, y0, x1, y1 = box
    half = AROUND * max(x1 - x0, y1 - y0) / 2
    left, top = (max(0, int(middle - half)) for middle in ((x0 + x1) / 2, (y0 + y1) / 2))
    right, bottom = (int(middle + half) for middle in ((x0 + x1) / 2, (y0 + y1) / 2))
    part: Rgb8 = image[top : bottom + 1, left : right + 1]
    scale = SEARCHED / (x1 - x0)
    size = [max(32, round(length * scale)) for length in part.shape[1::-1]]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = np.ascontiguousarray(cv2.resize(part, size, interpolation=method), np.uint8)
    return [face.moved(1 / scale, left, top) for face in search(scaled, LEAST_SCORE)]
