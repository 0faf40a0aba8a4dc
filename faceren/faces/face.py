"""What a detector says about one face."""

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
    """(5, 2): the eye, the other eye, nose tip and mouth corners, image left before right."""
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
            landmarks=self.landmarks * scale + np.array([dx, dy]),
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
