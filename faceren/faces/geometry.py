"""What five landmarks say about a face: which way is up, and whether they are those of a person.

Angles are in degrees, clockwise in the picture.
"""

import numpy as np

from faceren.faces.face import Face

EYES, CORNERS = (0.2, 1.8), (0.1, 1.9)
"""Distances of the eyes and of the mouth's corners, in lengths from between the eyes to the mouth:
small in profile, large where the head is bowed."""
NOSE_ALONG, NOSE_ACROSS = (0.0, 1.0), 0.7
"""Where the nose's tip is along that line, and at most how far beside it."""


def tilt(face: Face) -> float:
    """Return the angle of the line through the eyes from level, -180 to 180 degrees."""
    right, down = face.landmarks[1] - face.landmarks[0]
    return float(np.degrees(np.arctan2(down, right)))


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
