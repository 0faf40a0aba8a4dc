"""Enlarge a photo, every page of it, in its own bit depth and colours."""

from dataclasses import replace

import cv2

from faceren.images.checks import DEFAULT_MAX_PIXELS, check_size
from faceren.images.page import Page
from faceren.images.photo import Photo


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
