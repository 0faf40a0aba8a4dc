"""Encode a raster: pixels only, metadata are joined to it elsewhere."""

from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from faceren.errors import ImageError
from faceren.images.colour import CHANNELS, to_srgb
from faceren.images.decode import opened, warnings_off
from faceren.images.page import Page

FINEST_SAMPLING = 0
"""Pillow's name for 4:4:4, every pixel has its own colour."""
PNG_LEVEL = 3
"""Of 9; three times as fast as 6, for files 3 % larger."""
ORIENTATION, DESCRIPTION = 0x0112, 0x010E
"""EXIF tags."""
GOOD_QUALITY = 75
"""A JPEG of this quality or more is encoded with its own tables."""


def fitted(page: Page, kind: str) -> Page:
    """Return the page in a form that a format can hold: depth, colours, alpha.

    Args:
        page: Any page.
        kind: jpeg, png, webp, avif, heif, bmp or tiff.

    Raises:
        ImageError: If the format cannot hold the page's transparency.
    """
    if kind == "tiff":
        return page
    if page.inverted:
        page = replace(page, raster=np.iinfo(page.raster.dtype).max - page.raster, inverted=False)
    if kind == "jpeg":
        page = _opaque(page)
    if kind != "png" and page.raster.dtype == np.uint16:
        eight = np.rint(page.raster / np.float32(257)).astype(np.uint8)
        page = replace(page, raster=eight)
    coloured = kind in ("webp", "avif", "heif") and page.space == "gray" and bool(page.icc)
    if (page.space == "cmyk" and kind != "jpeg") or coloured:
        page = _as_srgb(page)
    return page


def _opaque(page: Page) -> Page:
    channels = CHANNELS[page.space]
    alpha = page.raster[..., channels:]
    if (alpha != np.iinfo(alpha.dtype).max).any():
        raise ImageError("a JPEG cannot hold this photo's transparency; use --format png or webp")
    return replace(page, raster=page.raster[..., :channels])


def _as_srgb(page: Page) -> Page:
    channels, top = CHANNELS[page.space], np.iinfo(page.raster.dtype).max
    values = page.raster[..., :channels].astype(np.float32) / np.float32(top)
    rgb = np.rint(to_srgb(values, page.space, page.icc) * top).astype(page.raster.dtype)
    raster = np.concatenate([rgb, page.raster[..., channels:]], axis=2)
    return replace(page, raster=raster, space="rgb", icc=b"")


def _image(raster: NDArray[Any], space: str) -> Image.Image:
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


def encode_bmp(page: Page) -> bytes:
    """Return the raster as a BMP."""
    stream = BytesIO()
    _image(_with_colour(page), page.space).save(stream, "BMP")
    return stream.getvalue()


def encode_webp(page: Page, *, quality: int, lossless: bool) -> bytes:
    """Return the raster as a WebP file."""
    stream = BytesIO()
    image = _image(_with_colour(page, always=True), "rgb")
    image.save(stream, "WEBP", quality=quality, lossless=lossless, exact=True, method=4)
    return stream.getvalue()


def encode_jpeg(page: Page, *, quality: int, source: bytes = b"") -> bytes:
    """Return the raster as a JPEG.

    A source's quantisation tables and colour subsampling are used again: what was not changed then
    quantises to what it was, and nearly all of its pixels are equal (on twelve scans of 75 to 95,
    99.4 % of them or more). A source of less than quality 75 gets tables of divisors, so that the
    face does not suffer from them.

    Args:
        page: 8-bit gray, RGB or CMYK without alpha.
        quality: 1 to 100; of new files, and of those whose own is below 75.
        source: The JPEG file that the page came from; nothing if it came from another format.
    """
    image = _image(page.raster, page.space)
    stream = BytesIO()
    if not source:
        image.save(stream, "JPEG", quality=quality, subsampling=FINEST_SAMPLING, optimize=True)
        return stream.getvalue()
    with warnings_off(), JpegImageFile(BytesIO(source)) as original:
        sampling = get_sampling(original)
        progressive = bool(original.info.get("progressive"))
        plain_rgb = image.mode == "RGB" and original.info.get("adobe_transform") == 0
        tables = _tables(original, image.mode, quality)
    image.save(
        stream,
        "JPEG",
        qtables=tables,
        subsampling=FINEST_SAMPLING if sampling < 0 else sampling,
        progressive=progressive,
        optimize=True,
        keep_rgb=plain_rgb,
    )
    return stream.getvalue()


def _tables(original: JpegImageFile, mode: str, quality: int) -> list[list[int]]:
    """Return a quantisation table for each component."""
    used = [original.quantization[layer[3]] for layer in original.layer]
    enough = _standard_tables(mode, GOOD_QUALITY)
    if all(sum(own) <= sum(good) for own, good in zip(used, enough, strict=True)):
        return used
    wanted = _standard_tables(mode, quality)
    pairs = zip(used, wanted, strict=True)
    return [[_divisor(a, b) for a, b in zip(*pair, strict=True)] for pair in pairs]


def _divisor(step: int, wanted: int) -> int:
    """Return the largest divisor of a quantisation step that is not above the wanted step.

    Multiples of the step are multiples of its divisors, so that blocks that were quantised with
    the step survive. A step of 1 would store the rounding of the pixels: 2 is fine enough.
    """
    return max(n for n in range(1, step + 1) if step % n == 0 and n <= max(wanted, 2))


def _standard_tables(mode: str, quality: int) -> list[list[int]]:
    stream = BytesIO()
    Image.new(mode, (8, 8)).save(stream, "JPEG", quality=quality)
    stream.seek(0)
    with JpegImageFile(stream) as image:
        return [image.quantization[layer[3]] for layer in image.layer]


def _with_colour(page: Page, *, always: bool = False) -> NDArray[Any]:
    """Return the raster as RGB if it has both gray and alpha, or ``always``."""
    raster = page.raster
    if page.space == "gray" and (always or raster.shape[2] == 2):
        return np.concatenate([raster[..., :1]] * 3 + [raster[..., 1:]], axis=2)
    return raster


def encode_avif(page: Page, *, quality: int, exif: bytes, xmp: bytes) -> bytes:
    """Return a whole AVIF file, colours stored for every pixel.

    Args:
        page: 8-bit.
        quality: 1 to 100.
        exif: A TIFF structure as it is to lie in the file, or nothing.
        xmp: A packet, or nothing.
    """
    stream = BytesIO()
    image = _image(_with_colour(page), page.space)
    stand_in = _stand_in(len(exif), page.orientation)
    image.save(
        stream,
        "AVIF",
        quality=quality,
        subsampling="4:0:0" if image.mode == "L" else "4:4:4",
        exif=stand_in,
        xmp=xmp,
        icc_profile=page.icc,
    )
    if not exif:
        return stream.getvalue()
    written = stand_in.tobytes().removeprefix(b"Exif\0\0")
    return stream.getvalue().replace(written, exif.ljust(len(written), b"\0"), 1)


def _stand_in(length: int, orientation: int) -> Image.Exif:
    """Return an EXIF block that Pillow writes as ``length`` bytes, or a few more.

    Pillow takes the Orientation out of an EXIF block, as the container says it instead, and in
    doing so loses what it does not know. So it gets a block with nothing else but stars, and the
    real one is put in their place.
    """
    block = Image.Exif()
    block[ORIENTATION] = orientation
    if length:  # 26 bytes are a tag and all around it; more than four stars lie behind, evenly
        stars = 1 if length <= 26 else max(length + length % 2 - 27, 5)
        block[DESCRIPTION] = "*" * stars
    return block


def encode_heif(page: Page, *, quality: int, exif: bytes, xmp: bytes, source: bytes) -> bytes:
    """Return a whole HEIC file, colours subsampled as in its source.

    Not every viewer that shows the usual 4:2:0 shows 4:4:4.

    Args:
        page: 8-bit.
        quality: 1 to 100.
        exif: A TIFF structure, or nothing; its Orientation is the page's.
        xmp: A packet, or nothing.
        source: The file that the page came from.
    """
    from pillow_heif import from_pillow

    image = _image(_with_colour(page, always=True), page.space)
    image.info["icc_profile"] = page.icc or None
    with opened(BytesIO(source), "heif") as original:
        chroma = original.info.get("chroma") or 444
    stream = BytesIO()
    heif = from_pillow(image)
    heif.save(stream, quality=quality, chroma=chroma, exif=exif or None, xmp=xmp or None)
    return stream.getvalue()
