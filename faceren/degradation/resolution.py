"""What lenses and digitising take: blur, resampling, sharpening, JPEG.

And the one resize of ``degrade``.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceren.arrays import Rgb8
from faceren.checks import Bounds
from faceren.degradation.pixels import Length, smoothstep


def paper_kernel(sigma: float) -> int:
    """Return the side of the paper's Gaussian kernel; it cuts the bell off at about 1.4 sigma."""
    factor = 3.3 if sigma < 3 else 2.9 if sigma < 5 else 2.6
    side = max(int(factor * sigma), 5)
    return side if side % 2 else side + 1


def whole_kernel(sigma: float) -> int:
    """Return the side of a Gaussian kernel that keeps three sigmas on both sides."""
    return 2 * math.ceil(3 * sigma) + 1


@dataclass(frozen=True, kw_only=True)
class GaussianBlur:
    """Convolve with a Gaussian; borders are mirrored without repeating the edge pixel."""

    sigma: Length
    """Standard deviation, pixels."""
    kernel: Annotated[int, Bounds(1, 60_001)]
    """Odd side of the kernel, pixels."""

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the blurred image, rounded."""
        side = (self.kernel | 1, self.kernel | 1)
        return cv2.GaussianBlur(image, side, self.sigma, borderType=cv2.BORDER_REFLECT_101)


@dataclass(frozen=True, kw_only=True)
class MotionBlur:
    """Convolve with a line whose weight runs linearly from one end to the other."""

    kernel: Annotated[int, Bounds(3, 60_001)]
    """Odd side of the kernel: the length of the line, pixels."""
    angle: Annotated[float, Bounds(-360, 360)]
    """Angle of the line against the vertical, degrees."""
    direction: Annotated[float, Bounds(-1, 1)]
    """-1: all weight grows towards one end; 0: even; 1: towards the other."""

    def weights(self) -> NDArray[np.float32]:
        """Return the (kernel, kernel) weights; they sum to 1.

        As the library that the paper used: the line has 8-bit precision and is rotated bilinearly.
        """
        side = self.kernel | 1
        line = np.zeros((side, side), np.uint8)
        start = (self.direction + 1) / 2
        line[:, side // 2] = (255 * np.linspace(start, 1 - start, side)).astype(np.uint8)
        centre = (side - 1) / 2
        turn = cv2.getRotationMatrix2D((centre, centre), self.angle, 1.0)
        turned = cv2.warpAffine(line, turn, (side, side)).astype(np.float32)
        return turned / turned.sum()

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the blurred image, rounded."""
        return cv2.filter2D(image, -1, self.weights(), borderType=cv2.BORDER_REFLECT_101)


@dataclass(frozen=True, kw_only=True)
class SoftFocus:
    """Mix with a blurred copy: the glow of an uncorrected or soft-focus lens."""

    sigma: Length
    """Standard deviation of the blur of the copy, pixels."""
    amount: Annotated[float, Bounds(0, 1)]
    """Share of the blurred copy."""

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the mixture."""
        glow = cv2.GaussianBlur(image, (0, 0), self.sigma, borderType=cv2.BORDER_REFLECT_101)
        return cv2.addWeighted(image, 1 - self.amount, glow, self.amount, 0)


@dataclass(frozen=True, kw_only=True)
class EdgeSoftness:
    """Blur away from a centre: a portrait lens of the Petzval kind, sharp only on its axis."""

    sigma: Length
    """Standard deviation of the blur far outside, pixels."""
    x: Annotated[float, Bounds(0, 1)]
    """Sharp centre, share of the width."""
    y: Annotated[float, Bounds(0, 1)]
    """Sharp centre, share of the height."""
    radius: Annotated[float, Bounds(0.05, 2)]
    """Where blur is complete, share of the longer side; it sets in at half of it."""

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the image with its margin blurred."""
        height, width = image.shape[:2]
        down, across = np.ogrid[:height, :width]
        off = np.hypot(across - self.x * width, down - self.y * height) / max(height, width)
        mask = smoothstep(off.astype(np.float32), self.radius / 2, self.radius)[..., None]
        soft = cv2.GaussianBlur(image, (0, 0), self.sigma, borderType=cv2.BORDER_REFLECT_101)
        mixed = image + (soft.astype(np.float32) - image) * mask
        return np.rint(mixed).astype(np.uint8)


Filter = Literal["nearest", "linear", "cubic", "lanczos", "area", "antialiased"]
"""``antialiased`` is Pillow's cubic (over the target pixel's footprint); the others OpenCV's."""

OPENCV_FILTERS = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
    "area": cv2.INTER_AREA,
}


def resize(image: Rgb8, *, height: int, width: int, by: Filter) -> Rgb8:
    """Return the image at another size, rounded and clipped.

    Args:
        image: (H, W, 3) RGB.
        height: Height of the result, pixels.
        width: Width of the result, pixels.
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

    def __call__(self, image: Rgb8) -> Rgb8:
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

    def __call__(self, image: Rgb8) -> Rgb8:
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
    """Standard deviation of the mask's blur, pixels."""
    amount: Annotated[float, Bounds(0, 10)]
    """How much of the difference to the blurred image is added."""

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the sharpened image."""
        soft = cv2.GaussianBlur(image, (0, 0), self.sigma, borderType=cv2.BORDER_REFLECT_101)
        return cv2.addWeighted(image, 1 + self.amount, soft, -self.amount, 0)


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

    def __call__(self, image: Rgb8) -> Rgb8:
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
        read: Rgb8 = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
        return read if self.swapped else np.ascontiguousarray(read[..., ::-1])
