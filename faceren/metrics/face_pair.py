"""What FED and LLE share: the first face of an image, looked at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceren.metrics import dlib_models
from faceren.metrics.dlib_models import LOCK, Rgb


@dataclass(frozen=True)
class SeenFace:
    """The face of an image that dlib's detector is most certain of."""

    embedding: NDArray[np.float64]
    """(128,)."""
    landmarks: NDArray[np.float64]
    """(68, 2), in pixels of the image."""
    side: int
    """Longer side of the image in pixels."""


def see_face(rgb: Rgb) -> SeenFace | None:
    """Return what dlib sees in an image, or None if it finds no face.

    Args:
        rgb: (H, W, 3) uint8.
    """
    with LOCK:
        box = dlib_models.first_face(rgb)
        if box is None:
            return None
        return SeenFace(
            dlib_models.embedding(rgb, box),
            dlib_models.landmarks68(rgb, box),
            max(rgb.shape[:2]),
        )
