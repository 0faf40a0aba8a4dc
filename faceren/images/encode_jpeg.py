"""Encode a raster as the JPEG that it came from: what was not changed hardly moves."""

from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from faceren.arrays import differs
from faceren.images.checks import warnings_off
from faceren.images.colour import Space
from faceren.images.containers.jpeg import is_plain_rgb
from faceren.images.encode import image_of
from faceren.images.page import Page

FINEST_SAMPLING = 0
"""Pillow's name for 4:4:4, every pixel has its own colour."""
MODES: dict[Space, str] = {"gray": "L", "rgb": "RGB", "cmyk": "CMYK"}
CELLS = {1: (1, 2), 2: (2, 2)}
"""Rows and columns that share their colour, by Pillow's names for 4:2:2 and 4:2:0."""
GOOD_QUALITY = 75
"""A JPEG of this quality or more is encoded with its own tables."""
BAND, MARGIN = 1024, 32
"""Rows that are worked on at a time, and rows around them that they depend on; both even."""
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
    for top in range(0, height, BAND):
        bottom = min(top + BAND, height)
        below = np.asarray(own.crop((0, top, width, min(bottom + MARGIN, height))))
        planes = np.concatenate([above, below])
        start, above = len(above), below[BAND - MARGIN : BAND]
        if sampling in CELLS:
            for channel in (1, 2):
                planes[..., channel] = _shared(planes[..., channel], CELLS[sampling])
        planes = planes[start : start + bottom - top]
        mask = changed[top:bottom]
        new = np.asarray(Image.fromarray(raster[top:bottom]).convert("YCbCr"))
        planes[mask] = new[mask]
        own.paste(Image.fromarray(planes, "YCbCr"), (0, top))
    return own


def _differs(before: Image.Image, raster: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where a picture differs from a raster, (H, W)."""
    changed = np.empty(raster.shape[:2], bool)
    for top in range(0, len(raster), BAND):
        bottom = min(top + BAND, len(raster))
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
