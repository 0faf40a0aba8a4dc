"""Put restored faces back into their photo.

What is pasted is the *difference* between the restored crop and the crop, resampled to the photo's
own pixels: where the network changes nothing, nothing changes, and detail finer than the crop's
resolution stays. Pixels are float32 RGB in [0, 1], (H, W, 3).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from faceren.faces.alignment import Matrix, inverse, warp
from faceren.restoration.crops import FaceCrop

Pixels = NDArray[np.float32]
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
FEATHER = 0.25
"""Width of the mask's soft edge, as a share of half the crop's side."""
OUTLINE = 0.015
"""Width of an outline's soft edge, as a share of the crop's side."""
SMALLEST = 1e-4
"""Mask below which a blend in light differs from any other by less than a float's rounding."""
MONOCHROME = 0.02
"""Largest spread of chroma, about the curve that tones a print, of a photo without colours."""


@dataclass(frozen=True)
class Change:
    """What one face changes in its photo."""

    box: tuple[int, int, int, int]
    """x0, y0, x1, y1 in photo pixels."""
    difference: Pixels
    """(h, w, 3), to add."""
    mask: Pixels
    """(h, w) in [0, 1], zero at the crop's border and beyond."""


def face_mask(matrix: Matrix, size: int, shape: tuple[int, int]) -> Pixels:
    """Return the soft mask of a crop in photo pixels: 1 over face and hair, 0 outside the crop.

    A superellipse inscribed in the crop, so that no square shows and little hair is cut. It is
    evaluated, not resampled, so it is exactly zero for pixels outside the crop.

    Args:
        matrix: (2, 3) transform from these photo pixels to crop pixels.
        size: Side of the crop in pixels.
        shape: Height and width of the mask.
    """
    x, y = np.arange(shape[1]), np.arange(shape[0])
    centred = (matrix[:, 2] + 0.5) * (2 / size) - 1
    turn = matrix[:, :2] * (2 / size)
    u = turn[0, 0] * x[None, :] + turn[0, 1] * y[:, None] + centred[0]  # -1 to 1 across the crop
    v = turn[1, 0] * x[None, :] + turn[1, 1] * y[:, None] + centred[1]
    u, v = u * u, v * v
    radius = np.sqrt(np.sqrt(u * u + v * v))  # powers by multiplication: the power function is slow
    ramp = np.clip((1 - radius) / FEATHER, 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)


def is_monochrome(image: Pixels) -> bool:
    """Say whether an image has one hue for each brightness, as gray and toned prints have.

    Args:
        image: (H, W, 3).
    """
    small = cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA)
    luma = (small @ LUMA).ravel().astype(np.float64)
    chroma = (small - small @ LUMA[:, None] @ np.ones((1, 3))).reshape(-1, 3)[:, [0, 2]]
    curve = np.vander(luma, 4)  # the toning of a print is a smooth curve of its brightness
    fit, *_ = np.linalg.lstsq(curve, chroma, rcond=None)
    return float(np.sqrt(np.mean((chroma - curve @ fit) ** 2))) < MONOCHROME


def scaled(difference: Pixels, strength: float, *, luminance_only: bool) -> Pixels:
    """Return ``strength`` times a difference, (h, w, 3); its luminance alone if asked."""
    difference = difference * np.float32(strength)
    if luminance_only:
        difference = np.repeat(difference @ LUMA[:, None], 3, axis=2)
    return np.asarray(difference, np.float32)


def change_of(
    crop: FaceCrop,
    difference: Pixels,
    seen: Pixels,
    *,
    luminance_only: bool = False,
    outline: Pixels | None = None,
) -> Change:
    """Return what a restored face changes in its photo.

    Args:
        crop: The face as it was cut.
        difference: (S, S, 3), to add to the crop.
        seen: (h, w, 3), the photo's pixels in ``crop.box``.
        luminance_only: The difference is the same in all channels and has to stay so.
        outline: (S, S), 1 where the head is; None: the ellipse alone is the mask.
    """
    x0, y0, x1, y1 = crop.box
    back = inverse(crop.matrix)
    back = np.column_stack([back[:, :2], back[:, 2] - [x0, y0]])
    size = (y1 - y0, x1 - x0)
    mask = face_mask(inverse(back), crop.size, size)
    if outline is not None:
        mask = mask * np.clip(warp(softened(outline), back, size), 0, 1)
    below = seen if not luminance_only else np.repeat(seen @ LUMA[:, None], 3, axis=2)
    return Change(crop.box, in_light(below, warp(difference, back, size), mask), mask)


def softened(outline: Pixels) -> Pixels:
    """Return an outline, (S, S), a little wider and with a soft edge."""
    edge = OUTLINE * len(outline)
    wider = cv2.GaussianBlur(outline, (0, 0), 2 * edge) > 0.1
    return np.asarray(cv2.GaussianBlur(wider.astype(np.float32), (0, 0), edge), np.float32)


def in_light(seen: Pixels, difference: Pixels, mask: Pixels) -> Pixels:
    """Return the difference that, times the mask, blends photo and restored face as light mixes.

    Only where the mask is soft does that differ from the difference itself.

    Args:
        seen: (h, w, 3), the photo, sRGB.
        difference: (h, w, 3), to add to it.
        mask: (h, w).
    """
    soft = (mask > SMALLEST) & (mask < 1)
    share, before, change = mask[soft][:, None], seen[soft], difference[soft]
    after = np.clip(before + change, 0, 1)
    mixed = to_srgb(from_srgb(before) * (1 - share) + from_srgb(after) * share)
    blended = difference.copy()
    blended[soft] = np.where(change == 0, 0, (mixed - before) / share)
    return blended


def from_srgb(values: Pixels) -> Pixels:
    """Return the amount of light that sRGB values in [0, 1] mean (IEC 61966-2-1)."""
    power = ((values + 0.055) / 1.055) ** 2.4
    return np.asarray(np.where(values <= 0.04045, values / 12.92, power), np.float32)


def to_srgb(light: Pixels) -> Pixels:
    """Return the sRGB values of an amount of light in [0, 1]; the inverse of ``from_srgb``."""
    power = 1.055 * light ** (1 / 2.4) - 0.055
    return np.asarray(np.where(light <= 0.0031308, light * 12.92, power), np.float32)


def total_in(changes: Sequence[Change], box: tuple[int, int, int, int]) -> Pixels:
    """Return the total change in a band of a photo, (h, w, 3).

    Where crops overlap, each face's difference counts by its mask's share, so that the order of
    faces does not matter; pixels outside every mask get exactly zero.

    Args:
        changes: All that touch the band's rows; none may leave its columns.
        box: x0, y0, x1, y1 of the band.
    """
    left, top, right, bottom = box
    total = np.zeros((bottom - top, right - left, 3), np.float32)
    weight = np.zeros((bottom - top, right - left, 1), np.float32)
    for change in changes:
        x0, y0, x1, y1 = change.box
        rows = slice(max(y0, top) - top, min(y1, bottom) - top)
        inner = slice(max(y0, top) - y0, min(y1, bottom) - y0)
        columns = slice(x0 - left, x1 - left)
        mask = change.mask[inner, :, None]
        total[rows, columns] += mask * mask * change.difference[inner]
        weight[rows, columns] += mask
    return np.asarray(total / np.maximum(weight, 1e-6), np.float32)
