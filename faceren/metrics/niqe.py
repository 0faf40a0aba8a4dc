"""NIQE as the authors' MATLAB code computes it: naturalness without a reference.

Source: Mittal et al., Making a "Completely Blind" Image Quality Analyzer (IEEE SPL 20(3), 2013).
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

GRAY = np.array([0.298936, 0.587043, 0.114021])
"""MATLAB's ``rgb2gray``; other codes take Y of YCbCr, which moves the figure by some percent."""


def _half_kernel() -> Matrix:
    """Return the taps with which MATLAB halves a side: cubic (a = -0.5), stretched to twice."""
    x = np.abs(np.arange(-3.5, 4)) / 2
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    taps = np.where(x <= 1, near, far)
    return np.asarray(taps / taps.sum())


def halve(image: Matrix) -> Matrix:
    """Return the image at half size, as MATLAB's antialiased bicubic ``imresize``.

    Args:
        image: (H, W), even sides.
    """
    taps = _half_kernel()
    # the 8 taps of output i begin 3 pixels before input 2i; BORDER_REFLECT mirrors with the edge
    padded = cv2.copyMakeBorder(image, 3, 4, 3, 4, cv2.BORDER_REFLECT)
    rows, columns = image.shape
    down = sum(tap * padded[k : k + rows : 2] for k, tap in enumerate(taps))
    return np.asarray(sum(tap * down[:, k : k + columns : 2] for k, tap in enumerate(taps)))


def niqe(rgb: NDArray[np.uint8]) -> float:
    """Return the NIQE of an image; lower is more natural, photographs have 2 to 5.

    Args:
        rgb: (H, W, 3) uint8, with room for two patches of 96 pixels.

    Raises:
        ShapeError: If it is smaller.
        ImageError: If it is blank.
        MachineError: If the statistics of undamaged images are missing.
    """
    luminance = crop_to_patches(np.round(rgb @ GRAY))
    scales = (luminance, PATCH), (halve(luminance), PATCH // 2)
    features = [
        patch_features(normalise(image, legacy=False), side, legacy=False) for image, side in scales
    ]
    return distance(np.hstack(features), load_pristine("niqe-matlab"))
