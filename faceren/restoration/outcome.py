"""What becomes of a face after the network: matched to its photo, and still the same person.

Pixels are float32 RGB, (S, S, 3).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceren.restoration.crops import FaceCrop
from faceren.restoration.grain import with_grain
from faceren.restoration.identity_guard import guarded
from faceren.restoration.options import RestoreOptions
from faceren.restoration.paste import scaled
from faceren.restoration.tone import without_cast

Pixels = NDArray[np.float32]


@dataclass(frozen=True)
class Outcome:
    """What is added to a crop, and what that does to the face."""

    difference: Pixels
    strength: float
    """Share of the network's change that is applied; 0: the face is left as it was."""
    identity: float | None
    """Distance of the dlib embeddings before and after; None if no face was measurable."""
    reason: str
    """Why the strength is below the one asked for; or nothing."""


def outcome(
    crop: FaceCrop, restored: Pixels, options: RestoreOptions, *, luminance_only: bool
) -> Outcome:
    """Return what to add to a crop.

    In a photo the face gets the tone and the grain of what is around it; a crop that is all there
    is stays as the network made it.

    Args:
        crop: The face as it was cut.
        restored: The network's output for ``crop.pixels``; overwritten with the difference, so
            that a photo of hundreds of faces holds each twice, not three times.
        options: See ``RestoreOptions``.
        luminance_only: Keep the photo's own chroma.

    Raises:
        MachineError: If dlib or its weights are missing.
    """
    difference = restored - crop.pixels
    if not options.aligned:
        difference = without_cast(difference)
    difference = scaled(difference, options.strength, luminance_only=luminance_only)
    if options.grain == "auto" and not options.aligned and difference.any():
        difference = with_grain(crop.pixels, crop.pixels + difference) - crop.pixels
    kept = guarded(crop.pixels, difference, options.min_identity)
    return Outcome(
        np.multiply(difference, np.float32(kept.share), out=restored),
        options.strength * kept.share,
        kept.identity,
        kept.reason,
    )
