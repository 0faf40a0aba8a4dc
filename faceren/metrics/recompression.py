"""The JPEG that images went through before the paper measured them."""

import cv2
import numpy as np
from numpy.typing import NDArray

QUALITY = 95


def recompressed(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image after OpenCV's JPEG at quality 95, chroma at half resolution.

    The paper's code wrote input, result and original side by side into one file. Where the width
    is a multiple of 16 each compresses as if alone, but for the interpolation of chroma across
    the seams, one pixel wide.

    Args:
        rgb: (H, W, 3) uint8.
    """
    bgr = np.ascontiguousarray(rgb[:, :, ::-1])
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(np.asarray(decoded, np.uint8)[:, :, ::-1])
