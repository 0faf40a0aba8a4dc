"""Colours of a file to sRGB and back, and ICC profiles for files that describe them otherwise.

Values are float32 in [0, 1], (H, W, n): n = 1 gray, 3 RGB, 4 CMYK (1 = full ink), 3 CIE L*a*b*
under D50 (L / 100, (a + 128) / 255, (b + 128) / 255); sRGB is (H, W, 3). Without a profile, gray
and RGB are taken for sRGB.

HEIC and AVIF by code points (ITU-T H.273), PNG by gAMA, cHRM and cICP, BMP by end points: each is
made a profile of three primaries and a curve, so that all else knows one kind of description.
"""

import struct
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from faceren.arrays import LUMA, Rgb, Rgb8, differs

Chromaticities = tuple[float, float, float, float, float, float, float, float]
"""x and y of red, green, blue and white."""

D65 = (0.3127, 0.3290)
SRGB: Chromaticities = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, *D65)
PRIMARIES: dict[int, Chromaticities] = {
    1: SRGB,
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, 0.310, 0.316),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *D65),
    6: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *D65),
    7: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *D65),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *D65),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *D65),
    22: (0.630, 0.340, 0.295, 0.605, 0.155, 0.077, *D65),
}
"""H.273, table 2."""
GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6}
"""H.273, table 3: transfer characteristics that are a power."""
REC709, SRGB_CURVE, PQ, HLG = (1, 6, 14, 15), 13, 16, 18
UNKNOWN = (0, 2)
POINTS = 1024
"""Of a curve; between them it is straight."""
WHITE_NITS = 203.0
"""Luminance of a white page in a PQ or HLG picture (ITU-R BT.2408)."""
HLG_PEAK_NITS = 1000.0
KNEE = 0.7
"""Share of a screen's light up to which light is shown as it is; brighter is compressed."""
SRGB_GAMMA = 1 / 2.2
MADE = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
"""Date in every profile made here: equal photos must give equal files."""


def coded_profile(primaries: int, transfer: int, *, gray: bool = False) -> bytes:
    """Return a profile for code points of H.273; nothing for sRGB and for what is not specified."""
    plain_colours = gray or primaries in (1, *UNKNOWN) or primaries not in PRIMARIES
    if transfer in (SRGB_CURVE, *UNKNOWN) and plain_colours:
        return b""
    places = PRIMARIES.get(primaries, SRGB)
    if transfer in GAMMAS:
        return _profile(places, GAMMAS[transfer], gray=gray)
    return _profile(places, transfer if transfer in (*REC709, PQ, HLG) else SRGB_CURVE, gray=gray)


def gamma_profile(gamma: float, places: Chromaticities | None, *, gray: bool = False) -> bytes:
    """Return a profile of a power; nothing if it is what sRGB is taken for.

    Args:
        gamma: Exponent that makes light of values.
        places: Of the primaries; None are sRGB's.
        gray: For pixels of one channel.
    """
    near = places is None or max(abs(a - b) for a, b in zip(places, SRGB, strict=True)) < 0.005
    if (near or gray) and abs(gamma * SRGB_GAMMA - 1) < 0.02:
        return b""
    if not 0.1 <= gamma <= 10 or not _possible(places or SRGB):
        return b""
    return _profile(places or SRGB, float(gamma), gray=gray)


def _possible(places: Chromaticities) -> bool:
    """Say whether chromaticities span a triangle and lie in [0, 1]."""
    (rx, ry, gx, gy, bx, by, _, wy) = places
    area = abs((gx - rx) * (by - ry) - (bx - rx) * (gy - ry))
    return area > 0.01 and wy > 0.01 and all(0 <= n <= 1 for n in places)


@lru_cache(maxsize=64)
def _profile(places: Chromaticities, curve: int | float, *, gray: bool) -> bytes:
    """Return a profile.

    Args:
        places: Of the primaries.
        curve: A gamma if it is a float, else a code of H.273.
        gray: For one channel.
    """
    import imagecodecs  # here: training must run without it

    rx, ry, gx, gy, bx, by, wx, wy = places
    how = {"gamma": curve} if isinstance(curve, float) else {"transferfunction": _table(curve)}
    if gray:
        made = imagecodecs.cms_profile("gray", whitepoint=(wx, wy, 1.0), **how)
    else:
        ends = (rx, ry, 1.0, gx, gy, 1.0, bx, by, 1.0)
        made = imagecodecs.cms_profile("rgb", whitepoint=(wx, wy, 1.0), primaries=ends, **how)
    profile = bytearray(made)
    profile[24:36] = MADE
    return bytes(profile)


def _table(code: int) -> NDArray[np.uint16]:
    """Return the light, of 65535, of ``POINTS`` values from 0 to 1; it never falls."""
    value = np.linspace(0, 1, POINTS)
    if code == PQ:  # SMPTE ST 2084
        root = value ** (1 / 78.84375)
        light = np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
        shown = _compressed(light ** (1 / 0.1593017578125) * 10_000 / WHITE_NITS)
    elif code == HLG:  # ITU-R BT.2100, its system gamma applied to each channel
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(value <= 0.5, value**2 / 3, (np.exp((value - c) / a) + b) / 12)
        shown = _compressed(scene**1.2 * HLG_PEAK_NITS / WHITE_NITS)
    elif code in REC709:
        shown = np.where(value < 0.081, value / 4.5, ((value + 0.099) / 1.099) ** (1 / 0.45))
    else:
        shown = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return np.rint(np.clip(shown, 0, 1) * 65535).astype(np.uint16)


def _compressed(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return light of a white page (1) and brighter within [0, 1], as it is up to the knee.

    A logarithm with the slope 1 at the knee, so that it can be undone.
    """
    excess, room = float(light.max()) - KNEE, 1 - KNEE
    low, high = 1e-6, 1e6
    for _ in range(100):  # slope at the knee: room · a / log(1 + a · excess) = 1
        a = (low * high) ** 0.5
        low, high = (a, high) if room * a < np.log1p(a * excess) else (low, a)
    bright = KNEE + room * np.log1p(a * np.maximum(light - KNEE, 0)) / np.log1p(a * excess)
    return np.where(light <= KNEE, light, bright)


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
        return target
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
