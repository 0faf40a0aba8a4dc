"""Read TIFF."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceren.errors import ImageError, MachineError
from faceren.images.checks import check_size, shown, unreadable
from faceren.images.colour import CHANNELS, Space
from faceren.images.decode import DAMAGE
from faceren.images.orientation import TURNS
from faceren.images.page import Page
from faceren.images.tiff.directory import directories, end_of_values, layout_of

SPACES: dict[int, Space] = {0: "gray", 1: "gray", 2: "rgb", 5: "cmyk", 6: "rgb"}
"""PhotometricInterpretation: what the decoded samples are (YCbCr is decoded to RGB)."""
PALETTE = 3
DEPTHS = (1, 2, 4, 8, 16)
"""Bits per sample; fewer than 8 are spread over 8."""

# what is wrong with a file is said in our errors, not on stderr
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def read_tiff(path: Path, max_pixels: int) -> tuple[Page, ...]:
    """Decode every page of a TIFF.

    Raises:
        ImageError: If the file is damaged, truncated, too large, or not 8 or 16 bits of gray, RGB,
            CMYK or palette.
        MachineError: If there is not enough memory.
    """
    import tifffile  # here: training must run without it

    try:
        with tifffile.TiffFile(path) as file:
            _check_complete(path)
            if not file.pages:
                raise ImageError(f"{shown(path)}: the TIFF has no page; the file is damaged")
            for page in file.pages:
                _check_page(path, file, page, len(file.pages), max_pixels)
            return tuple(_page(path, page) for page in file.pages)
    except MemoryError as error:
        raise MachineError(f"{shown(path)}: not enough memory to decode it") from error
    except DAMAGE as error:
        raise unreadable(path, error) from error


def _check_complete(path: Path) -> None:
    with path.open("rb") as file:
        layout = layout_of(file)
        ends = [end_of_values(layout, directory) for directory in directories(file, layout)]
    if max(ends, default=0) > path.stat().st_size:
        raise ImageError(f"{shown(path)}: the file is truncated; copy it again")


def _check_page(path: Path, file: Any, page: Any, pages: int, max_pixels: int) -> None:
    check_size(path, page.imagewidth, page.imagelength, max_pixels, pages)
    size = path.stat().st_size
    ends = zip(page.dataoffsets, page.databytecounts, strict=True)
    if any(offset + count > size for offset, count in ends):
        raise ImageError(f"{shown(path)}: the file is truncated; copy it again")


def _page(path: Path, page: Any) -> Page:
    photometric = int(page.photometric)
    if page.bitspersample not in DEPTHS or page.imagedepth > 1 or int(page.sampleformat) != 1:
        raise _unknown(path, page)
    raster = page.asarray()
    if int(page.planarconfig) == 2 and raster.ndim == 3:
        raster = np.moveaxis(raster, 0, 2)
    raster = raster if raster.ndim == 3 else raster[..., None]
    if raster.dtype == np.bool_:
        raster = raster.astype(np.uint8)
    expanded = photometric == PALETTE or page.bitspersample < 8
    if photometric == PALETTE:
        raster, photometric = _coloured(raster, page.colormap), 2
    elif page.bitspersample < 8:
        raster = raster * np.uint8(255 // (2**page.bitspersample - 1))
    if photometric not in SPACES or raster.shape[2] < CHANNELS[SPACES[photometric]]:
        raise _unknown(path, page)
    tag = page.tags.get(274)
    orientation = tag.value if tag is not None and tag.value in TURNS else 1
    icc = page.tags.get(34675)
    return Page(
        raster,
        SPACES[photometric],
        int(orientation),
        b"" if icc is None else bytes(icc.value),
        inverted=photometric == 0,
        expanded=expanded,
    )


def _unknown(path: Path, page: Any) -> ImageError:
    name = getattr(page.photometric, "name", page.photometric)
    return ImageError(
        f"{shown(path)}: expected 8 or 16 bits of gray, RGB, CMYK or palette, got a TIFF of "
        f"{page.bitspersample} bits, {name}"
    )


def _coloured(indices: NDArray[Any], colormap: NDArray[np.uint16]) -> NDArray[Any]:
    if (colormap % 257 == 0).all():
        colormap = (colormap // 257).astype(np.uint8)
    elif (colormap % 256 == 0).all():  # the other common way to write 8-bit colours
        colormap = (colormap // 256).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(colormap[:, indices[..., 0]], 0, 2))
