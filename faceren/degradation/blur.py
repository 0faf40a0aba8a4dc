"""Loss of sharpness: Gaussian and motion blur as the paper's, and old lenses."""

import math
from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray

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
