"""Colours of a file to sRGB and back.

Values are float32 in [0, 1], (H, W, n): n = 1 gray, 3 RGB, 4 CMYK (1 = full ink), 3 CIE L*a*b*
under D50 (L / 100, (a + 128) / 255, (b + 128) / 255); sRGB is (H, W, 3). Without a profile, gray
and RGB are taken for sRGB.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from faceren.arrays import LUMA, Rgb, Rgb8, differs

Space = Literal["gray", "rgb", "cmyk", "lab"]
Values = NDArray[np.float32]
"""(H, W, n) float32 in [0, 1], as a file counts its channels."""

CHANNELS: dict[Space, int] = {"gray": 1, "rgb": 3, "cmyk": 4, "lab": 3}
SIGNATURE: dict[Space, bytes] = {"gray": b"GRAY", "rgb": b"RGB ", "cmyk": b"CMYK"}
LAB_UNITS = np.array([100, 255, 255], np.float32)
LAB_ZERO = np.array([0, 128, 128], np.float32)
SAME = 1.5 / 255
"""A profile that moves no colour by more is sRGB under another name."""
REFINEMENTS = 3
LEVELS = np.arange(256, dtype=np.float32) / np.float32(255)
"""The grays of 8 bits."""


@lru_cache(maxsize=2)
def _built_in(name: str) -> bytes:
    import imagecodecs  # here: training must run without it

    return bytes(imagecodecs.cms_profile(name))


@lru_cache(maxsize=64)
def usable_profile(icc: bytes, space: Space) -> bytes:
    """Return the profile, or nothing if it has to be ignored.

    A profile is ignored if it is broken, belongs to another kind of pixels, or is sRGB itself.
    L*a*b* has one of its own, which never is ignored.
    """
    if space == "lab":
        return _built_in("lab4")
    if not fits(icc, space):
        return b""
    axis = np.linspace(0, 1, 9, dtype=np.float32)
    grid = np.stack(np.meshgrid(*[axis] * CHANNELS[space], indexing="ij"), axis=-1)
    probe = np.ascontiguousarray(grid.reshape(9, -1, CHANNELS[space]))
    try:
        seen = _forward(probe, space, icc)
        _backward(seen, space, icc)
    except (RuntimeError, ValueError):  # how the colour engine refuses a profile
        return b""
    if space != "cmyk" and float(np.abs(seen - probe).max()) <= SAME:
        return b""
    return icc


def fits(icc: bytes, space: Space) -> bool:
    """Say whether a profile is for pixels of this kind."""
    return icc[16:20] == SIGNATURE.get(space)


def _forward(values: Values, space: Space, icc: bytes) -> Rgb:
    import imagecodecs  # here: training must run without it

    shaped = values[..., 0] if space == "gray" else values
    if space == "gray" and values.size > LEVELS.size:
        levels = np.rint(shaped * 255).astype(np.uint8)
        if (LEVELS[levels] == shaped).all():  # of 8 bits: as much is the work of 256 pixels
            return np.asarray(_forward(LEVELS[None, :, None], space, icc)[0][levels])
    if space == "cmyk":  # floating-point ink is counted in percent there; 16 bits are plain
        shaped = np.rint(shaped * 65535).astype(np.uint16)
    if space == "lab":
        shaped = values * LAB_UNITS - LAB_ZERO
    out = imagecodecs.cms_transform(
        np.ascontiguousarray(shaped),
        icc,
        _built_in("srgb"),
        colorspace=space,
        outcolorspace="rgb",
        outdtype=np.float32,
    )
    return np.clip(np.asarray(out, np.float32), 0, 1)


def _backward(srgb: Rgb, space: Space, icc: bytes) -> Values:
    import imagecodecs  # here: training must run without it

    dtype = np.uint16 if space == "cmyk" else np.float32
    out = imagecodecs.cms_transform(
        np.ascontiguousarray(srgb, np.float32),
        _built_in("srgb"),
        icc,
        colorspace="rgb",
        outcolorspace=space,
        outdtype=dtype,
    )
    values = np.asarray(out, np.float32) / np.float32(65535 if space == "cmyk" else 1)
    if space == "lab":
        values = (values + LAB_ZERO) / LAB_UNITS
    return np.clip(values.reshape(*srgb.shape[:2], CHANNELS[space]), 0, 1)


def to_srgb(values: Values, space: Space, icc: bytes) -> Rgb:
    """Return what a file's values look like, (H, W, 3) in [0, 1].

    Args:
        values: (H, W, n).
        space: What the channels are.
        icc: The file's profile, or nothing.
    """
    profile = usable_profile(icc, space)
    if profile:
        return _forward(values, space, profile)
    if space == "cmyk":
        return (1 - values[..., :3]) * (1 - values[..., 3:])
    return values if space == "rgb" else np.repeat(values, 3, axis=2)


def to_srgb8(values: NDArray[np.uint8], space: Space, icc: bytes) -> Rgb8:
    """Return what 8-bit values look like, (H, W, 3) uint8; RGB is converted in 8 bits, for speed.

    RGB without a profile is returned as it is, not copied.
    """
    profile = usable_profile(icc, space)
    if space in ("cmyk", "lab"):
        seen = to_srgb(values.astype(np.float32) / np.float32(255), space, icc)
        return np.rint(seen * 255).astype(np.uint8)
    if not profile:
        return values if space == "rgb" else np.repeat(values, 3, axis=2)
    if space == "gray":
        table = np.rint(_forward(LEVELS[None, :, None], "gray", profile)[0] * 255).astype(np.uint8)
        return np.asarray(table[values[..., 0]])
    import imagecodecs  # here: training must run without it

    out = imagecodecs.cms_transform(
        np.ascontiguousarray(values),
        profile,
        _built_in("srgb"),
        colorspace="rgb",
        outcolorspace="rgb",
    )
    return np.asarray(out, np.uint8)


def changed(values: Values, add: Rgb, space: Space, icc: bytes) -> Values:
    """Return the file's values after a change of what they look like.

    The change goes through the profile as a difference, so that where nothing is added the values
    stay, whatever the profile does to a round trip.

    Args:
        values: (H, W, n).
        add: (H, W, 3), to add to the sRGB picture of ``values``.
        space: What the channels are.
        icc: The file's profile, or nothing.
    """
    seen = to_srgb(values, space, icc)
    target = np.clip(seen + add, 0, 1)
    profile = usable_profile(icc, space)
    if space == "cmyk":
        return _changed_cmyk(values, target, profile)
    if profile:
        moved = np.zeros_like(values)
        where = differs(target, seen)  # elsewhere the two are one
        if where.any():
            there, here = (_backward(x[where][None], space, profile)[0] for x in (target, seen))
            moved[where] = there - here
    elif space == "gray":
        moved = (target - seen) @ LUMA[:, None]
    else:
        moved = target - seen
    return np.clip(values + moved, 0, 1)


def _changed_cmyk(values: Values, target: Rgb, profile: bytes) -> Values:
    if not profile:  # keep the black ink where it leaves room for the colour
        black = np.minimum(values[..., 3:], 1 - target.max(axis=2, keepdims=True))
        inks = 1 - target / np.maximum(1 - black, 1e-6)
        return np.clip(np.concatenate([inks, black], axis=2), 0, 1)
    for _ in range(REFINEMENTS):  # many mixtures of inks look the same: walk, do not jump
        seen = _forward(values, "cmyk", profile)
        values = values + _backward(target, "cmyk", profile) - _backward(seen, "cmyk", profile)
        values = np.clip(values, 0, 1)
    return values
