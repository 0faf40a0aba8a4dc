"""NIQE as the paper's Table 1 has it: a port of old, whose figures are not comparable.

It reads lightness from an image with red and blue swapped, takes black beyond the borders, halves
without antialiasing, repeats a parameter, and compares with other statistics: real faces have
about 8 where the authors' code gives 3 to 5.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from faceren.metrics.niqe_features import (
    PATCH,
    Matrix,
    crop_to_patches,
    distance,
    load_pristine,
    normalise,
    patch_features,
)


def niqe_legacy(rgb: NDArray[np.uint8]) -> float:
    """Return the NIQE of the paper's Table 1; lower is more natural.

    Args:
        rgb: (H, W, 3) uint8, with room for two patches of 96 pixels.

    Raises:
        ShapeError: If it is smaller.
        ImageError: If it is blank.
        MachineError: If the statistics of undamaged images are missing.
    """
    bgr = np.ascontiguousarray(rgb[:, :, ::-1])
    lightness = cv2.cvtColor(bgr, cv2.COLOR_RGB2LAB)[:, :, 0]  # taken for RGB: so it was done
    full = crop_to_patches(lightness.astype(np.float64))
    half: Matrix = cv2.resize(full, (full.shape[1] // 2, full.shape[0] // 2))
    features = [
        patch_features(normalise(image, legacy=True), side, legacy=True)
        for image, side in ((full, PATCH), (half, PATCH // 2))
    ]
    return distance(np.hstack(features), load_pristine("niqe-legacy"))
