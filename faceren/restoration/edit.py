"""What becomes of a face after the network: matched to its photo, and still the same person.

A network that lightens, tints or smooths a face as a whole would make it stand out of its photo, so
what it changed is matched to what is around; and where it made another person of the face, the face
is blended back toward the photo. Crops are (S, S, 3), float32 RGB in [0, 1].

A network also takes away what is no damage: film grain and paper texture, so that the face looks
smooth beside its surroundings; and of a sharp face some of its finest lines. What stands out far
above the grain is put back as it was; what else is missing in flat places is measured octave by
octave and replaced by random grain of that spectrum, which hides no face. Luminance only.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations, pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from faceren.arrays import LUMA, Float64, Plane, Rgb, Rgb8
from faceren.faces.identity import distance, embedding
from faceren.restoration.crops import FaceCrop, scaled_face
from faceren.restoration.options import RestoreOptions
from faceren.restoration.results import FaceEdit
from faceren.restoration.stream import NetworkResult

SMOOTHINGS = (0.7, 1.4, 2.8, 5.6)
"""Gaussian sigmas in crop pixels; between two of them lies an octave."""
BLOCK = 16
"""Side in pixels of the blocks in which the power of an octave is measured."""
FLAT = 0.4
"""Share of blocks, those with the least structure, that count as flat."""
TONES = 3
"""Brightnesses at which grain is measured: prints show less of it in black and in white."""
LENSES = (0.0, 0.7, 1.4, 2.8)
"""Gaussian sigmas in crop pixels that white noise is softened by."""
GRAINY, ENGRAVED = 0.03, 0.04
"""Standard deviations of what was taken away: up to the first it is grain, and replaced, beyond the
second it is not, and nothing takes its place. Forty faces of historic photographs have at most
.028, 66 portraits of members of the US Congress .022; .041 to .095 have ten that are engravings,
whose lines are no pattern that ``halftone`` tells, and which came back as coarse noise."""
CERTAIN = 8.0
"""Detail whose power exceeds that of the grain as often is certainly the face's own."""
NEAR = 1.5
"""Gaussian sigma in crop pixels of the neighbourhood in which detail is compared."""
AROUND = 16.0
"""The same for grain, which takes more pixels to measure."""


@dataclass(frozen=True)
class ByTone:
    """A measure of texture at some brightnesses, from dark to bright."""

    tones: NDArray[np.float64]
    """(TONES,)."""
    values: NDArray[np.float64]
    """(TONES, n)."""

    def between(self, where: Plane) -> list[Plane]:
        """Return how far pixels of given brightness are from each tone to the next, 0 to 1."""
        steps = np.maximum(np.diff(self.tones), 1e-9)
        pairs = zip(self.tones.astype(np.float32), steps.astype(np.float32), strict=False)
        return [np.clip((where - tone) / step, 0, 1) for tone, step in pairs]


def along(values: Float64, places: Sequence[Plane]) -> Plane:
    """Return values, (TONES,), at places from ``ByTone.between``: straight lines join them.

    ``numpy.interp`` takes ten times as long, for it looks for the place of each pixel each time.
    """
    start, *rises = (np.float32(value) for value in (values[0], *np.diff(values)))
    found = rises[0] * places[0] + start
    for rise, place in zip(rises[1:], places[1:], strict=True):
        found += rise * place
    return np.asarray(found, np.float32)


def with_grain(crop: Rgb, restored: Rgb) -> Rgb:
    """Return a restored crop as sharp and as grainy as the crop was, (S, S, 3), not clipped.

    The same crop always gets the same grain: its own pixels are the seed.

    Args:
        crop: (S, S, 3) float32 in [0, 1], as cut from the photo.
        restored: (S, S, 3).
    """
    (before_bands, _), (after_bands, tone) = octaves(crop @ LUMA), octaves(restored @ LUMA)
    flat = flat_blocks(after_bands)
    tones = block_means(tone)[flat]
    had, has = (
        np.stack([block_means(band * band)[flat] for band in bands])
        for bands in (before_bands, after_bands)
    )
    grain, removed = by_tone(had, tones), by_tone(had - has, tones)
    deviation = np.sqrt(removed.values.sum(axis=1).mean())
    share = np.clip((ENGRAVED - deviation) / (ENGRAVED - GRAINY), 0, 1)
    removed = replace(removed, values=removed.values * share)
    places = removed.between(tone)
    levels = np.rint(crop * 255).astype(np.uint8)
    seed = int.from_bytes(hashlib.sha256(levels.tobytes()).digest()[:8], "little")
    added = noise_like(removed.values, places, np.random.default_rng(seed))
    usual = along(removed.values.sum(axis=1), places)
    added *= _share_near(before_bands, after_bands, usual)
    for before, now, power in zip(before_bands, after_bands, grain.values.T, strict=True):
        added += _lost(before, now, along(power, places)) * (before - now)
    return np.asarray(restored + cv2.merge([added] * 3), np.float32)


def noise_like(powers: Float64, places: Sequence[Plane], rng: np.random.Generator) -> Plane:
    """Return random grain, (S, S), whose octaves have given powers.

    It is a sum of white noises, each seen through a softer lens, as grain that was scanned is.

    Args:
        powers: (TONES, n), for each octave.
        places: Of the pixels among the tones; see ``along``.
        rng: Source of randomness.
    """
    mixture, solvers = _mixture()
    parts = np.array([shares_of(power, solvers, mixture) for power in powers])
    noise = np.zeros_like(places[0])
    for part, sigma in zip(parts.T, LENSES, strict=True):
        if not part.any():
            continue
        white = rng.standard_normal(noise.shape, dtype=np.float32)
        soft = cv2.GaussianBlur(white, (0, 0), sigma) if sigma else white
        share = np.maximum(along(part, places), 0)  # rounding may leave a little less than none
        noise += np.sqrt(share) * (soft / soft.std())
    return noise


def shares_of(power: Float64, solvers: Sequence[Float64], mixture: Float64) -> Float64:
    """Return how much of each part, none below 0, makes up a power best: least squares, (n,).

    There are so few parts that each choice of them can be tried; ``scipy`` takes a third of a
    second to load.

    Args:
        power: (m,).
        solvers: Of ``choices``.
        mixture: (m, n), independent columns.
    """
    best, least = np.zeros(mixture.shape[1]), float(power @ power)
    for solver in solvers:
        shares = solver @ power
        rest = power - mixture @ shares
        if (shares >= 0).all() and rest @ rest < least:
            best, least = shares, float(rest @ rest)
    return best


def choices(mixture: Float64) -> list[Float64]:
    """Return what makes of a power the least-squares shares of each choice of parts, (n, m) each.

    Args:
        mixture: (m, n), independent columns.
    """
    count = mixture.shape[1]
    solvers = []
    for size in range(1, count + 1):
        for chosen in map(list, combinations(range(count), size)):
            solver = np.zeros(mixture.shape[::-1])
            solver[chosen] = np.linalg.pinv(mixture[:, chosen])
            solvers.append(solver)
    return solvers


@cache
def _mixture() -> tuple[Float64, list[Float64]]:
    """Return the power in each octave (rows) of unit noise through each lens (columns).

    With it come its ``choices``, which stay the same for all faces.
    """
    frequency = 2 * np.pi * np.fft.fftfreq(256)
    square = (frequency[:, None] ** 2 + frequency**2).ravel()
    passed = [np.exp(-square * sigma**2 / 2) for sigma in (0.0, *SMOOTHINGS)]
    power = np.stack([(fine - coarse) ** 2 for fine, coarse in pairwise(passed)])
    lenses = np.stack([np.exp(-square * sigma**2) for sigma in LENSES], axis=1)
    mixture = np.asarray(power @ lenses / lenses.sum(axis=0), np.float64)
    return mixture, choices(mixture)


def _share_near(before: list[Plane], now: list[Plane], usual: Plane) -> Plane:
    """Return how much of the grain is missing around each pixel, 0 to 1: hair keeps a texture.

    Args:
        before: The crop's octaves.
        now: The restored ones.
        usual: Power of the grain that is missing at such a brightness.
    """
    change = np.zeros_like(usual)
    for had, has in zip(before, now, strict=True):
        change += had * had - has * has
    near = cv2.GaussianBlur(change, (0, 0), AROUND)
    return np.asarray(np.sqrt(np.clip(near / np.maximum(usual, 1e-9), 0, 1)), np.float32)


def _lost(before: Plane, now: Plane, grain: Plane) -> Plane:
    """Return the share, 0 to 1, of certain detail that an octave has lost at each pixel.

    Args:
        before: The crop's octave.
        now: The restored one.
        grain: Power of the grain.
    """
    had = cv2.GaussianBlur(before * before, (0, 0), NEAR) - CERTAIN * grain
    has = cv2.GaussianBlur(now * now, (0, 0), NEAR)
    ratio = np.sqrt(has / np.maximum(had, 1e-9))
    return np.asarray(np.clip(1 - ratio, 0, 1), np.float32)


def octaves(luma: Plane) -> tuple[list[Plane], Plane]:
    """Split a picture into octaves of detail, the finest first, and what is coarser."""
    smoothed = [luma, *(cv2.GaussianBlur(luma, (0, 0), sigma) for sigma in SMOOTHINGS)]
    bands = [np.asarray(fine - coarse, np.float32) for fine, coarse in pairwise(smoothed)]
    return bands, np.asarray(smoothed[-1], np.float32)


def block_means(values: Plane) -> Plane:
    """Return the mean of each block, (n, n)."""
    count = max(2, round(len(values) / BLOCK))
    return np.asarray(cv2.resize(values, (count, count), interpolation=cv2.INTER_AREA), np.float32)


def flat_blocks(bands: list[Plane]) -> NDArray[np.bool_]:
    """Mark the blocks that show the least structure, (n, n).

    Args:
        bands: Octaves of a picture without grain: a restored face tells what is structure.
    """
    structure = np.sum([block_means(band * band) for band in bands], axis=0)
    last = int(FLAT * (structure.size - 1))
    return np.asarray(structure <= np.partition(structure, last, axis=None)[last])


def by_tone(powers: Plane, tones: Plane) -> ByTone:
    """Return the medians of three groups of blocks, so that a scratch or a hair does not count.

    Args:
        powers: (n, blocks) mean squares; a difference of two may be negative, and counts as 0.
        tones: (blocks,) brightness.
    """
    groups = np.array_split(np.argsort(tones, kind="stable"), TONES)
    medians = [np.maximum(np.median(powers[:, group], axis=1), 0) for group in groups]
    centres = [float(np.median(tones[group])) for group in groups]
    return ByTone(np.array(centres), np.array(medians, np.float64))


STEPS = 6
"""Bisections of the blend's strength."""
LEAST = 0.1
"""A face that can only keep a smaller share of its restoration is left alone."""
BAND = 32
"""Rows from which a cast is taken at a time."""
LEAST_SIDE = 64
"""Pixels a side that a crop needs for its identity to be measured."""


def edit_face(
    crop: FaceCrop, restored: NetworkResult, options: RestoreOptions, scale: int = 1
) -> tuple[Rgb, FaceEdit]:
    """Return what to add to a crop, (S, S, 3), and what the manifest says of it.

    In a photo the face gets the tone and the grain of what is around it; a crop that is all there
    is stays as the network made it. Of a face printed in dots nothing finer than what the network
    saw is left, as that is dots, and no grain is made of them.

    Args:
        crop: The face as it was cut.
        restored: The network's result for what it saw of it.
        options: See ``RestoreOptions``.
        scale: How many times as large as the file the photo was made before the face was cut.

    Raises:
        MachineError: If the weights that tell persons are missing or damaged.
    """
    if crop.halftone_dots:
        difference = crop.enlarged(restored.pixels) - crop.pixels
    else:
        difference = crop.enlarged(restored.pixels - crop.seen)
    if not options.aligned:
        difference = without_cast(difference)
    difference = scaled(difference, options.strength, luminance_only=crop.luminance_only)
    grainy = options.grain == "auto" and not options.aligned and not crop.halftone_dots
    if grainy and difference.any():
        difference = with_grain(crop.pixels, crop.pixels + difference) - crop.pixels
    share, moved, reason = identity_share(
        crop.pixels, difference, crop.landmarks, options.max_identity_distance
    )
    face = scaled_face(crop.face, 1 / scale)
    edit = FaceEdit(
        box=face.box,
        landmarks=tuple((float(x), float(y)) for x, y in face.landmarks),
        score=face.score,
        crop=crop.size,
        working_size=crop.working_size or min(crop.pixels.shape[:2]),
        identity_distance=moved,
        ms=restored.ms,
        strength=options.strength * share,
        reason=reason,
        page=crop.page,
        halftone_dots=round(crop.halftone_dots),
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
    columns, rows = (cv2.reduce(difference, i, cv2.REDUCE_SUM, dtype=cv2.CV_64F) for i in (0, 1))
    constant = rows.sum((0, 1)) / side**2
    unit = side * (ramp @ ramp)
    across, down = (ramp @ sums.reshape(side, 3) / unit for sums in (columns, rows))
    level = np.empty_like(difference).reshape(side, -1)  # so long a last axis takes a third
    first, slope = (constant + ramp[:, None] * across).ravel(), np.tile(down, side)
    for top in range(0, side, BAND):  # a band's float64 stays in the processor's cache
        band = slice(top, top + BAND)
        level[band] = difference[band].reshape(-1, 3 * side) - (first + ramp[band, None] * slope)
    return level.reshape(difference.shape)


def scaled(difference: Rgb, strength: float, *, luminance_only: bool) -> Rgb:
    """Return ``strength`` times a difference, (h, w, 3); its luminance alone if asked."""
    difference = difference * np.float32(strength)
    if luminance_only:
        difference = np.repeat(difference @ LUMA[:, None], 3, axis=2)
    return np.asarray(difference, np.float32)


def identity_share(
    crop: Rgb, difference: Rgb, landmarks: Float64, limit: float | None
) -> tuple[float, float | None, str]:
    """Return the largest share of a difference whose identity distance is within a limit.

    Args:
        crop: (S, S, 3), aligned to the FFHQ template; another shape than a square of LEAST_SIDE
            pixels or more is not measured.
        difference: (S, S, 3), to add to it.
        landmarks: (5, 2), of the face in pixels of the crop.
        limit: Largest identity distance (see ``faces.identity``); None measures only.

    Returns:
        The share, 0 if the face is to be left as it was, 1 if nothing has to be taken back; the
        distance of the crop and of what is pasted then, None if it cannot be measured; and why the
        share is below 1.

    Raises:
        MachineError: If the weights that tell persons are missing or damaged.
    """
    height, width = crop.shape[:2]
    if height != width or height < LEAST_SIDE:
        return 1.0, None, ""
    before = embedding(crop, landmarks)

    def distance_at(share: float) -> float:
        pasted = crop + np.float32(share) * difference
        return distance(before, embedding(pasted, landmarks))

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
