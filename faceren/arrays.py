"""The NumPy arrays that images are kept in, each by one name for dtype, shape and range.

H and W are image pixels. Torch tensors are not here: above the decoders an image in torch is RGB
float32, (N, 3, H, W), in [0, 1].
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Rgb8 = NDArray[np.uint8]
"""(H, W, 3) uint8, sRGB, 0 to 255."""
Rgb = NDArray[np.float32]
"""(H, W, 3) float32, sRGB in [0, 1]; differences of two such images are in [-1, 1]."""
Plane = NDArray[np.float32]
"""(H, W) float32: a mask or weight in [0, 1], or one channel in the range that is stated."""
Matrix = NDArray[np.float64]
"""(2, 3) affine transform of pixel coordinates; the centre of the first pixel is at 0."""
Float64 = NDArray[np.float64]
"""float64 of the shape and range that are stated: landmarks, embeddings, features, moments."""

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue in the luma (ITU-R BT.601), as JPEG's and OpenCV's gray have."""


def differs(image: NDArray[Any], other: NDArray[Any] | float) -> NDArray[np.bool_]:
    """Return where an image, (H, W, n), differs from another in any channel, (H, W).

    Channel by channel: over so short an axis ``any`` takes fifteen times as long.
    """
    channels = image != other
    somewhere = channels[..., 0].copy()
    for channel in range(1, channels.shape[-1]):
        somewhere |= channels[..., channel]
    return somewhere
