"""JPEG compression."""

from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np

from faceren.degradation.pixels import Bounds, Pixels


def quality_of(compression: int) -> int:
    """Return the JPEG quality that the paper's simulator makes of a compression of 0 to 100."""
    return round(1 + 99 * (1 - compression / 101))


@dataclass(frozen=True, kw_only=True)
class Jpeg:
    """Write as baseline JPEG with halved chroma (4:2:0), and read back."""

    quality: Annotated[int, Bounds(1, 100)]
    """On the scale of the Independent JPEG Group's library."""
    swapped: bool = False
    """Take red for blue in the colour conversion, as the paper's simulator did."""

    def __call__(self, image: Pixels) -> Pixels:
        """Return what is left."""
        bgr = image if self.swapped else image[..., ::-1]
        _, data = cv2.imencode(
            ".jpg",
            np.ascontiguousarray(bgr),
            [
                *(cv2.IMWRITE_JPEG_QUALITY, self.quality),
                *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420),
            ],
        )
        read: Pixels = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
        return read if self.swapped else np.ascontiguousarray(read[..., ::-1])
