"""What all operations share: bounds of parameters, rounding, blending, random fields.

Letters: H and W are image pixels. An operation maps (H, W, 3) uint8 RGB to the same shape and type.
"""

from functools import lru_cache
from typing import Annotated

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
