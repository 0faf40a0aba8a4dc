"""What all operations share: bounds of parameters, rounding, blending; random fields and draws.

Letters: H and W are image pixels. An operation maps (H, W, 3) uint8 RGB to the same shape and type.
Seeds depend on nothing but their item; what is drawn is rounded, so that it can be written down.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from faceren.arrays import LUMA, Plane, Rgb8
from faceren.checks import Bounds

Level = Annotated[float, Bounds(0, 255)]
"""A level of an 8-bit channel."""
Colour = tuple[Level, Level, Level]
"""Red, green, blue."""
Share = Annotated[float, Bounds(0, 1)]
Seed = Annotated[int, Bounds(0, 2**64 - 1)]

SHORTEST, LONGEST = 0.05, 100_000.0
Length = Annotated[float, Bounds(SHORTEST, LONGEST)]
"""Pixels, the unit of every length that is not a share of the image."""


def saturate(values: NDArray[np.float32]) -> Rgb8:
    """Round to the nearest integer (half to even) and clip to [0, 255]."""
    return np.rint(values).clip(0, 255).astype(np.uint8)


def blend(image: Rgb8, colour: Colour, mask: Plane) -> Rgb8:
    """Return the image mixed with one colour.

    Args:
        image: (H, W, 3) RGB.
        colour: What is mixed in.
        mask: (H, W) share of the colour in [0, 1]; only where it is above 0 is anything computed.
    """
    result = image.copy()
    where = mask > 0
    old = image[where].astype(np.float32)
    new = old + (np.array(colour, np.float32) - old) * mask[where][:, None]
    result[where] = np.rint(new).clip(0, 255)
    return result


def mix(image: Rgb8, other: Colour | NDArray[np.float32], mask: Plane) -> Rgb8:
    """Return ``image + (other - image) * mask``, rounded and clipped.

    Args:
        image: (H, W, 3) RGB.
        other: One colour, or (H, W, 3) in [0, 255].
        mask: (H, W).
    """
    old = image.astype(np.float32)
    change = np.asarray(other, np.float32) - old
    change *= mask[..., None]
    change += old
    return saturate(change)


def scale(image: Rgb8, gain: Plane) -> Rgb8:
    """Return the image times (H, W) ``gain``, rounded and clipped."""
    return cv2.multiply(image, cv2.merge([gain] * 3), dtype=cv2.CV_8U)


def generator(seed: int) -> np.random.Generator:
    """Return the numpy generator that belongs to an operation's seed."""
    return np.random.Generator(np.random.PCG64(seed))


def random_words(shape: tuple[int, ...], seed: int) -> NDArray[np.uint16]:
    """Return independent uniform 16-bit integers, the same on every platform."""
    count = int(np.prod(shape))
    raw = np.random.PCG64(seed).random_raw((count + 3) // 4)
    words: NDArray[np.uint16] = raw.astype("<u8", copy=False).view("<u2")[:count]
    return words.reshape(shape)


@lru_cache(maxsize=1)
def normal_quantiles() -> NDArray[np.float64]:
    """Return 65,536 equally likely values of the standard normal distribution, ascending."""
    from statistics import NormalDist

    half = [NormalDist().inv_cdf((index + 0.5) / 65536) for index in range(32768, 65536)]
    upper = np.array(half)
    return np.concatenate([-upper[::-1], upper])


@lru_cache(maxsize=1)
def _normal_quantiles32() -> NDArray[np.float32]:
    return normal_quantiles().astype(np.float32)


def white_noise(height: int, width: int, seed: int) -> Plane:
    """Return (H, W) independent standard normal values (tails end at 4.32)."""
    return _normal_quantiles32()[random_words((height, width), seed)]


def smooth_noise(height: int, width: int, *, period: float, octaves: int, seed: int) -> Plane:
    """Return a cloudy (H, W) field in [-1, 1], each octave half as large and twice as fine.

    Args:
        height: H.
        width: W.
        period: Pixels between the largest bumps.
        octaves: How many sizes of bumps, at least 1.
        seed: Seed of the field.
    """
    rng = generator(seed)
    field = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        cell = max(period / 2**octave, 1.0)
        grid = rng.random((int(height / cell) + 3, int(width / cell) + 3), dtype=np.float32) * 2 - 1
        shift = np.array([[1 / cell, 0, 0.5], [0, 1 / cell, 0.5]])  # field pixel -> grid position
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        field += cv2.warpAffine(grid, shift, (width, height), flags=flags) * 0.5**octave
    return (field / (2 - 0.5 ** (octaves - 1))).clip(-1, 1)


def edge_distance(height: int, width: int) -> Plane:
    """Return (H, W): 0 at the border of the image, 1 at its centre lines' crossing."""
    y = 1 - np.abs(np.linspace(-1, 1, height, dtype=np.float32))
    x = 1 - np.abs(np.linspace(-1, 1, width, dtype=np.float32))
    return np.minimum(y[:, None], x[None, :])


def smoothstep(values: Plane, low: float, high: float) -> Plane:
    """Return 0 below ``low``, 1 above ``high``, a smooth cubic ramp between."""
    ramp = ((values - np.float32(low)) / np.float32(high - low)).clip(0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def luminance(image: Rgb8) -> Plane:
    """Return (H, W), the Rec. 601 luma in [0, 255]."""
    return cv2.transform(image.astype(np.float32), LUMA[None])


T = TypeVar("T")

SEED_BITS = 53
"""Seeds stay exact in every JSON reader, also in those that have only doubles."""


def item_seed(seed: int, path: str, copy: int = 0) -> int:
    """Return the seed of one copy of one image, the same on every platform and in every order.

    Args:
        seed: Seed of the run.
        path: Path of the image relative to its folder, with forward slashes.
        copy: Number of the copy (or of the epoch).
    """
    digest = hashlib.sha256(f"{seed}\n{path}\n{copy}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - SEED_BITS)


class Sampler:
    """Draws parameters by what numpy computes alike everywhere: no logarithms, no sines.

    Args:
        source: A seed, or a generator that other draws share.
    """

    def __init__(self, source: int | np.random.Generator) -> None:
        self._rng = source if isinstance(source, np.random.Generator) else generator(source)

    def uniform(self, low: float, high: float) -> float:
        """Return a number between the two, rounded to 6 decimals."""
        return round(float(self._rng.uniform(low, high)), 6)

    def length(self, low: float, high: float, unit: float) -> float:
        """Return so many units, in pixels, but no less than an operation can do."""
        return max(round(self.uniform(low, high) * unit, 6), SHORTEST)

    def integer(self, low: int, high: int) -> int:
        """Return an integer from ``low`` to ``high``, both included."""
        return int(self._rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        """Return true with this probability."""
        return bool(self._rng.random() < probability)

    def choice(self, options: Sequence[T]) -> T:
        """Return one of the options, all equally likely."""
        return options[self.integer(0, len(options) - 1)]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Return the items in an order drawn uniformly from all."""
        return [items[int(i)] for i in self._rng.permutation(len(items))]

    def seed(self) -> int:
        """Return a seed for an operation's own noise."""
        return int(self._rng.integers(0, 2**SEED_BITS))

    def colour(self, low: Colour, high: Colour) -> Colour:
        """Return a colour on the way from one to the other, each channel a little off it."""
        way = self.uniform(0, 1)
        red, green, blue = (
            round(min(max(a + (b - a) * way + self.uniform(-4, 4), 0.0), 255.0), 2)
            for a, b in zip(low, high, strict=True)
        )
        return red, green, blue
