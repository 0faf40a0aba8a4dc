"""LLE, the landmark localisation error: how far the restored features have moved."""

import numpy as np

from faceren.errors import ShapeError
from faceren.metrics.face_pair import SeenFace

LIP_CORNERS = (48, 54, 60, 64)
"""The outlines of upper and lower lip both have them, so each counts twice: 72 points."""
SIDE = 512
"""Pixels of the image side to which the error refers."""


def lle(face: SeenFace, reference: SeenFace) -> float:
    """Return the mean distance of 72 landmarks in pixels of a 512-pixel image; lower is better.

    Raises:
        ShapeError: If the images are of different sizes.
    """
    if face.side != reference.side:
        raise ShapeError(
            f"lle: expected images of one size, got sides of {face.side} and {reference.side}"
        )
    apart = np.linalg.norm(face.landmarks - reference.landmarks, axis=1)  # (68,)
    total = apart.sum() + apart[list(LIP_CORNERS)].sum()
    return float(total / (len(apart) + len(LIP_CORNERS)) * SIDE / face.side)
