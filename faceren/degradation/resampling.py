"""Loss of resolution, sharpening, and the one resize that ``degrade`` makes itself."""

from dataclasses import dataclass
from typing import Annotated, Literal

import cv2
import numpy as np
from PIL import Image

from faceren.degradation.pixels import Bounds, Length, Pixels

Filter = Literal["nearest", "linear", "cubic", "lanczos", "area", "antialiased"]
"""``antialiased`` is Pillow's cubic (over the target pixel's footprint); the others OpenCV's."""

OPENCV_FILTERS = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
    "area": cv2.INTER_AREA,
}


def resize(image: Pixels, *, height: int, width: int, by: Filter) -> Pixels:
    """Return the image at another size, rounded and clipped.

    Args:
        image: (H, W, 3) RGB.
        height: Of the result, pixels.
        width: Of the result, pixels.
        by: The interpolation.
    """
    if by == "antialiased":
        return np.array(
            Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC), np.uint8
        )
    return cv2.resize(image, (width, height), interpolation=OPENCV_FILTERS[by])


@dataclass(frozen=True, kw_only=True)
class Shrink:
    """Shrink and enlarge back: the size stays, detail goes."""

    scale: Annotated[float, Bounds(0.001, 1)]
    """Side of the small image over that of the large; rounded to whole pixels."""
    down: Filter = "cubic"
    """Interpolation of the shrinking; cubic aliases, as in the paper's simulator."""
    up: Filter = "cubic"
    """Interpolation of the enlarging."""

    def __call__(self, image: Pixels) -> Pixels:
        """Return the image with less detail, at its own size."""
        height, width = image.shape[:2]
        small = resize(
            image,
            height=max(1, round(height * self.scale)),
            width=max(1, round(width * self.scale)),
            by=self.down,
        )
        return resize(small, height=height, width=width, by=self.up)


@dataclass(frozen=True, kw_only=True)
class Mosaic:
    """Replace each square block by its mean, truncated; blocks at the far edges may be cut."""

    block: Annotated[int, Bounds(1, 4096)]
    """Side, pixels."""

    def __call__(self, image: Pixels) -> Pixels:
        """Return the image in blocks."""
        height, width = image.shape[:2]
        rows, columns = np.arange(0, height, self.block), np.arange(0, width, self.block)
        sums = np.add.reduceat(np.add.reduceat(image, rows, 0, dtype=np.int64), columns, 1)
        tall, wide = np.diff(rows, append=height), np.diff(columns, append=width)
        means = (sums // (tall[:, None] * wide)[..., None]).astype(np.uint8)
        return means.repeat(tall, 0).repeat(wide, 1)


@dataclass(frozen=True, kw_only=True)
class Sharpen:
    """Unsharp masking, with the bright and dark halos that scanners' drivers leave."""

    sigma: Length
    """Of the mask, pixels."""
    amount: Annotated[float, Bounds(0, 10)]
    """How much of the difference to the blurred image is added."""

    def __call__(self, image: Pixels) -> Pixels:
        """Return the sharpened image."""
        soft = cv2.GaussianBlur(image, (0, 0), self.sigma, borderType=cv2.BORDER_REFLECT_101)
        return cv2.addWeighted(image, 1 + self.amount, soft, -self.amount, 0)
