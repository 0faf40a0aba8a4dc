"""What a file must be before it is decoded: there, a known format, not too large."""

import errno
import os
import stat
from pathlib import Path

from faceren.errors import ImageError

DEFAULT_MAX_PIXELS = 2**28
"""Pixels of a photo that are decoded without asking: 768 MiB as 24-bit colour."""

MAGIC = {
    b"\xff\xd8\xff": "jpeg",
    b"\x89PNG\r\n\x1a\n": "png",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"II+\0": "tiff",
    b"MM\0+": "tiff",
    b"BM": "bmp",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
}
BRANDS = {b"avif": "avif", b"avis": "avif"} | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "heif"
)
EXPECTED = "expected a JPEG, PNG, TIFF, WebP, BMP, GIF, AVIF or HEIC photo"


def shown(path: Path | str) -> str:
    """Return a path for a message: one line, whatever characters its name has."""
    return "".join(
        c if c.isprintable() or c == "\u200d" else c.encode("unicode_escape").decode()
        for c in str(path)
    )


def kind_of(head: bytes) -> str | None:
    """Return the format that the first 12 bytes of a file announce, None if none we know."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        return BRANDS.get(head[8:12])
    return next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), None)


def check_file(path: Path) -> str:
    """Return the format of a photo: jpeg, png, tiff, webp, bmp, gif, avif or heif.

    Raises:
        ImageError: If the file is missing, unreadable, empty, or of no format we know.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            os.scandir(path).close()  # says why, when a folder cannot be listed
            raise ImageError(f"{shown(path)}: {EXPECTED}, this is a folder")
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{shown(path)}: {EXPECTED}, this is no regular file")
        if status.st_size == 0:
            raise ImageError(f"{shown(path)}: the file is empty (0 bytes); copy it again")
        with path.open("rb") as file:
            head = file.read(12)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    kind = kind_of(head)
    if kind is None:
        raise ImageError(f"{shown(path)}: {EXPECTED}, the content is none of them")
    return kind


def unreadable(path: Path, error: Exception) -> ImageError:
    """Return the error that says why a file could not be opened or decoded."""
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ENOENT:
        reason = "no such file (moved or deleted meanwhile, or a broken link)"
    elif number is not None:
        reason = os.strerror(number)  # Pillow's own errors have no number
    else:
        reason = f"damaged or incomplete ({' '.join(str(error).split())})"
    return ImageError(f"{shown(path)}: cannot be read: {reason}")


def check_size(path: Path, width: int, height: int, max_pixels: int, pages: int = 1) -> None:
    """Refuse a photo of no pixels or more than ``max_pixels``, all pages together.

    Raises:
        ImageError: With both numbers.
    """
    if width <= 0 or height <= 0:
        raise ImageError(f"{shown(path)}: the header says {width}×{height} pixels; damaged")
    total = width * height * pages
    if total > max_pixels:
        size = f"{width:,}×{height:,}" + (f" × {pages:,} pages" if pages > 1 else "")
        raise ImageError(
            f"{shown(path)}: {size} = {total:,} pixels, more than the limit of {max_pixels:,}; "
            f"raise it with --max-pixels {total} if the file is trusted"
        )
