"""What a format can hold, said before any work is done."""

import numpy as np

from faceren.config import FileFormat
from faceren.errors import ImageError
from faceren.images.checks import shown
from faceren.images.photo import Photo

KINDS = {"png": "png", "jpg": "jpeg", "webp": "webp", "tiff": "tiff"}
LONGEST_SIDE = {"webp": 16_383, "jpeg": 65_500, "avif": 65_535, "heif": 16_384, "png": 2**31 - 1}
"""Pixels a side that a format, or its only encoder, can have."""


def kind_of_target(kind: str, format: FileFormat) -> str:  # noqa: A002 (the option's name)
    """Return the kind of file that a photo of a kind is written as."""
    return kind if format == "keep" else KINDS[format]


def check_target(photo: Photo, format: FileFormat, scale: int = 1) -> None:  # noqa: A002
    """Refuse a photo that a format cannot hold.

    Args:
        photo: As it was read.
        format: ``keep`` the photo's, or another.
        scale: How many times as large as ``photo`` the output will be.

    Raises:
        ImageError: GIF (256 colours), transparency in JPEG, several pages in other than TIFF, or a
            side that is too long.
    """
    kind = kind_of_target(photo.kind, format)
    name = shown(photo.path)
    if kind == "gif":
        raise ImageError(
            f"{name}: a GIF holds 256 colours, too few for a restored photo; use --format png"
        )
    if kind != "tiff" and len(photo.pages) > 1:
        raise ImageError(f"{name}: only TIFF holds {len(photo.pages)} pages; use --format keep")
    page = photo.pages[0]
    side = max(page.raster.shape[:2]) * scale
    if side > LONGEST_SIDE.get(kind, side):
        raise ImageError(
            f"{name}: a side of {side:,} pixels, more than the {LONGEST_SIDE[kind]} that "
            f"{kind.upper()} holds; use --format tiff or png, or a smaller --scale"
        )
    alpha = page.alpha_channel
    if kind == "jpeg" and alpha is not None:
        opacity = page.raster[..., alpha]
        if (opacity != np.iinfo(opacity.dtype).max).any():
            raise ImageError(
                f"{name}: a JPEG cannot hold this photo's transparency; use --format png or webp"
            )
