"""Decode the formats of one raster: all but TIFF."""

import struct
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from faceren.errors import ImageError, MachineError
from faceren.images import colour
from faceren.images.checks import (
    DAMAGE,
    check_ratio,
    check_size,
    named,
    shown,
    unreadable,
    warnings_off,
)
from faceren.images.colour import Space, fits
from faceren.images.containers import bmff, bmp, jp2, png
from faceren.images.containers.jpeg import endless_jpeg
from faceren.images.headers import header_of
from faceren.images.page import Extra, Page, orientation_of, stored_raster

# opened by class, not by Image.open: only these decoders ever run, and the limit on pixels is ours
OPENERS: dict[str, type[ImageFile.ImageFile]] = {
    "jpeg": JpegImageFile,
    "png": PngImageFile,
    "webp": WebPImageFile,
    "bmp": BmpImageFile,
    "gif": GifImageFile,
}
BAND = 1024
"""Rows that are converted at a time."""
SPACES: dict[str, Space] = {"L": "gray", "LA": "gray", "RGB": "rgb", "RGBA": "rgb", "CMYK": "cmyk"}
JP2_SPACES: dict[int, Space] = {12: "cmyk", 16: "rgb", 17: "gray"}
"""EnumCS of JPEG 2000."""


def opened(data: bytes, kind: str) -> ImageFile.ImageFile:
    """Read the header of a picture with Pillow; a context manager that closes it.

    Args:
        data: A file.
        kind: Its format, one of ``OPENERS``.
    """
    with warnings_off():
        return OPENERS[kind](BytesIO(data))


def decode(path: Path, kind: str, max_pixels: int) -> Page:
    """Decode the only raster of a file, every pixel of it.

    Args:
        path: An existing file.
        kind: Its format, not TIFF.
        max_pixels: Largest number of pixels to accept.

    Raises:
        ImageError: If the file is damaged, truncated, animated, too large, or of another depth.
        MachineError: If memory or a library is missing.
    """
    try:
        data = path.read_bytes()
        if kind == "heif":
            _heif_library()
        header = header_of(kind, data)
        check_size(path, header.width, header.height, max_pixels)
        check_ratio(path, header.width * header.height, len(data))
        if header.frames > 1:
            raise ImageError(
                f"expected one still picture, got an animation of {header.frames} frames; "
                f"save the frame to restore as a file of its own"
            )
        return decoded(kind, data)
    except Image.DecompressionBombError as error:  # of WebP, raised before we see its size
        raise ImageError(f"{shown(path)}: {error}") from error
    except MemoryError as error:
        raise MachineError(f"{shown(path)}: not enough memory to decode it") from error
    except ImageError as error:
        raise named(error, path) from error
    except DAMAGE as error:
        raise unreadable(path, error) from error


def decoded(kind: str, data: bytes) -> Page:
    """Decode a file whose header has been checked."""
    if kind in ("heif", "avif"):
        return _items(kind, data)
    if kind == "jp2":
        return _jp2(data)
    data = png.sound_png(data) if kind == "png" else data
    if kind == "png" and png.png_depth(data) == 16:
        return _png16(data)
    key = png.colour_key(data) if kind == "png" else None
    with opened(endless_jpeg(data) if kind == "jpeg" else data, kind) as image:
        image.load()  # what stands behind the pixels of a PNG is known only then
        if key:  # Pillow compares it with samples that it has spread to 8 bits
            image.info.pop("transparency", None)
        mode = _plain_mode(image)
        channels = len(Image.new(mode, (1, 1)).getbands())
        raster = np.empty((image.height, image.width, channels), np.uint8)
        for top in range(0, image.height, BAND):  # converted band by band to save memory
            bottom = min(top + BAND, image.height)
            band = image.crop((0, top, image.width, bottom)).convert(mode)
            raster[top:bottom] = np.asarray(band).reshape(bottom - top, image.width, -1)
        exif, icc = image.info.get("exif") or b"", image.info.get("icc_profile") or b""
        may_be_gray = image.mode in ("P", "PA") and icc[16:20] != b"RGB "  # it needs three channels
        if may_be_gray and not (raster[..., :3] != raster[..., :1]).any():
            raster = np.delete(raster, (1, 2), axis=2)
        expanded = mode != image.mode
    space: Space = "gray" if raster.shape[2] < 3 else SPACES[mode]
    if kind == "png":
        bits = png.png_depth(data)
        raster = raster if key is None else _keyed(raster, [n * 255 // (2**bits - 1) for n in key])
        expanded = expanded or bits < 8 or key is not None
        icc = icc or png_profile(data, gray=space == "gray")
    if kind == "bmp":
        icc = bmp_profile(data)
    return Page(raster, space, orientation_of(exif), icc, expanded=expanded)


def _png16(data: bytes) -> Page:
    import imagecodecs  # here: training must run without it

    key = png.colour_key(data)
    if png.is_interlaced(data):
        header = header_of("png", data)
        channels = header.channels - (key is not None)
        raster = np.empty((header.height, header.width, channels), np.uint16)
        for (x, y, across, down), part in png.interlaced_passes(data):
            pixels = np.asarray(imagecodecs.png_decode(part))
            raster[y::down, x::across] = pixels.reshape(*pixels.shape[:2], channels)
    else:
        raster = np.asarray(imagecodecs.png_decode(png.bare_png(data)))
        raster = raster if raster.ndim == 3 else raster[..., None]
    raster = raster if key is None else _keyed(raster, key)
    space: Space = "gray" if raster.shape[2] < 3 else "rgb"
    with opened(data, "png") as image:
        icc = image.info.get("icc_profile") or b""
    exif = dict(png.png_chunks(data)).get(b"eXIf", b"")
    profile = icc or png_profile(data, gray=space == "gray")
    return Page(raster, space, orientation_of(exif), profile, expanded=key is not None)


def _keyed(raster: NDArray[Any], key: Sequence[int]) -> NDArray[Any]:
    """Return a raster with an opacity, of nothing where its samples are the key."""
    top = np.iinfo(raster.dtype).max
    opacity = np.where((raster == np.array(key, raster.dtype)).all(axis=2), 0, top)
    return np.dstack([raster, opacity.astype(raster.dtype)])


def png_profile(data: bytes, *, gray: bool) -> bytes:
    """Return a profile for what the chunks of a PNG say about its colours, or nothing.

    cICP comes before sRGB, and sRGB before gAMA and cHRM (PNG, third edition, 4.3).
    """
    chunks = dict(part for part in png.png_chunks(data) if part[0] in png.COLOUR_CHUNKS)
    if len(code := chunks.get(b"cICP", b"")) == 4:
        return colour.coded_profile(code[0], code[1], gray=gray)
    if b"sRGB" in chunks or len(chunks.get(b"gAMA", b"")) != 4:
        return b""
    gamma = int.from_bytes(chunks[b"gAMA"], "big")
    if gamma == 0:
        return b""
    places: colour.Chromaticities | None = None
    if len(ends := chunks.get(b"cHRM", b"")) == 32:
        wx, wy, rx, ry, gx, gy, bx, by = (n / 100_000 for n in struct.unpack(">8I", ends))
        places = (rx, ry, gx, gy, bx, by, wx, wy)
    return colour.gamma_profile(100_000 / gamma, places, gray=gray)


def bmp_profile(data: bytes) -> bytes:
    """Return the profile of a BMP, or one for its end points, or nothing."""
    header = bmp.header_of(data)
    calibrated = bmp.calibration_of(header.info)
    if header.profile or calibrated is None:
        return header.profile
    ends, (_, gamma, _) = calibrated
    sums = [sum(ends[n : n + 3]) for n in (0, 3, 6)]
    white = [sum(ends[n::3]) for n in range(3)]
    if min(*sums, sum(white)) <= 0:
        return b""
    xy = [ends[3 * n + k] / sums[n] for n in range(3) for k in range(2)]
    rx, ry, gx, gy, bx, by = xy
    places = (rx, ry, gx, gy, bx, by, white[0] / sum(white), white[1] / sum(white))
    return colour.gamma_profile(gamma, places)


def _plain_mode(image: Image.Image) -> str:
    """Return the mode of ``SPACES`` in which palettes, bits and colour keys are expanded."""
    clear = "transparency" in image.info or image.mode in ("PA", "LA", "La", "RGBA", "RGBa")
    if image.mode in ("1", "L", "LA", "La"):
        return "LA" if clear else "L"
    if image.mode in ("P", "PA", "RGB", "RGBA", "RGBa"):
        return "RGBA" if clear else "RGB"
    if image.mode == "CMYK":
        return image.mode
    raise ImageError(f"expected gray, RGB, CMYK or a palette, got {image.mode}")


def _items(kind: str, data: bytes) -> Page:
    """Decode the photo of a HEIC or AVIF file."""
    whole = bmff.parse(data)
    orientation = whole.orientation()
    raster, bits, premultiplied = (_heif if kind == "heif" else _avif)(data, whole)
    if kind == "heif":  # the library has turned it
        raster = np.ascontiguousarray(stored_raster(raster, orientation))
    space: Space = "gray" if raster.shape[2] < 3 else "rgb"
    extras: tuple[Extra, ...] | None = ("premultiplied",) if premultiplied else None
    icc = items_profile(whole, gray=space == "gray")
    return Page(raster, space, orientation, icc, extras=extras, bits=bits)


def items_profile(whole: bmff.Container, *, gray: bool) -> bytes:
    """Return the profile of the photo in a HEIC or AVIF file, or one for its code points."""
    for kind in (b"prof", b"rICC"):
        if (found := whole.property_of(whole.picture, b"colr", kind)) is not None:
            return found[4:]
    coded = whole.property_of(whole.picture, b"colr", b"nclx")
    if coded is None or len(coded) < 8:
        return b""
    primaries, transfer = struct.unpack_from(">HH", coded, 4)
    return colour.coded_profile(primaries, transfer, gray=gray)


def _heif_library() -> Any:
    try:
        import pillow_heif
    except ImportError as error:
        raise MachineError(
            "HEIC photos need one more package: pip install 'faceren[heif]'"
        ) from error
    return pillow_heif


def _heif(data: bytes, whole: bmff.Container) -> tuple[NDArray[Any], int, bool]:
    """Return a HEIC photo's raster as it is seen, its bits, and whether alpha is multiplied in."""
    file = _heif_library().open_heif(data, convert_hdr_to_8bit=False, hdr_to_16bit=False)
    picture = file[file.primary_index]
    raster = np.asarray(picture)
    bits = int(picture.info.get("bit_depth") or 8) if raster.dtype == np.uint16 else 8
    raster = raster if raster.ndim == 3 else raster[..., None]
    return spread(raster, bits), bits, bool(picture.premultiplied_alpha)


def _avif(data: bytes, whole: bmff.Container) -> tuple[NDArray[Any], int, bool]:
    """Return an AVIF photo's raster as it is stored, its bits, and False."""
    import imagecodecs  # here: training must run without it

    raster = np.asarray(imagecodecs.avif_decode(data))
    raster = raster if raster.ndim == 3 else raster[..., None]
    cut = whole.cut_of(whole.picture, raster.shape[1], raster.shape[0])
    if cut is not None:  # the library leaves that to us
        raster = np.ascontiguousarray(raster[cut[1] : cut[3], cut[0] : cut[2]])
    pixels = whole.property_of(whole.picture, b"pixi") or b""
    bits = 8
    if raster.dtype == np.uint16:
        bits = 12 if int(raster.max()) > 1023 or (len(pixels) > 5 and pixels[5] == 12) else 10
    return spread(raster, bits), bits, False


def spread(raster: NDArray[Any], bits: int) -> NDArray[Any]:
    """Return samples of 9 to 15 bits as samples of 16; ``gathered`` undoes it exactly."""
    if raster.dtype != np.uint16 or bits in (8, 16):
        return raster
    top = 2**bits - 1
    if int(raster.max(initial=0)) > top:
        raise ImageError(f"damaged or incomplete (a sample of more than {bits} bits)")
    table = np.rint(np.arange(top + 1) * (65535 / top)).astype(np.uint16)
    return np.asarray(table[raster])


def gathered(raster: NDArray[np.uint16], bits: int) -> NDArray[np.uint16]:
    """Return samples of 16 bits as samples of fewer."""
    return np.rint(raster * np.float32((2**bits - 1) / 65535)).astype(np.uint16)


def _jp2(data: bytes) -> Page:
    import imagecodecs  # here: training must run without it

    stream = jp2.codestream_of(data)
    header = jp2.header_of(stream)
    if not header.plain or header.bits > 16:
        raise ImageError("a JPEG 2000 picture whose components differ in size, depth or sign")
    parts = jp2.header_parts(data)
    names = [name for name, _ in parts]
    raster = np.asarray(imagecodecs.jpeg2k_decode(data))
    raster = raster if raster.ndim == 3 else raster[..., None]
    if raster.dtype == np.int8 or raster.dtype.itemsize > 2 or raster.dtype.kind != "u":
        raise ImageError(f"a JPEG 2000 picture of {raster.dtype}, expected 8 or 16 bits")
    space, icc = _jp2_colours(parts, raster.shape[2])
    expanded = b"pclr" in names or header.bits < 8
    if header.bits < 8:
        raster = np.rint(raster * (255 / (2**header.bits - 1))).astype(np.uint8)
    bits = 0 if header.bits <= 8 or header.bits == 16 else header.bits
    table = dict(parts).get(b"cdef")
    if table is None:  # most files of one channel more that do not say so mean opacity
        extras = None
    else:
        entries = [struct.unpack_from(">HHH", table, at) for at in range(2, len(table) - 5, 6)]
        kinds: dict[int, Extra] = {1: "alpha", 2: "premultiplied"}
        named_so = sorted((channel, kind) for channel, kind, _ in entries if kind != 0)
        extras = tuple(kinds.get(kind, "other") for _, kind in named_so)
    exif = jp2.uuid_content(data, jp2.EXIF_UUID)
    return Page(
        spread(raster, header.bits),
        space,
        orientation_of(exif),
        icc,
        expanded=expanded,
        extras=extras,
        bits=bits,
    )


def _jp2_colours(parts: list[tuple[bytes, bytes]], channels: int) -> tuple[Space, bytes]:
    """Return the colour space and profile that a JP2 says it has."""
    guess: Space = "gray" if channels < 3 else "rgb"
    for name, content in parts:
        if name != b"colr" or len(content) < 7:
            continue
        if content[0] == 1:
            number = int.from_bytes(content[3:7], "big")
            if number not in JP2_SPACES:
                raise ImageError(
                    f"a JPEG 2000 picture of colour space {number}, expected sRGB, gray or CMYK"
                )
            return JP2_SPACES[number], b""
        icc = content[3:]
        if channels >= 4 and fits(icc, "cmyk"):
            return "cmyk", icc
        return guess, icc
    return guess, b""
