"""What becomes of a face after the network: matched to its photo, and still the same person.

A network that lightens, tints or smooths a face as a whole would make it stand out of its photo,
so what it changed is matched to what is around; and where it made another person of the face, the
face is blended back toward the photo. Crops are (S, S, 3), float32 RGB in [0, 1].
"""

import numpy as np

from faceren.arrays import LUMA, Rgb, Rgb8
from faceren.faces.identity import distance, embed_aligned
from faceren.restoration.crops import FaceCrop, scaled_face
from faceren.restoration.grain import with_grain
from faceren.restoration.network import Restored
from faceren.restoration.options import RestoreOptions
from faceren.restoration.results import FaceEdit

STEPS = 6
"""Bisections of the blend's strength."""
LEAST = 0.1
"""A face that can only keep a smaller share of its restoration is left alone."""
BAND = 32
"""Rows from which a cast is taken at a time."""
LEAST_SIDE = 64
"""Pixels a side that a crop needs for its identity to be measured."""


def edit_face(
    crop: FaceCrop, restored: Restored, options: RestoreOptions, scale: int = 1
) -> tuple[Rgb, FaceEdit]:
    """Return what to add to a crop, (S, S, 3), and what the manifest says of it.

    In a photo the face gets the tone and the grain of what is around it; a crop that is all there
    is stays as the network made it.

    Args:
        crop: The face as it was cut.
        restored: The network's result for what it saw of it.
        options: See ``RestoreOptions``.
        scale: How many times as large as the file the photo was made before the face was cut.

    Raises:
        MachineError: If dlib or its weights are missing.
    """
    difference = crop.enlarged(restored.pixels - crop.seen)
    if not options.aligned:
        difference = without_cast(difference)
    difference = scaled(difference, options.strength, luminance_only=crop.luminance_only)
    if options.grain == "auto" and not options.aligned and difference.any():
        difference = with_grain(crop.pixels, crop.pixels + difference) - crop.pixels
    share, identity, reason = identity_share(crop.pixels, difference, options.max_identity_distance)
    face = scaled_face(crop.face, 1 / scale)
    edit = FaceEdit(
        box=face.box,
        landmarks=tuple((float(x), float(y)) for x, y in face.landmarks),
        score=face.score,
        crop=crop.size,
        working_size=crop.working_size or min(crop.pixels.shape[:2]),
        identity=identity,
        ms=restored.ms,
        strength=options.strength * share,
        reason=reason,
        page=crop.page,
    )
    difference *= np.float32(share)
    return difference, edit


def without_cast(difference: Rgb) -> Rgb:
    """Return a difference, (S, S, 3), without its cast: the plane through it, channel by channel.

    A network that lightens, fades or tints a face as a whole would make it stand out of its
    photo. A plane takes that away, and a gradient of light too, but leaves the repair of a stain.

    Args:
        difference: (S, S, 3), restored crop less crop.
    """
    side = len(difference)
    ramp = np.linspace(-1, 1, side)  # orthogonal to a constant, so the fit is three projections
    constant = difference.mean((0, 1), dtype=np.float64)
    across = np.einsum("yxc,x->c", difference, ramp) / (side * np.sum(ramp * ramp))
    down = np.einsum("yxc,y->c", difference, ramp) / (side * np.sum(ramp * ramp))
    level = np.empty_like(difference)
    for top in range(0, side, BAND):  # a band's float64 stays in the processor's cache
        rows = slice(top, top + BAND)
        plane = constant + ramp[None, :, None] * across + ramp[rows, None, None] * down
        level[rows] = difference[rows] - plane
    return level


def scaled(difference: Rgb, strength: float, *, luminance_only: bool) -> Rgb:
    """Return ``strength`` times a difference, (h, w, 3); its luminance alone if asked."""
    difference = difference * np.float32(strength)
    if luminance_only:
        difference = np.repeat(difference @ LUMA[:, None], 3, axis=2)
    return np.asarray(difference, np.float32)


def identity_share(
    crop: Rgb, difference: Rgb, limit: float | None
) -> tuple[float, float | None, str]:
    """Return the largest share of a difference whose identity distance is within a limit.

    Args:
        crop: (S, S, 3), aligned to the FFHQ template; another shape than a square of LEAST_SIDE
            pixels or more is not measured.
        difference: (S, S, 3), to add to it.
        limit: Largest distance of the dlib embeddings; None measures only.

    Returns:
        The share, 0 if the face is to be left as it was, 1 if nothing has to be taken back; the
        distance of the crop and of what is pasted then, None if it cannot be measured; and why the
        share is below 1.

    Raises:
        MachineError: If dlib or its weights are missing.
    """
    height, width = crop.shape[:2]
    if height != width or height < LEAST_SIDE:
        return 1.0, None, ""
    before = embed_aligned(as_bytes(crop))

    def distance_at(share: float) -> float:
        pasted = crop + np.float32(share) * difference
        return distance(before, embed_aligned(as_bytes(pasted)))

    full = distance_at(1.0)
    if limit is None or full <= limit:
        return 1.0, full, ""
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
        return 0.0, 0.0, f"left as it was: {said}"
    return low, reached, f"blended back: {said}"


def as_bytes(pixels: Rgb) -> Rgb8:
    """Return pixels in [0, 1] as uint8, rounded and clipped."""
    return np.clip(np.rint(pixels * 255), 0, 255).astype(np.uint8)
