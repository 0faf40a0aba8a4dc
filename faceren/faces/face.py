"""What a detector says about one face, and what its five landmarks say: is it human, which way up.

Angles are in degrees, clockwise in the picture.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from faceren.arrays import Float64, Rgb8

RECORDED_DIGITS = 2
"""Of a pixel, after the point, in what is written down of a face."""
SAME_FACE = 0.3
"""Boxes whose intersection over union exceeds this are one face."""


@dataclass(frozen=True)
class Face:
    """One detected face, in pixels of the image searched."""

    box: tuple[float, float, float, float]
    """x0, y0, x1, y1."""
    landmarks: Float64
    """(5, 2): the eye, the other eye, nose tip and mouth corners, image left before right; 0 is the
    first pixel's centre, as crops count, while boxes are counted from its corner."""
    score: float
    """Confidence in [0, 1]."""
    doubt: str = ""
    """Why this may be no face; or nothing."""

    @property
    def width(self) -> float:
        """Width of the box in pixels."""
        return self.box[2] - self.box[0]

    @property
    def height(self) -> float:
        """Height of the box in pixels."""
        return self.box[3] - self.box[1]

    def overlap(self, other: "Face") -> float:
        """Return intersection over union of the two boxes."""
        a, b = self.box, other.box
        wide = min(a[2], b[2]) - max(a[0], b[0])
        high = min(a[3], b[3]) - max(a[1], b[1])
        both = max(0.0, wide) * max(0.0, high)
        return both / (self.width * self.height + other.width * other.height - both)

    def is_same(self, other: "Face") -> bool:
        """Say whether two findings are one face: boxes that overlap, or one's nose in the other."""
        return self.overlap(other) > SAME_FACE or any(
            b.box[0] <= a.landmarks[2, 0] <= b.box[2] and b.box[1] <= a.landmarks[2, 1] <= b.box[3]
            for a, b in ((self, other), (other, self))
        )

    def as_recorded(self) -> "Face":
        """Return the face with the landmarks that a record of it has.

        A face that is cut by these is cut alike by whoever restores it anew from its record.
        """
        return replace(self, landmarks=self.landmarks.round(RECORDED_DIGITS))

    def moved(self, scale: float, dx: float, dy: float) -> "Face":
        """Return the face in an image that is scaled, then shifted by so many of its pixels."""
        x0, y0, x1, y1 = self.box
        return replace(
            self,
            box=(x0 * scale + dx, y0 * scale + dy, x1 * scale + dx, y1 * scale + dy),
            landmarks=(self.landmarks + 0.5) * scale - 0.5 + np.array([dx, dy]),
        )


def merged(found: Iterable[Face]) -> list[Face]:
    """Keep the most confident of findings that are one face."""
    kept: list[Face] = []
    for face in sorted(found, key=lambda face: (-round(face.score, 2), -face.width)):
        if not any(face.is_same(other) for other in kept):
            kept.append(face)
    return kept


Search = Callable[[Rgb8, float], list[Face]]
"""A detector run once over an image, (H, W, 3) uint8 RGB, with a least confidence in (0, 1)."""


EYES, CORNERS = (0.2, 1.8), (0.1, 1.9)
"""Distances of the eyes and of the mouth's corners, in lengths from between the eyes to the mouth:
small in profile, large where the head is bowed."""
NOSE_ALONG, NOSE_ACROSS = (0.0, 1.0), 0.7
"""Where the nose's tip is along that line, and at most how far beside it."""


def tilt(face: Face) -> float:
    """Return the angle of the line through the eyes from level, -180 to 180 degrees."""
    right, down = face.landmarks[1] - face.landmarks[0]
    return float(np.degrees(np.arctan2(down, right)))


def apart(angle: float, other: float) -> float:
    """Return by how much an angle is larger than another, -180 to 180 degrees."""
    return (angle - other + 180) % 360 - 180


def quarter(face: Face) -> int:
    """Return by how many quarter turns, counterclockwise, a face comes nearest to upright."""
    return round(tilt(face) / 90) % 4


def proportions(face: Face) -> tuple[float, float, float, float]:
    """Return a face's measures, in lengths of the line from between the eyes to the mouth.

    Returns:
        The distance of the eyes and of the mouth's corners, both across that line and positive if
        left is left of right; where along it the nose is, 0 to 1 in a face; and where across it.
    """
    left, right, nose, left_corner, right_corner = face.landmarks @ np.array([1, 1j])
    eyes, mouth = (left + right) / 2, (left_corner + right_corner) / 2
    down = mouth - eyes
    if abs(down) < 1e-6:
        return 0.0, 0.0, 0.0, 0.0
    pairs = ((left, right), (left_corner, right_corner))
    eyes_apart, corners_apart = ((1j * (b - a) / down).real for a, b in pairs)
    along = (nose - eyes) / down
    return float(eyes_apart), float(corners_apart), float(along.real), float(-along.imag)


def is_human(face: Face) -> bool:
    """Say whether eyes, nose and mouth stand in an order and at distances that faces have.

    The ranges hold those of 656 portraits, profiles among them, with room to spare.
    """
    eyes, corners, along, across = proportions(face)
    return (
        EYES[0] < eyes < EYES[1]
        and CORNERS[0] < corners < CORNERS[1]
        and NOSE_ALONG[0] < along < NOSE_ALONG[1]
        and abs(across) < NOSE_ACROSS
    )
