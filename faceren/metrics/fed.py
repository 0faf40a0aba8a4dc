"""FED and LLE: how far a restored face is from the person it was, and its features from theirs."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from faceren.arrays import Float64, Rgb8
from faceren.errors import MachineError, ShapeError
from faceren.faces import identity

LIP_CORNERS = (48, 54, 60, 64)
"""The outlines of upper and lower lip both have them, so each counts twice: 72 points."""
SIDE = 512
"""Pixels of the image side to which the landmark error refers."""


@dataclass(frozen=True)
class SeenFace:
    """The face of an image that dlib's detector is most certain of."""

    embedding: Float64
    """Whose face it is, (128,)."""
    landmarks: Float64
    """Where its features are, (68, 2), in pixels of the image."""
    side: int
    """Longer side of the image in pixels."""


def see_face(rgb: Rgb8) -> SeenFace | None:
    """Return what dlib sees in an image, or None if it finds no face.

    Args:
        rgb: (H, W, 3) uint8.
    """
    box = identity.first_face(rgb)
    if box is None:
        return None
    return SeenFace(
        identity.embedding(rgb, box), identity.landmarks68(rgb, box), max(rgb.shape[:2])
    )


def fed(face: SeenFace, reference: SeenFace) -> float:
    """Return the face embedding distance of two faces; lower is better, 0.6 is another person.

    HiFaceGAN, section 3.3: dlib's 128 numbers, not normalised.
    """
    return identity.distance(face.embedding, reference.embedding)


def lle(face: SeenFace, reference: SeenFace) -> float:
    """Return the landmark localisation error; lower is better.

    The mean distance of 72 landmarks in pixels of a 512-pixel image.

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


@dataclass(frozen=True)
class KnownFace:
    """The face of a clean image, for many images of the same face at the same place."""

    box: Any
    """Where the face is, as dlib's rectangle."""
    embedding: Float64
    """Whose face it is, (128,)."""

    def fed(self, rgb: Rgb8) -> float:
        """Return the FED of an image whose face is where the clean image has it.

        The detector is not asked again: quicker, and no image is left out however damaged.

        Args:
            rgb: (H, W, 3) uint8, of the clean image's size.
        """
        return identity.distance(identity.embedding(rgb, self.box), self.embedding)


def know_face(rgb: Rgb8) -> KnownFace | None:
    """Return the face of a clean image, (H, W, 3) uint8, or None if dlib finds none."""
    box = identity.first_face(rgb)
    return None if box is None else KnownFace(box, identity.embedding(rgb, box))


def why_no_fed() -> str:
    """Return why FED cannot be computed on this machine; empty if it can."""
    try:
        identity.check()
    except MachineError as error:
        return str(error)
    return ""
