"""Whose face it is: dlib's 128-number embedding and the distance of two of them.

Below about 0.4 two pictures show the same person, above 0.6 two persons.
"""

import numpy as np
from numpy.typing import NDArray

from faceren.errors import ShapeError
from faceren.faces.alignment import crop_transform, warp
from faceren.metrics import dlib_models
from faceren.metrics.dlib_models import LOCK, Rgb

Embedding = NDArray[np.float64]

CROP = 256
"""Side in pixels of the aligned crop that a face is brought to; the network itself sees 150."""
BOX_CENTRE, BOX_SIDE = (256 / 512, 306 / 512), 300 / 512
"""Where in a crop aligned as FFHQ dlib's own detector sees the face: the median of portraits."""


class IdentityModel:
    """dlib's face embedding; loads its weights on first use. Threads take turns.

    Raises:
        MachineError: If dlib or its weights are missing.
    """

    def embed(self, rgb: Rgb, landmarks: NDArray[np.float64] | None = None) -> Embedding | None:
        """Return the embedding of a face, (128,), or None if no face is found.

        Args:
            rgb: (H, W, 3) uint8, a photo.
            landmarks: (5, 2), eyes, nose tip and mouth corners in pixels; without them dlib's
                detector looks for a face, which is slower and misses turned and small faces.

        Raises:
            FaceError: If the landmarks coincide.
            ShapeError: If ``rgb`` is no such image.
        """
        image = dlib_models.check_rgb(rgb)
        if landmarks is not None:
            matrix = crop_transform(landmarks, CROP)
            crop = warp(image.astype(np.float32), matrix, (CROP, CROP))
            return self.embed_aligned(np.clip(np.rint(crop), 0, 255).astype(np.uint8))
        with LOCK:
            box = dlib_models.first_face(image)
            return None if box is None else dlib_models.embedding(image, box)

    def embed_aligned(self, crop: Rgb) -> Embedding:
        """Return the embedding of a face, (128,), in a crop that is aligned already.

        Args:
            crop: (S, S, 3) uint8, aligned to the FFHQ template of ``faces.alignment``.

        Raises:
            ShapeError: If it is no square image.
        """
        image = dlib_models.check_rgb(crop)
        side = image.shape[0]
        if image.shape[1] != side:
            raise ShapeError(f"expected a square aligned crop, got {image.shape}")
        x, y = BOX_CENTRE
        box = dlib_models.rectangle((x * side, y * side), BOX_SIDE * side)
        with LOCK:
            return dlib_models.embedding(image, box)


def distance(ours: Embedding, theirs: Embedding) -> float:
    """Return the Euclidean distance of two embeddings."""
    return float(np.linalg.norm(ours - theirs))
