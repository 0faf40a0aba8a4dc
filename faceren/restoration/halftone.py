"""Halftones: faces made of printed dots, or of the lines of an engraving.

A picture out of a newspaper or a book is ink in a regular pattern. A network that sees its dots
large takes some for noise and some for features, and what it takes away is no grain that ought to
come back. Seen small, two pixels a dot, the pattern is gone and the face is there.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from faceren.arrays import LUMA, Float64, Plane, Rgb

TILE = 64
"""Side in pixels of the tiles whose spectra are taken together."""
TOP, BOTTOM, LEFT, RIGHT = 0.2, 0.86, 0.2, 0.8
"""Shares of an aligned crop within which nearly all is face: curtains and coats are woven, too."""
SLOWEST = 5
"""Waves a tile from which on a pattern is looked for: slower ones are the face itself."""
AROUND = 5
"""Waves to each side within which a spectrum without a pattern is smooth."""
NEAR = 2
"""The same for what belongs to one peak."""
FAINT = 1e-3
"""Power, in squared levels of 255, below which all is rounding."""
STANDS_OUT = 2.2
"""Natural logarithm of how often a peak's power exceeds what is usual around it: halftones have
2.5 to 7, engravings from 2.3 on; strong JPEG grids have up to 2.9, but see ``LEAST_LEVELS``."""
PART = 1.5
"""The same for the peaks that count as parts of a pattern."""
LEAST_LEVELS = 1.5
"""Root mean square of a pattern, in levels of 255. The grid of JPEG files reaches 0.6."""
FEWEST = 32
"""Dots along a crop's side below which no face could be told: then it is something else."""
PIXELS_A_DOT = 2
"""Of the working size. Looked at on 12 printed faces: with 1 features go, with 2.8 dots stay."""


@dataclass(frozen=True)
class Pattern:
    """The regular pattern that a picture is covered with."""

    height: float
    """Of its highest peak; see ``STANDS_OUT``. 0 without a pattern."""
    levels: float
    """Root mean square, of 255."""
    frequency: float
    """Waves a pixel, of its strongest peak."""


def halftone_dots(crop: Rgb) -> float:
    """Return how many printed dots or lines lie along a crop's side; 0 if it is no halftone.

    Args:
        crop: (S, S, 3), aligned to the FFHQ template, or any (H, W, 3), in [0, 1]; the side is then
            the shorter one. One whose middle is smaller than a tile is none.
    """
    height, width = crop.shape[:2]
    middle = crop[
        round(TOP * height) : round(BOTTOM * height), round(LEFT * width) : round(RIGHT * width)
    ]
    face = np.asarray(middle @ LUMA * 255, np.float32)
    if min(face.shape) < TILE:
        return 0.0
    found = pattern(face)
    if min(face.shape) >= 4 * TILE:  # coarse dots stand out more from larger pixels
        coarse = pattern(cv2.resize(face, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
        if coarse.height > found.height:
            found = Pattern(coarse.height, coarse.levels, coarse.frequency / 2)
    dots = found.frequency * min(height, width)
    certain = found.height >= STANDS_OUT and found.levels >= LEAST_LEVELS and dots >= FEWEST
    return dots if certain else 0.0


def pattern(luma: Plane) -> Pattern:
    """Return the pattern that most of a picture shares: peaks of its tiles' geometric mean power.

    An edge or a stripe is in few tiles, and adds little to a geometric mean; dots are in all.

    Args:
        luma: (H, W) in levels of 255, TILE or more a side.
    """
    power = np.log(tile_power(luma))
    around = _windows(power, AROUND)
    waves = np.arange(TILE) - TILE // 2
    distance = np.hypot(waves[:, None], waves)
    highest = (power >= _windows(power, NEAR).max(axis=(2, 3))) & (distance >= SLOWEST)
    above = np.zeros_like(power)  # a median for each frequency would take ten times as long
    above[highest] = power[highest] - _medians(around[highest])
    peaks = above > PART
    if not peaks.any():
        return Pattern(0.0, 0.0, 0.0)
    parts = _windows(peaks.astype(np.float64), NEAR).max(axis=(2, 3)) > 0
    usual = np.exp(_medians(around[parts]))
    excess = np.zeros_like(power)
    excess[parts] = np.maximum(np.exp(power[parts]) - usual, 0)
    strongest = np.argmax(np.where(peaks, excess, -1))
    return Pattern(
        height=float(above.max()),
        levels=float(np.sqrt(excess.sum())),
        frequency=float(distance.flat[strongest]) / TILE,
    )


def tile_power(luma: Plane) -> Float64:
    """Return the geometric mean of the power spectra of a picture's tiles, (TILE, TILE).

    They add up to the variance of a tile; no wave is in the middle. Tiles overlap where there would
    be few of them.

    Args:
        luma: (H, W), TILE or more a side.
    """
    step = max(TILE // 4, TILE * min(4, min(luma.shape) // (2 * TILE)) // 4)
    fade = np.hanning(TILE + 2)[1:-1].astype(np.float32)
    window = np.outer(fade, fade)
    window /= np.sqrt(np.mean(window**2))
    tiles = sliding_window_view(luma, (TILE, TILE))[::step, ::step].reshape(-1, TILE, TILE)
    means = (tiles * window).sum(axis=(1, 2), keepdims=True) / window.sum()
    spectra = np.fft.fft2((tiles - means) * window) / TILE**2
    power = np.log(spectra.real**2 + spectra.imag**2 + FAINT).mean(axis=0)
    return np.asarray(np.fft.fftshift(np.exp(power)), np.float64)


def _windows(spectrum: Float64, reach: int) -> Float64:
    """Return what is around each frequency, (TILE, TILE, n, n): a spectrum has no borders."""
    wrapped = np.pad(spectrum, reach, mode="wrap")
    return sliding_window_view(wrapped, (2 * reach + 1, 2 * reach + 1))


def _medians(windows: Float64) -> Float64:
    """Return the median of each window, (m,), of (m, n, n), also of none."""
    flat = windows.reshape(-1, windows.shape[1] * windows.shape[2])
    return np.asarray(np.median(flat, axis=1), np.float64)
