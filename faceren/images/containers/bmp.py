"""The header of a BMP file: OS/2, Windows 3, and versions 4 and 5 with their colours."""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceren.errors import ImageError

FILE_HEADER = 14
OS2, WINDOWS3, VERSION4, VERSION5 = 12, 40, 108, 124
EMBEDDED = b"DEBM"
"""bV5CSType of a profile in the file: PROFILE_EMBEDDED, little-endian."""
CALIBRATED = 0
BIT_FIELDS = 3


@dataclass(frozen=True)
class BmpHeader:
    """What stands before the pixels."""

    info: bytes
    """The information header, 12 to 124 bytes; its length is its version."""
    width: int
    height: int
    """Positive, whichever row comes first."""
    top_down: bool
    profile: bytes
    """An ICC profile, or nothing."""


def header_of(data: bytes) -> BmpHeader:
    """Read the header of a BMP.

    Raises:
        ImageError: If it is damaged.
    """
    try:
        (length,) = struct.unpack_from("<I", data, FILE_HEADER)
        info = data[FILE_HEADER : FILE_HEADER + length]
        if not OS2 <= length <= VERSION5 or len(info) < length:
            raise ValueError
        if length == OS2:
            width, height = struct.unpack_from("<HH", info, 4)
        else:
            width, height = struct.unpack_from("<ii", info, 4)
        profile = b""
        if length == VERSION5 and info[56:60] == EMBEDDED:
            place, size = struct.unpack_from("<II", info, 112)
            profile = data[FILE_HEADER + place : FILE_HEADER + place + size]
    except (struct.error, ValueError) as error:
        raise ImageError("damaged or incomplete (header of a BMP)") from error
    return BmpHeader(info, width, abs(height), height < 0, profile)


def calibration_of(info: bytes) -> tuple[tuple[float, ...], tuple[float, float, float]] | None:
    """Return the end points (XYZ of red, green, blue) and gammas of a version 4 header.

    None if it has none.
    """
    if len(info) < VERSION4 or struct.unpack_from("<I", info, 56)[0] != CALIBRATED:
        return None
    ends = tuple(n / 2**30 for n in struct.unpack_from("<9i", info, 60))
    red, green, blue = (n / 2**16 for n in struct.unpack_from("<3I", info, 96))
    if not any(ends) or min(red, green, blue) <= 0:
        return None
    return ends, (red, green, blue)


def joined_bmp(header: BmpHeader, raster: NDArray[np.uint8], scale: int = 1) -> bytes:
    """Return a BMP of 8 (gray), 24 or 32 bits a pixel with the header of another.

    Version, resolution, colour space and profile stay.

    Args:
        header: Of the original.
        raster: (H, W, 1) gray, (H, W, 3) RGB or (H, W, 4) RGBA.
        scale: What the resolution is multiplied by.

    Raises:
        ImageError: If the sides are too long for an OS/2 header.
    """
    height, width, channels = raster.shape
    info = bytearray(header.info)
    if len(info) == OS2:
        if max(height, width) > 0xFFFF or channels == 4:
            raise ImageError("an OS/2 BMP holds 65535 pixels a side and no alpha")
        struct.pack_into("<HHHH", info, 4, width, height, 1, channels * 8)
    else:
        rows = -height if header.top_down else height
        masks = channels == 4 and len(info) >= VERSION4
        struct.pack_into("<iiHH", info, 4, width, rows, 1, channels * 8)
        if len(info) >= WINDOWS3:
            _describe(info, raster, scale, masks=masks)
    order = [0] if channels == 1 else [2, 1, 0, 3][:channels]
    ramp = np.arange(256, dtype=np.uint8)[:, None].repeat(3, axis=1)
    ramp = ramp if len(info) == OS2 else np.pad(ramp, ((0, 0), (0, 1)))
    palette = ramp.tobytes() if channels == 1 else b""
    rows_first = raster if header.top_down else raster[::-1]
    stored = np.ascontiguousarray(rows_first[..., order]).reshape(height, width * channels)
    padding = -stored.shape[1] % 4
    pixels = np.pad(stored, ((0, 0), (0, padding))).tobytes()
    if header.profile:
        struct.pack_into(
            "<II", info, 112, len(info) + len(palette) + len(pixels), len(header.profile)
        )
    start = FILE_HEADER + len(info) + len(palette)
    total = start + len(pixels) + len(header.profile)
    head = b"BM" + struct.pack("<IHHI", total & 0xFFFFFFFF, 0, 0, start)
    return head + bytes(info) + palette + pixels + header.profile


def _describe(info: bytearray, raster: NDArray[np.uint8], scale: int, *, masks: bool) -> None:
    """Set what a Windows header says about compression, resolution and masks."""
    height, width, channels = raster.shape
    size = height * (width * channels + -width * channels % 4)
    across, down = struct.unpack_from("<ii", info, 24)
    grown = [min(n * scale, 2**31 - 1) for n in (across, down)]
    compression = BIT_FIELDS if masks else 0
    struct.pack_into("<IIiiII", info, 16, compression, size & 0xFFFFFFFF, *grown, 0, 0)
    if len(info) >= VERSION4:
        fields = (0xFF0000, 0xFF00, 0xFF, 0xFF000000) if masks else (0, 0, 0, 0)
        struct.pack_into("<4I", info, 40, *fields)
