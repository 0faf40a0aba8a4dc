"""Keep a face the same person: blend it back toward the photo where the network went too far."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceren.faces.identity import distance, embed_aligned

Pixels = NDArray[np.float32]
STEPS = 6
"""Bisections of the blend's strength."""
LEAST = 0.1
"""A face that can only keep a smaller share of its restoration is left alone."""
LEAST_SIDE = 64
"""Pixels a side that a crop needs for its identity to be measured."""


@dataclass(frozen=True)
class Guarded:
    """How much of a face's restoration is applied."""

    share: float
    """0: the face is left as it was; 1: nothing had to be taken back."""
    identity: float | None
    """Distance of the dlib embeddings of the crop and of what is pasted; None: not measurable."""
    reason: str = ""
    """Why the share is below 1."""


def guarded(crop: Pixels, difference: Pixels, limit: float | None) -> Guarded:
    """Return the largest share of a difference whose identity distance is within a limit.

    Args:
        crop: (S, S, 3) float32 in [0, 1], aligned to the FFHQ template; another shape than a
            square of LEAST_SIDE pixels or more is not measured.
        difference: (S, S, 3), to add to it.
        limit: Largest distance of the dlib embeddings; None measures only.

    Raises:
        MachineError: If dlib or its weights are missing.
    """
    height, width = crop.shape[:2]
    if height != width or height < LEAST_SIDE:
        return Guarded(1.0, None)
    before = embed_aligned(as_bytes(crop))

    def distance_at(share: float) -> float:
        pasted = crop + np.float32(share) * difference
        return distance(before, embed_aligned(as_bytes(pasted)))

    full = distance_at(1.0)
    if limit is None or full <= limit:
        return Guarded(1.0, full)
    said = f"identity distance {full:.3f} exceeds {limit:g}"
    low, high, reached = 0.0, 1.0, 0.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        measured = distance_at(middle)
        if measured <= limit:
            low, reached = middle, measured
        else:
            high = middle
    if low < LEAST:
        return Guarded(0.0, 0.0, f"left as it was: {said}")
    return Guarded(low, reached, f"blended back: {said}")


def as_bytes(pixels: Pixels) -> NDArray[np.uint8]:
    """Return pixels in [0, 1] as uint8, rounded and clipped."""
    return np.clip(np.rint(pixels * 255), 0, 255).astype(np.uint8)
