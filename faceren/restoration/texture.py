"""Measure the fine texture of a face crop: octave by octave, and where there is only grain.

Pictures are float32 luminance in [0, 1], (S, S).
"""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.float32]
Mask = NDArray[np.bool_]

SMOOTHINGS = (0.7, 1.4, 2.8, 5.6)
"""Gaussian sigmas in crop pixels; between two of them lies an octave."""
BLOCK = 16
"""Side in pixels of the blocks in which the power of an octave is measured."""
FLAT = 0.4
"""Share of blocks, those with the least structure, that count as flat."""
TONES = 3
"""Brightnesses at which grain is measured: prints show less of it in black and in white."""


def octaves(luma: Luma) -> list[Luma]:
    """Split a picture into octaves of detail, the finest first; what is coarser is left out."""
    smoothed = [luma, *(cv2.GaussianBlur(luma, (0, 0), sigma) for sigma in SMOOTHINGS)]
    return [np.asarray(fine - coarse, np.float32) for fine, coarse in pairwise(smoothed)]


def block_means(values: Luma) -> Luma:
    """Return the mean of each block, (n, n)."""
    count = max(2, round(len(values) / BLOCK))
    return np.asarray(cv2.resize(values, (count, count), interpolation=cv2.INTER_AREA), np.float32)


def flat_blocks(bands: list[Luma]) -> Mask:
    """Mark the blocks that show the least structure, (n, n).

    Args:
        bands: Octaves of a picture without grain: a restored face tells what is structure.
    """
    structure = np.sum([block_means(band * band) for band in bands], axis=0)
    return np.asarray(structure <= np.quantile(structure, FLAT))


@dataclass(frozen=True)
class ByTone:
    """A measure of texture at some brightnesses, from dark to bright."""

    tones: NDArray[np.float64]
    """(TONES,)."""
    values: NDArray[np.float64]
    """(TONES, n)."""

    def at(self, where: Luma, column: int) -> Luma:
        """Return one column for pixels of given brightness, with straight lines between."""
        return np.asarray(np.interp(where, self.tones, self.values[:, column]), np.float32)


def by_tone(powers: Luma, tones: Luma) -> ByTone:
    """Return the medians of three groups of blocks, so that a scratch or a hair does not count.

    Args:
        powers: (n, blocks) mean squares; a difference of two may be negative, and counts as 0.
        tones: (blocks,) brightness.
    """
    groups = np.array_split(np.argsort(tones, kind="stable"), TONES)
    medians = [np.maximum(np.median(powers[:, group], axis=1), 0) for group in groups]
    centres = [float(np.median(tones[group])) for group in groups]
    return ByTone(np.array(centres), np.array(medians, np.float64))
