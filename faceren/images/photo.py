"""A photograph as a document: its rasters, each as stored, and its file; the whole enlarged.

And the image form of networks, made from and turned into 8-bit pixels.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from faceren.arrays import Rgb, Rgb8
from faceren.errors import ImageError, ShapeError
from faceren.images.checks import DEFAULT_MAX_PIXELS, check_file, check_size, shown, unreadable
from faceren.images.decode import decode
from faceren.images.page import Box, Page
from faceren.images.tiff.read import read_tiff

if TYPE_CHECKING:  # torch takes seconds to load; who only reads and writes files does without
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Photo:
    """What a file holds, decoded; made by ``read_photo``, written by ``write_photo``."""

    path: Path
    kind: str
    """jpeg, png, tiff, webp, bmp, gif, avif, heif or jp2."""
    pages: tuple[Page, ...]
    """One, or the photos in a TIFF; masks, thumbnails and levels of a pyramid are none."""
    stamp: tuple[int, int]
    """Size in bytes and modification time (ns) of the file when it was read."""
    scale: int = 1
    """How many times as high and as wide as the file's its pages are."""

    def upright_uint8(self, page: int = 0) -> Rgb8:
        """Return a page as it is seen, in 8 bits; see ``Page.upright_uint8``."""
        return self.pages[page].upright_uint8()

    def upright_region(self, box: Box, page: int = 0) -> Rgb:
        """Return a part of a page as it is seen; see ``Page.upright_region``."""
        return self.pages[page].upright_region(box)

    def merged(
        self, changes: Iterable[tuple[Box, Rgb]], page: int = 0, *, copy: bool = True
    ) -> "Photo":
        """Return the photo with changes written into one page; see ``Page.merged``."""
        new = self.pages[page].merged(changes, copy=copy)
        return replace(self, pages=(*self.pages[:page], new, *self.pages[page + 1 :]))

    def source_bytes(self) -> bytes:
        """Return the bytes of the file that the photo was read from.

        Raises:
            ImageError: If the file is gone or was changed since.
        """
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise unreadable(self.path, error) from error
        self.check_unchanged()
        return data

    def check_unchanged(self) -> None:
        """Check that the file still is the one that was read.

        Raises:
            ImageError: If it is gone or was changed.
        """
        try:
            stamp = stamp_of(self.path)
        except OSError as error:
            raise unreadable(self.path, error) from error
        if stamp != self.stamp:
            raise ImageError(f"{shown(self.path)}: the file was changed during the run; run again")


def stamp_of(path: Path) -> tuple[int, int]:
    """Return a file's size in bytes and modification time in nanoseconds."""
    status = os.stat(path)  # noqa: PTH116 (os, as a Path method is its only alternative)
    return status.st_size, status.st_mtime_ns


def read_photo(path: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Photo:
    """Read and fully decode a photo, all its pages.

    Args:
        path: JPEG, PNG, TIFF, WebP, BMP, GIF, AVIF, JPEG 2000, or HEIC if its library is there.
        max_pixels: Refuse photos of more pixels, all pages together.

    Raises:
        ImageError: If the file is missing, no photo, damaged, truncated, animated or too large;
            the message is one line.
        MachineError: If memory or a library is missing.
    """
    kind = check_file(path)
    try:
        stamp = stamp_of(path)
    except OSError as error:
        raise unreadable(path, error) from error
    tiff = kind == "tiff"
    pages = read_tiff(path, max_pixels) if tiff else (decode(path, kind, max_pixels),)
    return Photo(path, kind, pages, stamp)


def read_rgb(path: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Rgb8:
    """Return the first page of a photo as it is seen: upright, sRGB, (H, W, 3) uint8.

    Raises:
        ImageError: As ``read_photo``.
        MachineError: As ``read_photo``.
    """
    return np.array(read_photo(path, max_pixels=max_pixels).upright_uint8(), order="C")


def enlarged(photo: Photo, scale: int, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Photo:
    """Return a photo with ``scale`` times as many pixels a side, resampled by Lanczos' filter.

    The values are resampled as they are stored, alpha too, and rounded to the raster's own levels.
    ``write_photo`` writes the resolution ``scale`` times as high, so that a print of it has the
    size of the original.

    Args:
        photo: As it was read.
        scale: 1 returns the photo itself.
        max_pixels: Refuse a result of more pixels, all pages together.

    Raises:
        ImageError: If the result would have too many pixels.
    """
    if scale == 1:
        return photo
    height, width = photo.pages[0].raster.shape[:2]
    check_size(photo.path, width * scale, height * scale, max_pixels, len(photo.pages))
    pages = tuple(_enlarged(page, scale) for page in photo.pages)
    return replace(photo, pages=pages, scale=photo.scale * scale)


def _enlarged(page: Page, scale: int) -> Page:
    height, width, channels = page.raster.shape
    size = (width * scale, height * scale)
    raster = cv2.resize(page.raster, size, interpolation=cv2.INTER_LANCZOS4)
    raster = raster.reshape(height * scale, width * scale, channels)
    return replace(page, raster=raster, touched=((0, 0, *size),))


def to_tensor(rgb: Rgb8) -> "Tensor":
    """Return pixels as a tensor (1, 3, H, W), float32 in [0, 1].

    Args:
        rgb: (H, W, 3) uint8.

    Raises:
        ShapeError: If ``rgb`` has another shape or type.
    """
    import torch

    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ShapeError(f"expected (H, W, 3) uint8, got {rgb.shape} {rgb.dtype}")
    planes = np.ascontiguousarray(rgb.transpose(2, 0, 1)[None])
    return torch.from_numpy(planes).float() / 255


def to_uint8(image: "Tensor") -> Rgb8:
    """Return one image as pixels (H, W, 3) uint8, rounded to the nearest level and clamped.

    Args:
        image: (1, 3, H, W) or (3, H, W), RGB in [0, 1].

    Raises:
        ShapeError: If ``image`` has another shape or holds NaN.
    """
    import torch

    planes = image[0] if image.ndim == 4 and image.shape[0] == 1 else image
    if planes.ndim != 3 or planes.shape[0] != 3:
        raise ShapeError(f"expected one RGB image, (1, 3, H, W), got {tuple(image.shape)}")
    planes = planes.detach().float().cpu()
    if bool(planes.isnan().any()):
        raise ShapeError("expected RGB in [0, 1], got NaN; the image cannot be written")
    levels = (planes.clamp(0, 1) * 255).round().to(torch.uint8)
    return np.ascontiguousarray(levels.permute(1, 2, 0).numpy())
