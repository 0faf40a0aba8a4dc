"""A second opinion: does what the detector calls a face look like one to another network?

The detector learned where faces are, and calls a cat one now and then. dlib's embedding network
learned whose they are, from faces alone; what it sees in its middle layers differs between faces
and other things. ``likeness.npz`` weighs that, and the detector's own confidence.
"""

from functools import cache
from pathlib import Path

import cv2
import numpy as np

from faceren.arrays import Float64, Rgb8
from faceren.faces import identity
from faceren.faces.alignment import TEMPLATE, similarity, warp
from faceren.faces.face import Face

SIDE = 150
"""Side in pixels of what that network sees."""
COVERS, MIDDLE = 394.0, (256.0, 285.0)
"""Side and centre of that in a 512-pixel crop aligned as FFHQ is: about dlib's own cut."""


def likeness(image: Rgb8, face: Face) -> float:
    """Return how much a face looks like one: logits, above 0 if rather a face than not.

    Args:
        image: (H, W, 3) uint8, RGB.
        face: In pixels of the image.

    Raises:
        MachineError: If the weights of dlib's network are missing.
    """
    bias, weights = _weights()
    return float(features(image, face) @ weights + bias)


def features(image: Rgb8, face: Face) -> Float64:
    """Return what ``likeness`` weighs, (K,): the network's maps, and the detector's confidence.

    Args:
        image: (H, W, 3) uint8, RGB.
        face: In pixels of the image.
    """
    share = min(max(face.score, 1e-4), 1 - 1e-4)
    seen = identity.describe(chip(image, face))
    return np.append(seen, np.log(share / (1 - share)))


def chip(image: Rgb8, face: Face) -> Rgb8:
    """Return a face aligned for dlib's network, (SIDE, SIDE, 3).

    Args:
        image: (H, W, 3) uint8, RGB.
        face: In pixels of the image.
    """
    target = (TEMPLATE + 0.5 - np.array(MIDDLE) + COVERS / 2) * (SIDE / COVERS) - 0.5
    around = 4 * max(face.width, face.height)
    low = np.maximum(face.landmarks.mean(0) - around / 2, 0).astype(int)
    high = (face.landmarks.mean(0) + around / 2).astype(int) + 2
    part = np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]], np.float32)
    seen = warp(part, similarity(face.landmarks - low, target), (SIDE, SIDE))
    return np.asarray(np.clip(cv2.convertScaleAbs(seen), 0, 255), np.uint8)


@cache
def _weights() -> tuple[float, Float64]:
    with np.load(Path(__file__).with_name("likeness.npz")) as file:
        values = np.asarray(file["weights"], np.float64)
    return float(values[0]), values[1:]
