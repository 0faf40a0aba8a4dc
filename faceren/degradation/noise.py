"""Noise: the paper's three kinds, photon noise, and the grain of film and paper.

The paper's noises are drawn through a table of 65,536 equally likely integers indexed by the raw
16-bit words of PCG64: ten times faster than sampling, the same on every platform, and exact to
one part in 65,536 in every probability, which 8-bit images cannot tell from the real thing.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray

from faceren.arrays import Rgb8
from faceren.checks import Bounds
from faceren.degradation.pixels import (
    Seed,
    generator,
    normal_quantiles,
    random_words,
    saturate,
    white_noise,
)

Table = NDArray[np.int16]
"""(65536,), indexed by a random 16-bit word."""


def _add(image: Rgb8, table: Table, seed: int, *, gray: bool) -> Rgb8:
    height, width = image.shape[:2]
    values = table[random_words((height, width, 1 if gray else 3), seed)]
    if gray:
        values = cv2.merge([values] * 3)
    return cv2.add(image, values, dtype=cv2.CV_8U)


@dataclass(frozen=True, kw_only=True)
class GaussianNoise:
    """Add independent normal noise to every pixel and channel; rounded and clipped."""

    sigma: Annotated[float, Bounds(0, 255)]
    """Standard deviation, levels of 255."""
    seed: Seed
    gray: bool = False
    """Whether the noise is the same in all three channels."""

    def table(self) -> Table:
        """Return 65,536 equally likely values."""
        return np.rint(normal_quantiles() * self.sigma).astype(np.int16)

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the noisy image."""
        return _add(image, self.table(), self.seed, gray=self.gray)


@dataclass(frozen=True, kw_only=True)
class LaplacianNoise:
    """Add independent double-exponential noise; its standard deviation is scale times sqrt(2)."""

    scale: Annotated[float, Bounds(0, 255)]
    """Mean absolute value, levels of 255."""
    seed: Seed
    gray: bool = False
    """Whether the noise is the same in all three channels."""

    def table(self) -> Table:
        """Return 65,536 equally likely values."""
        return np.rint(_laplace_quantiles() * self.scale).astype(np.int16)

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the noisy image."""
        return _add(image, self.table(), self.seed, gray=self.gray)


@dataclass(frozen=True, kw_only=True)
class PoissonNoise:
    """Add a Poisson number with a random sign, whatever the signal: two humps around +-level.

    This is what the simulator behind the paper's figures calls Poisson noise; ``PhotonNoise`` is
    the physical kind.
    """

    level: Annotated[float, Bounds(0, 255)]
    """Mean of the Poisson number, levels of 255."""
    seed: Seed
    gray: bool = False
    """Whether the noise is the same in all three channels."""

    def table(self) -> Table:
        """Return 65,536 equally likely values: half the Poisson quantiles, half their negatives."""
        if self.level <= 0:
            return np.zeros(65536, np.int16)
        counts = np.arange(1, int(self.level + 12 * self.level**0.5 + 12))
        logs = np.concatenate([[0.0], np.cumsum(np.log(self.level / counts))]) - self.level
        below = np.cumsum(np.exp(logs))
        upper = np.searchsorted(below, (np.arange(32768) + 0.5) / 32768).astype(np.int16)
        return np.concatenate([-upper, upper])

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the noisy image."""
        return _add(image, self.table(), self.seed, gray=self.gray)


@dataclass(frozen=True, kw_only=True)
class PhotonNoise:
    """Replace each value by a Poisson number of photons: noise grows with the square root."""

    photons: Annotated[float, Bounds(0.5, 1e6)]
    """Mean number of photons at white."""
    seed: Seed

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the noisy image; its expectation is the input (but for clipping at white)."""
        mean = image.astype(np.float32) * (self.photons / 255)
        counts = generator(self.seed).poisson(mean)
        return saturate((counts * (255 / self.photons)).astype(np.float32))


@dataclass(frozen=True, kw_only=True)
class Grain:
    """Modulate the density with clumped noise, as silver grain does: none in white or in black."""

    strength: Annotated[float, Bounds(0, 128)]
    """Standard deviation where it is largest (level 94), levels of 255."""
    size: Annotated[float, Bounds(0, 10_000)]
    """Sigma of a clump, pixels; below 0.3 single pixels."""
    seed: Seed

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the grainy image; a tint keeps its hue."""
        height, width = image.shape[:2]
        noise = white_noise(height, width, self.seed)
        if self.size >= 0.3:
            noise = cv2.GaussianBlur(noise, (0, 0), self.size)
            noise *= np.float32(1 / max(float(noise.std()), 1e-6))
        change = cv2.LUT(image, _density_response() * np.float32(self.strength))
        change *= noise[..., None]
        return cv2.add(image, change, dtype=cv2.CV_8U)


@lru_cache(maxsize=1)
def _laplace_quantiles() -> NDArray[np.float64]:
    upper = -np.log1p(-(np.arange(32768) + 0.5) / 32768)
    return np.concatenate([-upper[::-1], upper])


@lru_cache(maxsize=1)
def _density_response() -> NDArray[np.float32]:
    """Return how far each level moves when its density changes by a unit share; 1 at the peak."""
    level = np.arange(256)
    return (-level * np.log(np.maximum(level, 1) / 255) * (np.e / 255)).astype(np.float32)
