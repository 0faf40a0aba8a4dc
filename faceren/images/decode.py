"""Decode the formats of one raster: JPEG, PNG, WebP, BMP, GIF, AVIF, HEIC."""

import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from faceren.errors import ImageError, MachineError
from faceren.images.checks import check_size, shown, unreadable
from faceren.images.colour import Space
from faceren.images.orientation import orientation_of
from faceren.images.page import Page

Source = Path | BytesIO
Opener = Callable[[Source], ImageFile.ImageFile]

# opened by class, not by Image.open: only these decoders ever run, and the limit on pixels is ours
OPENERS: dict[str, Opener] = {
    "jpeg": JpegImageFile,
    "png": PngImageFile,
    "webp": WebPImageFile,
    "bmp": BmpImageFile,
    "gif": GifImageFile,
    "avif": AvifImageFile,
}
DAMAGE = (
    *(OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, ArithmeticError),
    *(RuntimeError, struct.error, zlib.error),
)
"""What decoders raise on damaged files (SyntaxError: no such file of theirs)."""
SPACES: dict[str, Space] = {"L": "gray", "LA": "gray", "RGB": "rgb", "RGBA": "rgb", "CMYK": "cmyk"}


_one_at_a_time = threading.Lock()  # the filters of warnings belong to the whole process


@contextmanager
def warnings_off() -> Iterator[None]:
    """Silence the warnings of Pillow while it reads headers."""
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def opened(source: Source, kind: str) -> ImageFile.ImageFile:
    """Read the header of a picture; a context manager that closes it.

    Pillow warns of damaged EXIF and of many pixels; we keep EXIF as it is and have our own limit.

    Args:
        source: A file, or its bytes.
        kind: Its format, not TIFF.

    Raises:
        MachineError: If it is HEIC and the optional library is missing.
    """
    opener = OPENERS.get(kind, _open_heif)
    with warnings_off():
        return opener(source)


def _open_heif(source: Source) -> ImageFile.ImageFile:
    try:
        from pillow_heif.as_plugin import HeifImageFile
    except ImportError as error:
        raise MachineError(
            "HEIC photos need one more package: pip install 'faceren[heif]'"
        ) from error
    image: ImageFile.ImageFile = HeifImageFile(source)
    return image


def decode(path: Path, kind: str, max_pixels: int) -> Page:
    """Decode the only raster of a file, every pixel of it.

    Args:
        path: An existing file.
        kind: Its format, one of ``OPENERS`` or heif.
        max_pixels: Largest number of pixels to accept.

    Raises:
        ImageError: If the file is damaged, truncated, animated, too large, or of another depth.
        MachineError: If memory or a library is missing.
    """
    try:
        with opened(path, kind) as image:
            check_size(path, *image.size, max_pixels)
            _check_still(path, image)
            image.load()
            return _page(path, kind, image)
    except Image.DecompressionBombError as error:  # of WebP, raised before we see its size
        raise ImageError(f"{shown(path)}: {error}") from error
    except MemoryError as error:
        raise MachineError(f"{shown(path)}: not enough memory to decode it") from error
    except DAMAGE as error:
        raise unreadable(path, error) from error


def _check_still(path: Path, image: ImageFile.ImageFile) -> None:
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise ImageError(
            f"{shown(path)}: expected one still picture, got an animation of {frames} frames; "
            f"save the frame to restore as a file of its own"
        )


def _page(path: Path, kind: str, image: Image.Image) -> Page:
    orientation = orientation_of(image.info.get("exif") or b"")
    if kind == "heif":
        orientation = 1  # the library has turned the raster already
    icc = image.info.get("icc_profile") or b""
    if kind == "png" and _png_depth(path) == 16:
        raster = np.asarray(imagecodecs.png_decode(path.read_bytes()))
        raster = raster if raster.ndim == 3 else raster[..., None]
        space: Space = "gray" if raster.shape[2] < 3 else "rgb"
        return Page(raster, space, orientation, icc)
    plain = _plain(path, image)
    raster = np.asarray(plain)
    raster = raster if raster.ndim == 3 else raster[..., None]
    expanded = plain.mode != image.mode or (kind == "png" and _png_depth(path) < 8)
    return Page(raster, SPACES[plain.mode], orientation, icc, expanded=expanded)


def _png_depth(path: Path) -> int:
    with path.open("rb") as file:
        return file.read(25)[24]


def _plain(path: Path, image: Image.Image) -> Image.Image:
    """Return the image in a mode of ``SPACES``: palettes, bits and colour keys are expanded."""
    clear = "transparency" in image.info or image.mode in ("PA", "La", "RGBa")
    if image.mode in ("P", "PA"):
        rgb = image.convert("RGBA" if clear else "RGB")
        coloured = image.info.get("icc_profile", b"")[16:20] == b"RGB "  # needs three channels
        return (None if coloured else _as_gray(rgb)) or rgb
    if image.mode in ("1", "L", "LA", "La"):
        return image.convert("LA" if clear or image.mode == "LA" else "L")
    if image.mode in ("RGB", "RGBA", "RGBa"):
        return image.convert("RGBA" if clear or image.mode == "RGBA" else "RGB")
    if image.mode == "CMYK":
        return image
    raise ImageError(f"{shown(path)}: expected gray, RGB, CMYK or a palette, got {image.mode}")


def _as_gray(rgb: Image.Image) -> Image.Image | None:
    values: NDArray[Any] = np.asarray(rgb)
    if (values[..., 0] != values[..., 1]).any() or (values[..., 0] != values[..., 2]).any():
        return None
    bands = rgb.split()
    return Image.merge("LA", (bands[0], bands[3])) if len(bands) == 4 else bands[0]
