"""The size at which the network sees a face: what the face holds decides, not its pixels.

A face that was enlarged, or blurred, holds fewer pixels of detail than it has pixels. Given at its
pixel size, a network that restores detail draws a fine mesh over hair and skin; given smaller, it
finds faces as it knows them. Nothing is lost by that: only the difference that the network makes is
pasted, at the photo's own size.
"""

import numpy as np
from numpy.typing import NDArray

from faceren.arrays import LUMA, Rgb

SMALLEST, STEP = 160, 32
"""Working sizes are multiples of the network's stride; below the smallest faces fall apart."""
HEADROOM = 3.5
"""Pixels of the working size for each pixel of detail. Looked at on historic faces of 60 to 120
pixels of detail: from 4.5 on hair gets a mesh, below 2.5 skin looks painted. On damaged faces of
known detail PSNR is best between 2 and 4, LPIPS between 4 and 6."""
VISIBLE = 1.0
"""Root mean square, in levels of 255, of detail that may be missing: rounding alone makes 0.3."""
FAINT_NOISE = 3.0
"""Standard deviation, in levels of 255, up to which fine noise counts as grain, which may stay."""
FINEST = 0.85
"""Share of the highest frequency above which a picture holds little but noise."""


def working_size(crop: Rgb) -> int:
    """Return the side, in pixels, at which the network should see a crop.

    A multiple of ``STEP``, at least ``SMALLEST``, and never more than the crop's own side.

    Args:
        crop: (S, S, 3) or any (H, W, 3) in [0, 1]; sides are then the shorter one.
    """
    side = min(crop.shape[:2])
    wanted = round(HEADROOM * detail_size(crop) / STEP) * STEP
    return side if wanted >= side else min(side, max(SMALLEST, wanted))


def detail_size(crop: Rgb) -> float:
    """Return how many pixels a side would hold a crop's detail, at most its own shorter side.

    What lies above half a cycle a pixel of that size is, with the faint white noise of the whole
    picture taken off, below ``VISIBLE``.

    Args:
        crop: (H, W, 3) in [0, 1].
    """
    side = min(crop.shape[:2])
    frequency, power = _spectrum(np.asarray(crop, np.float64) @ LUMA * 255)
    order = np.argsort(frequency)[::-1]
    fine, strength = frequency[order], power[order]
    noise = float(strength[fine > FINEST / 2].mean())
    faint = min(noise, FAINT_NOISE**2 / len(power))  # white noise spreads evenly
    above = np.cumsum(strength - faint)
    visible = np.flatnonzero(above > VISIBLE**2)
    return side * min(1.0, 2 * float(fine[visible[0]])) if visible.size else 0.0


def _spectrum(luma: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each frequency, cycles a pixel in the direction where it is higher, and its power.

    The powers add up to the variance of the middle: a window fades the borders out, which would
    meet as edges.
    """
    height, width = luma.shape
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    mean = float((luma * window).sum() / window.sum())
    power = np.abs(np.fft.fft2((luma - mean) * window)) ** 2
    power /= luma.size * float((window**2).sum())
    down, across = np.abs(np.fft.fftfreq(height)), np.abs(np.fft.fftfreq(width))
    return np.maximum(down[:, None], across).ravel(), power.ravel()
