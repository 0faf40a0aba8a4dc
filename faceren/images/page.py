"""One raster of a file, in its own bit depth and colours, and the way to see it upright.

The EXIF Orientation says how a stored raster has to be turned to be seen upright. The turned array
is a *view* of the stored one, so that writing into it writes the stored raster.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from faceren.arrays import Plane, Rgb, Rgb8, differs
from faceren.errors import ShapeError
from faceren.images.colour import CHANNELS, Space, Values, changed, to_srgb, to_srgb8

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


Extra = Literal["alpha", "premultiplied", "other"]
"""What a channel beside the colours is: opacity, opacity that the colours are multiplied by, or
anything else (infrared, a mask), which is kept and not looked at."""
BAND = 512
"""Rows whose colours are converted at a time; bounds memory."""
PIXELS = 2**20
"""Pixels that are changed at a time; in floating point and several times over they are large."""


@dataclass(frozen=True, eq=False)
class Page:
    """A raster as it is stored: not turned, in its own colours."""

    raster: NDArray[Any]
    """(H, W, n) uint8 or uint16: the channels of ``space``, then the extra ones."""
    space: Space
    orientation: int = 1
    """EXIF Orientation, 1 to 8."""
    icc: bytes = b""
    """The file's profile, or one made of what else the file says about its colours."""
    inverted: bool = False
    """Gray that counts from white (a TIFF's MinIsWhite)."""
    expanded: bool = False
    """The file stores indices into a palette or bits; the raster has the colours they mean."""
    touched: tuple[Box, ...] = field(default=())
    """Where, in stored pixels, the raster differs from the file's."""
    extras: tuple[Extra, ...] | None = None
    """What the extra channels are; None: the first is alpha, others are anything."""
    bits: int = 0
    """Bits per sample in the file, spread over those of the raster; 0: as many as the raster's."""
    directory: int = 0
    """Number of its directory in a TIFF."""

    @property
    def upright_shape(self) -> tuple[int, int]:
        """Height and width of the page as it is seen."""
        height, width = upright_view(self.raster, self.orientation).shape[:2]
        return height, width

    @property
    def channels(self) -> int:
        """Number of channels of colour."""
        return CHANNELS[self.space]

    @property
    def beside(self) -> tuple[Extra, ...]:
        """What each channel beside the colours is."""
        known: tuple[Extra, ...] = ("alpha",) if self.extras is None else self.extras
        others = self.raster.shape[2] - self.channels
        more: list[Extra] = ["other"] * others
        return (*known, *more)[:others]

    @property
    def alpha_channel(self) -> int | None:
        """Which channel is the opacity; None if none is."""
        for place, kind in enumerate(self.beside, start=self.channels):
            if kind != "other":
                return place
        return None

    @property
    def is_premultiplied(self) -> bool:
        """Whether the colours are stored multiplied by the opacity."""
        place = self.alpha_channel
        return place is not None and self.beside[place - self.channels] == "premultiplied"

    @property
    def alpha(self) -> Plane | None:
        """Opacity of the page as it is seen, (H, W) in [0, 1]; None if it has none."""
        if self.alpha_channel is None:
            return None
        opacity = upright_view(self.raster, self.orientation)[..., self.alpha_channel]
        return opacity.astype(np.float32) / np.float32(np.iinfo(opacity.dtype).max)

    def upright_uint8(self) -> Rgb8:
        """Return the page as it is seen, sRGB, (H, W, 3) uint8; 16 bits are rounded."""
        view = upright_view(self.raster, self.orientation)
        if self.raster.dtype == np.uint8 and not self.is_premultiplied:
            colours = view[..., : self.channels]
            values = 255 - colours if self.inverted else colours
            rgb = to_srgb8(values, self.space, self.icc)
            rgb.flags.writeable = False
            return rgb
        rgb = np.empty((*view.shape[:2], 3), np.uint8)
        for top in range(0, len(view), BAND):
            box = (0, top, view.shape[1], min(top + BAND, len(view)))
            rgb[top : top + BAND] = np.rint(self.upright_region(box) * 255)
        return rgb

    def upright_region(self, box: Box) -> Rgb:
        """Return a part of the page as it is seen, sRGB, (h, w, 3) float32 in [0, 1].

        Args:
            box: x0, y0, x1, y1 in upright pixels, inside the page.
        """
        return to_srgb(self.straight(self._part(self.raster, box)), self.space, self.icc)

    def straight(self, part: NDArray[Any]) -> Values:
        """Return the colours of a part of the raster, as ``colour`` counts them.

        Args:
            part: (h, w, n), all channels.
        """
        values = part[..., : self.channels].astype(np.float32) / self._units(part)
        if self.is_premultiplied:
            opacity = self._opacity(part)
            values = np.minimum(values / np.where(opacity > 0, opacity, 1), 1)
        return 1 - values if self.inverted else values

    def _opacity(self, part: NDArray[Any]) -> Values:
        place, top = self.alpha_channel or 0, np.float32(np.iinfo(part.dtype).max)
        return part[..., place : place + 1].astype(np.float32) / top

    def _units(self, part: NDArray[Any]) -> Values | np.float32:
        """Return by what stored colours are divided: one number if it can be, which is faster."""
        top = np.float32(np.iinfo(part.dtype).max)
        if self.space == "lab" and part.dtype == np.uint16:  # a and b in 1/256, not in 1/257
            return np.array([top, 255 * 256, 255 * 256], np.float32)
        return top

    def merged(self, changes: Iterable[tuple[Box, Rgb]], *, copy: bool = True) -> "Page":
        """Return the page with changes written into a copy of its raster.

        A pixel to which exactly zero is added keeps its stored value, and alpha is kept
        everywhere; other pixels are rounded to the raster's own levels.

        Args:
            changes: Pairs of a box in upright pixels and what to add there to the upright sRGB
                picture, (h, w, 3) float32; already multiplied by any mask.
            copy: False writes into this page's own raster, which saves the memory of a second.

        Raises:
            ShapeError: If a box leaves the page or does not fit its change.
        """
        raster, touched = self.raster.copy() if copy else self.raster, []
        for box, add in changes:
            (height, width), (x0, y0, x1, y1) = self.upright_shape, box
            if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
                raise ShapeError(
                    f"a change's box {box} leaves the photo of {width}×{height} pixels"
                )
            if add.shape != (y1 - y0, x1 - x0, 3) or not np.isfinite(add).all():
                raise ShapeError(
                    f"expected a finite change of {(y1 - y0, x1 - x0, 3)} for the box {box}, "
                    f"got {add.shape}"
                )
            part = self._part(raster, box)
            rows = max(1, PIXELS // part.shape[1])
            for top in range(0, len(part), rows):
                self._write_rows(part[top : top + rows], add[top : top + rows])
            touched.append(stored_box(box, self.orientation, raster.shape))
        return replace(self, raster=raster, touched=(*self.touched, *touched))

    def mixed(self, other: "Page", shares: Iterable[tuple[Box, Plane]]) -> "Page":
        """Return the page with another page's pixels mixed in, alpha too.

        Where a share is 0 the stored values are exactly this page's, where it is 1 the other's.

        Args:
            other: A page of the same size, depth, colours and orientation.
            shares: Pairs of a box in upright pixels, inside the page, and the other's share of
                the pixels there, (h, w) in [0, 1]; boxes may overlap if their shares agree.

        Raises:
            ShapeError: If the pages differ in more than their pixels.
        """
        ours, theirs = self._form(), other._form()
        if ours != theirs:
            raise ShapeError(f"expected two pages of one form, got {ours} and {theirs}")
        raster, touched = self.raster.copy(), []
        for (x0, y0, x1, y1), share in shares:
            old, mine, new = (
                upright_view(part, self.orientation)[y0:y1, x0:x1]
                for part in (self.raster, raster, other.raster)
            )
            blend = old + share[..., None] * (new.astype(np.float32) - old)
            mine[:] = np.rint(blend).astype(raster.dtype)
            touched.append(stored_box((x0, y0, x1, y1), self.orientation, raster.shape))
        return replace(self, raster=raster, touched=(*self.touched, *touched))

    def _form(self) -> tuple[tuple[int, ...], str, str, int]:
        return self.raster.shape, str(self.raster.dtype), self.space, self.orientation

    def _part(self, raster: NDArray[Any], box: Box) -> NDArray[Any]:
        x0, y0, x1, y1 = box
        return upright_view(raster, self.orientation)[y0:y1, x0:x1]

    def _write_rows(self, part: NDArray[Any], add: Rgb) -> None:
        if not add.any():
            return
        new = changed(self.straight(part), add, self.space, self.icc)
        new = 1 - new if self.inverted else new
        if self.is_premultiplied:
            new = new * self._opacity(part)
        levels = np.rint(new * self._units(part)).astype(part.dtype)
        where = np.repeat(differs(add, 0).ravel(), self.channels)  # one long axis is fast
        np.copyto(part[..., : self.channels], levels, where=where.reshape(levels.shape))
