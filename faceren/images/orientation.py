"""The EXIF Orientation: how a stored raster has to be turned to be seen upright.

The turned array is a *view* of the stored one, so that writing into it writes the stored raster.
"""

import struct
from typing import Any

from numpy.typing import NDArray

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels, x1 and y1 exclusive."""

# orientation: transpose first, then flip rows, flip columns (EXIF 2.32, table 6)
TURNS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}
TAG = 0x0112


def upright_view(raster: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return a stored raster, (H, W) or (H, W, C), as a view that is upright."""
    transpose, rows, columns = TURNS[orientation]
    view = raster.swapaxes(0, 1) if transpose else raster
    return view[:: -1 if rows else 1, :: -1 if columns else 1]


def stored_raster(upright: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return an upright raster as a view that is stored: what ``upright_view`` turns back."""
    transpose, rows, columns = TURNS[orientation]
    view = upright[:: -1 if rows else 1, :: -1 if columns else 1]
    return view.swapaxes(0, 1) if transpose else view


def stored_box(box: Box, orientation: int, shape: tuple[int, ...]) -> Box:
    """Return where a box of the upright image lies in the stored raster.

    Args:
        box: In upright pixels.
        orientation: 1 to 8.
        shape: (H, W, …) of the stored raster.
    """
    transpose, rows, columns = TURNS[orientation]
    height, width = (shape[1], shape[0]) if transpose else (shape[0], shape[1])
    x0, y0, x1, y1 = box
    if columns:
        x0, x1 = width - x1, width - x0
    if rows:
        y0, y1 = height - y1, height - y0
    return (y0, x0, y1, x1) if transpose else (x0, y0, x1, y1)


def orientation_of(exif: bytes) -> int:
    """Return the Orientation of an EXIF block, 1 if it has none or cannot be read.

    Args:
        exif: A TIFF structure, with or without the six bytes ``Exif`` that JPEG puts before it.
    """
    data = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, start)
        for index in range(count):
            tag, kind, length, value = struct.unpack_from(
                order + "HHIH", data, start + 2 + 12 * index
            )
            if tag == TAG and kind == 3 and length == 1:
                return value if value in TURNS else 1
    except struct.error:
        return 1
    return 1
