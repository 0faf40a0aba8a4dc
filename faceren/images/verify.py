"""Read back what was written, before it replaces anything, and doubt what was read."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceren.arrays import LUMA, Rgb
from faceren.errors import ImageError, MachineError, UncertainError
from faceren.images.checks import DAMAGE, check_file
from faceren.images.containers import bmff, jp2, jpeg, png, webp
from faceren.images.decode import decoded
from faceren.images.headers import header_of
from faceren.images.page import Box, Page
from faceren.images.photo import Photo
from faceren.images.tiff.read import CIE_LAB, checked_chain, frames_of, is_photo, signs_turned
from faceren.images.tiff.write import ENCODERS, PACKBITS, segments

ROWS = 64
"""Rows that are compared of a picture."""
SEGMENTS = 16
"""Strips or tiles that are compared of a TIFF's page."""
CELL = 32
"""Pixels of a row whose mean is compared where a format loses a little."""
LARGE = 1 << 28
"""Bytes of a raster above which a second one would take too much memory: no pixels, then."""
LIKELY = 32 / 255
"""Difference of such means, in one channel, that a coarse coding of few pixels does not explain."""
MOST_OTHER = 0.4
"""Share of rows that may look different: of noise some do."""
LOST_END = bytes(512)
"""What a disk or a network leaves of what it lost: coders of pictures end in no such run of zeros,
and what flat pictures end in is shorter."""
SEEMS_DAMAGED = "the file seems damaged"
UNENDED = "the mark of the picture's end is missing; the picture is whole"


def check_written(path: Path, kind: str, pages: tuple[Page, ...]) -> None:
    """Read a file that was just written, and compare a sample of its rows with what it has to hold.

    Args:
        path: The file.
        kind: Its format.
        pages: What was to be written.

    Raises:
        UncertainError: If it cannot be read, or shows anything else.
        MachineError: If there is not enough memory.
    """
    try:
        known = check_file(path)
        if known != kind:
            raise ImageError(f"it is a {known}")
        if kind == "tiff":
            _check_tiff(path, pages)
            return
        data = path.read_bytes()
        header, size = header_of(kind, data), pages[0].raster.shape[1::-1]
        if (header.width, header.height) != size:
            raise ImageError(f"it has {header.width}×{header.height} pixels")
        if pages[0].raster.nbytes <= LARGE:
            _compare(decoded(kind, data), pages[0], exact=kind == "png")
    except (ImageError, *DAMAGE) as error:
        reason = " ".join(str(error).split())
        raise UncertainError(
            f"what was written cannot be read back ({reason}); nothing was replaced, please report"
        ) from error
    except MemoryError as error:
        raise MachineError("not enough memory to read back what was written") from error


def _compare(written: Page, expected: Page, *, exact: bool) -> None:
    """Compare a sample of rows: stored values where nothing is lost, else what they look like."""
    if written.orientation != expected.orientation:
        raise ImageError("it is turned")
    rows = _sample(len(expected.raster), ROWS)
    alike = written.raster.shape == expected.raster.shape and not expected.inverted
    alike = alike and written.raster.dtype == expected.raster.dtype
    if exact and alike and not expected.is_premultiplied and expected.space != "lab":
        if not np.array_equal(written.raster[rows], expected.raster[rows]):
            raise ImageError("it has other values")
        return
    box = (0, 0, expected.raster.shape[1], len(rows))
    difference = _seen(written, rows, box) - _seen(expected, rows, box)
    other = int(_are_other((difference @ LUMA)[..., None]).sum())
    if other > MOST_OTHER * len(rows):
        raise ImageError(f"{other} of {len(rows)} rows look different")
    # colours are stored at half the size often: those of one row of noise are its neighbours' too
    if _is_other(difference.mean(axis=0)):
        raise ImageError("the colours look different")


def _seen(page: Page, rows: list[int], box: Box) -> Rgb:
    return replace(page, raster=page.raster[rows], orientation=1).upright_region(box)


def _sample(count: int, most: int) -> list[int]:
    return sorted({int(n) for n in np.linspace(0, count - 1, min(most, count))})


def _are_other(difference: NDArray[Any]) -> NDArray[np.bool_]:
    """Say of which rows, (h, W, n), most cells have another mean, (h,)."""
    starts = np.arange(0, difference.shape[1], CELL)
    means = np.add.reduceat(difference, starts, axis=1)
    counts = np.diff([*starts, difference.shape[1]])[:, None]
    return np.asarray(np.median(np.abs(means / counts).max(axis=2), axis=1) > LIKELY)


def _is_other(difference: NDArray[Any]) -> bool:
    """Say whether most cells of a row, (W, n), have another mean."""
    return bool(_are_other(difference[None])[0])


def _check_tiff(path: Path, pages: tuple[Page, ...]) -> None:
    import tifffile  # here: training must run without it

    layout, chain = checked_chain(path)
    with tifffile.TiffFile(path) as file:
        frames = frames_of(file, chain)
        photos = [f for f, d in zip(frames, chain, strict=True) if is_photo(path, layout, d)]
        photos = photos or frames[:1]
        if len(photos) != len(pages):
            raise ImageError(f"it has {len(photos)} pages, expected {len(pages)}")
        for frame, page in zip(photos, pages, strict=True):
            if (frame.imagelength, frame.imagewidth) != page.raster.shape[:2]:
                raise ImageError(f"it has {frame.imagewidth}×{frame.imagelength} pixels")
            if page.touched:
                _check_segments(file, frame, page)


def _check_segments(file: Any, frame: Any, page: Page) -> None:
    """Compare a sample of the strips or tiles of a page that was changed."""
    every = list(segments(frame))
    if len(every) != len(frame.dataoffsets) or page.expanded:
        return
    exact = int(frame.compression) in (*ENCODERS, PACKBITS)
    raster = signs_turned(page.raster) if int(frame.photometric) == CIE_LAB else page.raster
    for index in _sample(len(every), SEGMENTS):
        segment = every[index]
        if not frame.dataoffsets[index]:
            continue  # never written: readers take it for black
        x0, y0, x1, y1 = segment.box
        file.filehandle.seek(frame.dataoffsets[index])
        data = file.filehandle.read(frame.databytecounts[index])
        got = frame.decode(data, index, jpegtables=frame.jpegtables)[0]
        expected = raster[y0:y1, x0:x1, segment.planes]
        part = got[0, : y1 - y0, : x1 - x0].view(expected.dtype)
        top = float(np.iinfo(expected.dtype).max)
        difference = (part.astype(np.float32) - expected) / top
        other = _is_other(difference.mean(axis=0))
        if (exact and difference.any()) or other:
            raise ImageError(f"strip or tile {index} has other values")


def doubts_about(photo: Photo) -> tuple[str, ...]:
    """Say what makes doubt that a photo's file is as it once was; nothing of most files.

    Args:
        photo: As it was read; its file must still be the same.

    Raises:
        ImageError: If the file is gone or was changed since.
    """
    if photo.kind in ("webp", "jp2", "heif", "avif"):
        pieces = _coded(photo.kind, photo.source_bytes())
        lost = any(piece.endswith(LOST_END) for piece in pieces)
        return (f"{SEEMS_DAMAGED}: the end of its picture is all zeros",) if lost else ()
    if photo.kind not in ("jpeg", "png"):
        return ()
    data = photo.source_bytes()
    said = [] if (jpeg if photo.kind == "jpeg" else png).is_ended(data) else [UNENDED]
    if photo.kind == "png" and (names := png.unsound_chunks(data)):
        listed = ", ".join(dict.fromkeys(name.decode() for name in names))
        said.append(f"damaged, and kept as it is: {listed} (its check sum is wrong)")
    if photo.kind == "jpeg" and jpeg.seems_damaged(data):
        said.append(f"{SEEMS_DAMAGED}: pieces of its picture are missing or misplaced")
    return tuple(said)


def _coded(kind: str, data: bytes) -> Iterable[bytes]:
    """Return each piece of coded picture in a WebP, JPEG 2000, HEIC or AVIF file."""
    if kind == "webp":
        return [content for _, content in webp.pictures_of(data)]
    if kind == "jp2":
        return [jp2.codestream_of(data)]
    items = bmff.parse(data).items.values()
    return [item.content for item in items if item.kind in bmff.CODED]
