"""Encode a raster, pixels only; as the JPEG it came from so that what is unchanged hardly moves."""

from dataclasses import replace
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from faceren.arrays import differs
from faceren.errors import ImageError
from faceren.images.checks import warnings_off
from faceren.images.colour import Space, fits, to_srgb
from faceren.images.containers.jpeg import endless_jpeg, is_plain_rgb
from faceren.images.decode import gathered
from faceren.images.page import BAND, Page

FINEST_SAMPLING = 0
"""Pillow's name for 4:4:4, every pixel has its own colour."""
MODES: dict[Space, str] = {"gray": "L", "rgb": "RGB", "cmyk": "CMYK"}
CELLS = {1: (1, 2), 2: (2, 2)}
"""Rows and columns that share their colour, by Pillow's names for 4:2:2 and 4:2:0."""
GOOD_QUALITY = 75
"""A JPEG of this quality or more is encoded with its own tables."""
CODED_BAND, MARGIN = 1024, 32
"""Rows of a JPEG worked on at a time, and rows around them that they depend on; both even."""
SMOOTHING = np.array([1, 6, 1], np.float32) / 8
"""What decoders make of shared colours (triangles, 3 : 1), seen as the mean of those who share."""
ALONE = np.ones(1, np.float32)
REFINEMENTS = 8
"""Of undoing that; each halves the error at least."""


def encode_jpeg(
    page: Page, *, quality: int, source: bytes = b"", plain_rgb: bool | None = None
) -> bytes:
    """Return the raster as a JPEG.

    A source's quantisation tables and colour subsampling are used again, and so are its own luma
    and colours where the picture shows what it showed: they quantise to what they were, and nearly
    all pixels stay equal. A source of less than quality 75 gets tables of divisors, so that the
    face does not suffer from them.

    Args:
        page: 8-bit gray, RGB or CMYK without alpha.
        quality: 1 to 100; of new files, and of those whose own is below 75.
        source: The JPEG file that the page came from; nothing if it came from another format.
        plain_rgb: Whether the source's components are red, green and blue; None looks.
    """
    stream = BytesIO()
    if not source:
        image = image_of(page.raster, page.space)
        image.save(stream, "JPEG", quality=quality, subsampling=FINEST_SAMPLING, optimize=True)
        return stream.getvalue()
    source = endless_jpeg(source)
    with warnings_off(), JpegImageFile(BytesIO(source)) as original:
        sampling = get_sampling(original)
        progressive = bool(original.info.get("progressive"))
        tables = _tables(original, MODES[page.space], quality)
    plain_rgb = is_plain_rgb(source) if plain_rgb is None else plain_rgb
    own = page.space == "rgb" and not plain_rgb
    known = _with_own_colours(page.raster, source, sampling) if own else None
    image = known or image_of(page.raster, page.space)
    image.save(
        stream,
        "JPEG",
        qtables=tables,
        subsampling=FINEST_SAMPLING if sampling < 0 else sampling,
        progressive=progressive,
        optimize=True,
        keep_rgb=plain_rgb and image.mode == "RGB",
    )
    return stream.getvalue()


def _with_own_colours(raster: NDArray[Any], source: bytes, sampling: int) -> Image.Image | None:
    """Return a picture in luma and colours (YCbCr), the source's own where it shows the same.

    None if the source is another kind of picture, or of another size.

    Args:
        raster: The picture, (H, W, 3) RGB.
        source: A JPEG.
        sampling: How it subsamples colours, as Pillow counts.
    """
    height, width = raster.shape[:2]
    with warnings_off(), JpegImageFile(BytesIO(source)) as before:
        if (before.mode, before.size) != ("RGB", (width, height)):
            return None
        changed = _differs(before, raster)
    with warnings_off():
        own = JpegImageFile(BytesIO(source))
    own.draft("YCbCr", own.size)
    if own.mode != "YCbCr":
        return None
    above = np.empty((0, width, 3), np.uint8)  # rows that were there before they were replaced
    for top in range(0, height, CODED_BAND):
        bottom = min(top + CODED_BAND, height)
        below = np.asarray(own.crop((0, top, width, min(bottom + MARGIN, height))))
        planes = np.concatenate([above, below])
        start, above = len(above), below[CODED_BAND - MARGIN : CODED_BAND]
        if sampling in CELLS:
            for channel in (1, 2):
                planes[..., channel] = _shared(planes[..., channel], CELLS[sampling])
        planes = planes[start : start + bottom - top]
        new = np.asarray(Image.fromarray(raster[top:bottom]).convert("YCbCr"))
        planes = cv2.copyTo(new, changed[top:bottom].astype(np.uint8), np.ascontiguousarray(planes))
        own.paste(Image.fromarray(planes, "YCbCr"), (0, top))
    return own


def _differs(before: Image.Image, raster: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where a picture differs from a raster, (H, W)."""
    changed = np.empty(raster.shape[:2], bool)
    for top in range(0, len(raster), CODED_BAND):
        bottom = min(top + CODED_BAND, len(raster))
        old = np.asarray(before.crop((0, top, raster.shape[1], bottom)))
        changed[top:bottom] = differs(raster[top:bottom], old)
    return changed


def _shared(plane: NDArray[np.uint8], cell: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a plane of colour as its encoder had it: one value for all pixels that share it.

    Args:
        plane: (H, W), smoothed by the decoder.
        cell: Rows and columns that share a value.
    """
    height, width = plane.shape
    down, across = cell
    even = cv2.copyMakeBorder(
        plane, 0, -height % down, 0, -width % across, cv2.BORDER_REPLICATE
    ).astype(np.float32)
    total = sum(even[y::down, x::across] for y in range(down) for x in range(across))
    means = np.ascontiguousarray(total / np.float32(down * across))
    values, kernels = means.copy(), (SMOOTHING, SMOOTHING if down == 2 else ALONE)
    for _ in range(REFINEMENTS):
        smooth = cv2.sepFilter2D(values, -1, *kernels, borderType=cv2.BORDER_REPLICATE)
        values += means - smooth
    levels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return levels.repeat(down, axis=0).repeat(across, axis=1)[:height, :width]


def _tables(original: JpegImageFile, mode: str, quality: int) -> list[list[int]]:
    """Return a quantisation table for each component."""
    used = [original.quantization[layer[3]] for layer in original.layer]
    enough = _standard_tables(mode, GOOD_QUALITY)
    if len(used) != len(enough):  # inks as gray, say
        return _standard_tables(mode, quality)
    if all(sum(own) <= sum(good) for own, good in zip(used, enough, strict=True)):
        return used
    wanted = _standard_tables(mode, quality)
    pairs = zip(used, wanted, strict=True)
    # Multiples of a step are multiples of its divisors, so that blocks that were quantised with the
    # step survive. A step of 1 would store the rounding of the pixels: 2 is fine enough.
    return [
        [
            max(n for n in range(1, a + 1) if a % n == 0 and n <= max(b, 2))
            for a, b in zip(*pair, strict=True)
        ]
        for pair in pairs
    ]


def _standard_tables(mode: str, quality: int) -> list[list[int]]:
    stream = BytesIO()
    Image.new(mode, (8, 8)).save(stream, "JPEG", quality=quality)
    stream.seek(0)
    with JpegImageFile(stream) as image:
        return [image.quantization[layer[3]] for layer in image.layer]


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
