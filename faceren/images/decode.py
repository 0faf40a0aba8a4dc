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
from faceren.images.containers.jpeg import endless_jpeg
from faceren.images.orientation import orientation_of, stored_raster
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
BAND = 1024
"""Rows that are converted at a time."""
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


def heif_info(path: Path) -> dict[str, Any]:
    """Return what a HEIC file says beside its pixels; its EXIF and XMP as they are in the file."""
    from pillow_heif import open_heif

    return dict(open_heif(path).info)


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
        jpeg = kind == "jpeg"
        with opened(BytesIO(endless_jpeg(path.read_bytes())) if jpeg else path, kind) as image:
            check_size(path, *image.size, max_pixels)
            _check_still(path, image)
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


def _page(path: Path, kind: str, image: ImageFile.ImageFile) -> Page:
    if kind == "heif":  # the library has turned the raster, and its EXIF says so
        orientation = image.info.get("original_orientation") or 1
    else:
        orientation = orientation_of(image.info.get("exif") or b"")
    icc = image.info.get("icc_profile") or b""
    depth = png_depth(path) if kind == "png" else 8
    if depth == 16:
        import imagecodecs  # here: training must run without it

        raster = np.asarray(imagecodecs.png_decode(path.read_bytes()))
        raster = raster if raster.ndim == 3 else raster[..., None]
        return Page(raster, "gray" if raster.shape[2] < 3 else "rgb", orientation, icc)
    image.load()
    mode = _plain_mode(path, image)
    raster = _pixels(image, mode)
    if kind == "heif":
        raster = np.ascontiguousarray(stored_raster(raster, orientation))
    if image.mode in ("P", "PA") and icc[16:20] != b"RGB ":  # such a profile needs three channels
        raster = _gray_if_gray(raster)
    space: Space = "gray" if raster.shape[2] < 3 else SPACES[mode]
    return Page(raster, space, orientation, icc, expanded=mode != image.mode or depth < 8)


def png_depth(path: Path) -> int:
    """Return the bits per sample of a PNG."""
    with path.open("rb") as file:
        return file.read(25)[24]


def _plain_mode(path: Path, image: Image.Image) -> str:
    """Return the mode of ``SPACES`` in which palettes, bits and colour keys are expanded."""
    clear = "transparency" in image.info or image.mode in ("PA", "LA", "La", "RGBA", "RGBa")
    if image.mode in ("1", "L", "LA", "La"):
        return "LA" if clear else "L"
    if image.mode in ("P", "PA", "RGB", "RGBA", "RGBa"):
        return "RGBA" if clear else "RGB"
    if image.mode == "CMYK":
        return image.mode
    raise ImageError(f"{shown(path)}: expected gray, RGB, CMYK or a palette, got {image.mode}")


def _pixels(image: Image.Image, mode: str) -> NDArray[np.uint8]:
    """Return the image's pixels, (H, W, n), converted band by band to save memory."""
    raster = np.empty(
        (image.height, image.width, len(Image.new(mode, (1, 1)).getbands())), np.uint8
    )
    for top in range(0, image.height, BAND):
        bottom = min(top + BAND, image.height)
        band = image.crop((0, top, image.width, bottom)).convert(mode)
        raster[top:bottom] = np.asarray(band).reshape(bottom - top, image.width, -1)
    return raster


def _gray_if_gray(raster: NDArray[np.uint8]) -> NDArray[np.uint8]:
    first = raster[..., :1]
    return raster if (raster[..., :3] != first).any() else np.delete(raster, (1, 2), axis=2)
