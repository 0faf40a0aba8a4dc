"""ICC profiles for files that describe their colours in other words.

HEIC and AVIF by code points (ITU-T H.273), PNG by gAMA, cHRM and cICP, BMP by end points: each is
made a profile of three primaries and a curve, so that all else knows one kind of description.
"""

import struct
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

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
