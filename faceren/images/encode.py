"""Encode a raster: pixels only, metadata are joined to it elsewhere."""

from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceren.errors import ImageError
from faceren.images.colour import fits, to_srgb
from faceren.images.decode import gathered
from faceren.images.page import BAND, Page

PNG_LEVEL = 3
"""Of 9; three times as fast as 6, for files 3 % larger."""
MATRICES = (1, 5, 6, 9)
"""Ways (H.273, table 4) to make luma and colour differences that encoders know; 6 is usual."""
LOSSY_DECIBELS = 30
"""Of a lossy JPEG 2000 at quality 0; each 5 of quality add 1."""


def fitted(page: Page, kind: str) -> tuple[Page, tuple[str, ...]]:
    """Return the page in a form that a format can hold, and what was left out, in words.

    Args:
        page: Any page.
        kind: jpeg, png, webp, avif, heif, bmp, jp2 or tiff.

    Raises:
        ImageError: If the format cannot hold the page's transparency.
    """
    if kind == "tiff":
        return page, ()
    lost = []
    if page.inverted:
        page = replace(page, raster=np.iinfo(page.raster.dtype).max - page.raster, inverted=False)
    alpha = page.alpha_channel
    more = len(page.beside) - (alpha is not None)
    if more:
        lost.append(f"{more} extra channel{'s' if more > 1 else ''} (infrared or a mask)")
    page = _with_one_alpha(page)
    if kind == "jpeg":
        page = _opaque(page)
    if kind not in ("png", "avif", "heif", "jp2") and page.raster.dtype == np.uint16:
        lost.append(f"the bits of a sample beyond 8, of {page.bits or 16}")
        page = replace(page, raster=np.rint(page.raster / np.float32(257)).astype(np.uint8), bits=0)
    coloured = kind == "webp" and page.space == "gray" and fits(page.icc, "gray")
    inks = page.space == "cmyk" and kind not in ("jpeg", "jp2")
    if inks or coloured or page.space == "lab":
        lost += ["inks (CMYK became sRGB)"] if inks else []
        page = _as_srgb(page)
    return page, tuple(lost)


def _with_one_alpha(page: Page) -> Page:
    """Return the page without extra channels but one of opacity, which is not multiplied in."""
    if page.beside in ((), ("alpha",)):
        return page
    place, channels = page.alpha_channel, page.channels
    colours = page.raster[..., :channels]
    if place is None:
        return replace(page, raster=np.ascontiguousarray(colours), extras=())
    raster = np.concatenate([colours, page.raster[..., place : place + 1]], axis=2)
    if page.is_premultiplied:
        units = np.iinfo(raster.dtype).max
        for top in range(0, len(raster), BAND):
            part = page.straight(page.raster[top : top + BAND])
            raster[top : top + BAND, :, :channels] = np.rint(part * units).astype(raster.dtype)
    return replace(page, raster=raster, extras=("alpha",))


def _opaque(page: Page) -> Page:
    alpha = page.raster[..., page.channels :]
    if (alpha != np.iinfo(alpha.dtype).max).any():
        raise ImageError("a JPEG cannot hold this photo's transparency; use --format png or webp")
    return replace(page, raster=page.raster[..., : page.channels], extras=())


def _as_srgb(page: Page) -> Page:
    top = np.iinfo(page.raster.dtype).max
    values = page.straight(page.raster)
    rgb = np.rint(to_srgb(values, page.space, page.icc) * top).astype(page.raster.dtype)
    raster = np.concatenate([rgb, page.raster[..., page.channels :]], axis=2)
    return replace(page, raster=raster, space="rgb", icc=b"")


def image_of(raster: NDArray[Any], space: str) -> Image.Image:
    """Return a raster as a picture of Pillow."""
    pixels = np.ascontiguousarray(raster[..., 0] if raster.shape[2] == 1 else raster)
    if space == "cmyk":  # four channels would be taken for RGBA
        size = (raster.shape[1], raster.shape[0])
        return Image.frombuffer("CMYK", size, pixels, "raw", "CMYK", 0, 1)
    return Image.fromarray(pixels)


def encode_png(page: Page) -> bytes:
    """Return the raster as a PNG, 8 or 16 bits."""
    import imagecodecs  # here: training must run without it

    raster = page.raster[..., 0] if page.raster.shape[2] == 1 else page.raster
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(raster), level=PNG_LEVEL))


def encode_webp(page: Page, *, quality: int, lossless: bool) -> bytes:
    """Return the raster as a WebP file."""
    stream = BytesIO()
    image = image_of(with_colour(page.raster, page.space), "rgb")
    image.save(stream, "WEBP", quality=quality, lossless=lossless, exact=True, method=4)
    return stream.getvalue()


def with_colour(raster: NDArray[Any], space: str) -> NDArray[Any]:
    """Return a raster whose gray, if it is that, stands in three channels."""
    if space == "gray":
        return np.concatenate([raster[..., :1]] * 3 + [raster[..., 1:]], axis=2)
    return raster


def coded_heif(
    raster: NDArray[Any], *, bits: int, quality: int, chroma: int, colours: tuple[int, int, int]
) -> bytes:
    """Return a raster as a HEIC file of nothing else.

    Args:
        raster: (H, W, 1 or 3) uint8, or uint16 spread from ``bits``.
        bits: 8, 10 or 12.
        quality: 1 to 100.
        chroma: 420, 422 or 444; not every viewer shows all of them.
        colours: Primaries, transfer characteristics and matrix (ITU-T H.273).
    """
    from pillow_heif import encode  # it is there: the photo was read with it

    deep = raster.dtype == np.uint16
    if deep:  # the library drops the bits that are too many
        raster = gathered(raster, bits) << np.uint16(16 - bits)
    mode = ("L" if raster.shape[2] == 1 else "RGB") + (";16" if deep else "")
    primaries, transfer, matrix = colours
    stream = BytesIO()
    encode(
        mode,
        (raster.shape[1], raster.shape[0]),
        np.ascontiguousarray(raster).tobytes(),
        stream,
        quality=quality,
        chroma=chroma,
        bit_depth=bits,
        color_primaries=primaries,
        transfer_characteristics=transfer,
        matrix_coefficients=matrix if matrix in MATRICES else 6,
        full_range_flag=1,
    )
    return stream.getvalue()


def coded_avif(
    raster: NDArray[Any], *, bits: int, quality: int, colours: tuple[int, int, int]
) -> bytes:
    """Return a raster as an AVIF file of nothing else, colours stored for every pixel.

    Args:
        raster: (H, W, 1 or 3) uint8, or uint16 spread from ``bits``.
        bits: 8, 10 or 12.
        quality: 1 to 100.
        colours: Primaries, transfer characteristics and matrix (ITU-T H.273).
    """
    import imagecodecs  # here: training must run without it

    if raster.dtype == np.uint16:
        raster = gathered(raster, bits)
    primaries, transfer, matrix = colours
    gray = raster.shape[2] == 1
    coded = imagecodecs.avif_encode(
        np.ascontiguousarray(raster[..., 0] if gray else raster),
        quality,
        speed=6,
        bitspersample=bits,
        pixelformat="400" if gray else "444",
        primaries=primaries,
        transfer=transfer,
        matrix=matrix if matrix in MATRICES else 6,
    )
    return bytes(coded)


def coded_jp2(page: Page, *, reversible: bool, quality: int) -> bytes:
    """Return the raster as a JPEG 2000 codestream.

    Args:
        page: 8 to 16 bits, any channels.
        reversible: Lose nothing.
        quality: Of lossy ones, 1 to 100.
    """
    import imagecodecs  # here: training must run without it

    raster, bits = page.raster, page.bits or page.raster.itemsize * 8
    if raster.dtype == np.uint16 and bits < 16:
        raster = gathered(raster, bits)
    coded = imagecodecs.jpeg2k_encode(
        np.ascontiguousarray(raster[..., 0] if raster.shape[2] == 1 else raster),
        0 if reversible else LOSSY_DECIBELS + quality // 5,
        codecformat="j2k",
        bitspersample=bits,
        reversible=reversible,
        mct=page.space == "rgb" and raster.shape[2] == 3,
    )
    return bytes(coded)
