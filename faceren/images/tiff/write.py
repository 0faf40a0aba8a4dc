"""Write changed pages into a copy of a TIFF.

Only the strips and tiles that a change touches are encoded anew, with the file's own compression;
all others, and all tags but the XMP and what says where strips lie, keep their bytes. A page whose
pixels cannot be changed so (a palette, JPEG or fax compression) is stored anew with Deflate.
"""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from faceren.errors import ImageError
from faceren.images.colour import CHANNELS
from faceren.images.orientation import Box
from faceren.images.page import Page
from faceren.images.tiff.directory import (
    Directory,
    Layout,
    append_data,
    directories,
    layout_of,
    set_bytes,
    set_numbers,
    write_directory,
)

WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
FILL_ORDER, STRIP_OFFSETS, SAMPLES, ROWS, STRIP_COUNTS, PLANAR = 266, 273, 277, 278, 279, 284
PREDICTOR, COLORMAP, TILE_WIDTH, TILE_OFFSETS, TILE_COUNTS = 317, 320, 322, 324, 325
EXTRA_SAMPLES, SAMPLE_FORMAT, XMP = 338, 339, 700
OBSOLETE = (
    *(292, 293),  # fax options T4, T6
    FILL_ORDER,
    COLORMAP,
    *range(TILE_WIDTH, TILE_COUNTS + 1),
    347,  # JPEG tables
    *range(512, 522),  # old-style JPEG
    *range(529, 533),  # YCbCr
    *(280, 281),  # smallest and largest sample
)
"""Tags that say how a page was encoded, to be left out when it is stored anew."""
DEFLATE = 8
STRIP_BYTES = 1 << 18
HORIZONTAL = 2


def _codecs() -> Any:
    import imagecodecs  # here: training must run without it

    return imagecodecs


ENCODERS: dict[int, Callable[[bytes], bytes]] = {
    1: bytes,
    5: lambda data: bytes(_codecs().lzw_encode(data)),
    DEFLATE: lambda data: zlib.compress(data, 6),
    32946: lambda data: zlib.compress(data, 6),
    50000: lambda data: bytes(_codecs().zstd_encode(data)),
}
"""Compressions that are lossless and can be written strip by strip."""


@dataclass(frozen=True)
class Segment:
    """A strip or tile: where its pixels are in the raster, and its padded size."""

    index: int
    box: Box
    planes: slice
    size: tuple[int, int]
    """Rows and columns that it stores."""


def write_pages(file: BinaryIO, pages: tuple[Page, ...], xmp: Callable[[bytes], bytes]) -> None:
    """Write every changed page into a TIFF.

    Args:
        file: The copy of the original, open for reading and writing.
        pages: All its pages.
        xmp: Makes the new XMP packet from the old one; applied to the first page and to each
            changed one.

    Raises:
        ImageError: If the file would outgrow its format.
    """
    import tifffile  # here: training must run without it

    layout = layout_of(file)
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        frames, offsets = list(tiff.pages), [page.offset for page in tiff.pages]
        chain = directories(file, layout)
        if offsets != [layout.read(file, d.pointer, layout.offset)[0] for d in chain]:
            raise ImageError("damaged TIFF: its pages cannot be told apart")
        for index, (frame, page) in enumerate(zip(frames, pages, strict=True)):
            if index and not page.touched:
                continue
            directory = directories(file, layout)[index]
            _write_page(file, layout, directory, frame, page)
            old = frame.tags.get(XMP)
            packet = b"" if old is None else _as_bytes(old.value)
            if new := xmp(packet):
                set_bytes(file, layout, directory, XMP, new)
            write_directory(file, layout, directory)


def _as_bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def _write_page(
    file: BinaryIO, layout: Layout, directory: Directory, frame: Any, page: Page
) -> None:
    if not page.touched:
        return
    if not _editable(frame, page):
        store_anew(file, layout, directory, page)
        return
    offsets, counts = list(frame.dataoffsets), list(frame.databytecounts)
    predictor = int(frame.predictor)
    for segment in segments(frame):
        if not any(_overlap(segment.box, box) for box in page.touched):
            continue
        pixels = _padded(page.raster, segment)
        data = encoded(pixels, int(frame.compression), predictor, layout)
        if len(data) <= counts[segment.index] and offsets[segment.index]:
            file.seek(offsets[segment.index])
            file.write(data)
        else:
            offsets[segment.index] = append_data(file, data)
        counts[segment.index] = len(data)
    tags = (TILE_OFFSETS, TILE_COUNTS) if frame.is_tiled else (STRIP_OFFSETS, STRIP_COUNTS)
    set_numbers(file, layout, directory, tags[0], offsets)
    set_numbers(file, layout, directory, tags[1], counts)


def _editable(frame: Any, page: Page) -> bool:
    return (
        not page.expanded
        and int(frame.compression) in ENCODERS
        and int(frame.predictor) in (1, HORIZONTAL)
        and int(frame.photometric) != 6
        and int(frame.fillorder) == 1
        and frame.bitspersample == page.raster.dtype.itemsize * 8
        and page.raster.shape[:2] == (frame.imagelength, frame.imagewidth)
    )


def segments(frame: Any) -> Iterator[Segment]:
    """Yield the strips or tiles of a page in the order in which the file counts them."""
    height, width, samples = frame.imagelength, frame.imagewidth, frame.samplesperpixel
    rows = frame.tilelength if frame.is_tiled else min(frame.rowsperstrip, height)
    columns = frame.tilewidth if frame.is_tiled else width
    separate = int(frame.planarconfig) == 2 and samples > 1
    planes = [slice(p, p + 1) for p in range(samples)] if separate else [slice(None)]
    places = product(planes, range(0, height, rows), range(0, width, columns))
    for index, (plane, y, x) in enumerate(places):
        box = (x, y, min(x + columns, width), min(y + rows, height))
        stored = (rows if frame.is_tiled else box[3] - y, columns)
        yield Segment(index, box, plane, stored)


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _padded(raster: NDArray[Any], segment: Segment) -> NDArray[Any]:
    x0, y0, x1, y1 = segment.box
    pixels = raster[y0:y1, x0:x1, segment.planes]
    rows, columns = segment.size
    return np.pad(pixels, ((0, rows - (y1 - y0)), (0, columns - (x1 - x0)), (0, 0)), mode="edge")


def encoded(pixels: NDArray[Any], compression: int, predictor: int, layout: Layout) -> bytes:
    """Return the bytes of one strip or tile.

    Args:
        pixels: (h, w, n) uint8 or uint16.
        compression: TIFF's number, one of ``ENCODERS``.
        predictor: 1, or 2 to store differences of neighbours.
        layout: The file's, for the byte order of 16 bits.
    """
    if predictor == HORIZONTAL:
        left = pixels[:, :-1]
        pixels = np.concatenate([pixels[:, :1], pixels[:, 1:] - left], axis=1)  # wraps around
    ordered = pixels.astype(pixels.dtype.newbyteorder(layout.order))  # type: ignore[arg-type]
    return ENCODERS[compression](ordered.tobytes())


def store_anew(file: BinaryIO, layout: Layout, directory: Directory, page: Page) -> None:
    """Append all pixels of a page as Deflate strips and change its tags to say so.

    Args:
        file: Open for reading and writing.
        layout: The file's.
        directory: The page's, changed in memory.
        page: What to store; may have another size, depth or number of channels than before.
    """
    height, width, samples = page.raster.shape
    rows = max(1, STRIP_BYTES // max(1, width * samples * page.raster.itemsize))
    edges = [*range(0, height, rows), height]
    offsets, counts = [], []
    for top, bottom in pairwise(edges):
        strip = encoded(page.raster[top:bottom], DEFLATE, HORIZONTAL, layout)
        offsets.append(append_data(file, strip))
        counts.append(len(strip))
    for tag in OBSOLETE:
        directory.entries.pop(tag, None)
    photometric = {"gray": 0 if page.inverted else 1, "rgb": 2, "cmyk": 5}[page.space]
    numbers = {
        WIDTH: [width],
        LENGTH: [height],
        BITS: [page.raster.itemsize * 8] * samples,
        COMPRESSION: [DEFLATE],
        PHOTOMETRIC: [photometric],
        STRIP_OFFSETS: offsets,
        SAMPLES: [samples],
        ROWS: [rows],
        STRIP_COUNTS: counts,
        PLANAR: [1],
        PREDICTOR: [HORIZONTAL],
        SAMPLE_FORMAT: [1] * samples,
    }
    extra = samples - CHANNELS[page.space]
    if extra and directory.entries.get(EXTRA_SAMPLES) is None:
        numbers[EXTRA_SAMPLES] = [2] * extra  # alpha, not premultiplied
    for tag, values in numbers.items():
        set_numbers(file, layout, directory, tag, values)
