"""Write changed pages into a copy of a TIFF.

Only the strips and tiles that a change touches are encoded anew, with the file's own compression;
all others, and all tags but the XMP and what says where strips lie, keep their bytes. A page whose
pixels cannot be changed so (a palette, fax compression) is stored anew with Deflate, in tiles if it
had tiles.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from faceren.errors import ImageError
from faceren.images.colour import CHANNELS
from faceren.images.containers.jpeg import joined_jpeg
from faceren.images.encode import encode_jpeg
from faceren.images.page import Box, Page
from faceren.images.tiff.directory import (
    Directory,
    Layout,
    append_data,
    set_numbers,
)
from faceren.images.tiff.read import CIE_LAB, signs_turned

WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
FILL_ORDER, STRIP_OFFSETS, SAMPLES, ROWS, STRIP_COUNTS, PLANAR = 266, 273, 277, 278, 279, 284
PREDICTOR, COLORMAP, TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_COUNTS = 317, 320, *range(322, 326)
EXTRA_SAMPLES, SAMPLE_FORMAT = 338, 339
OBSOLETE = (
    *(292, 293),  # fax options T4, T6
    FILL_ORDER,
    COLORMAP,
    *range(TILE_WIDTH, TILE_COUNTS + 1),
    *(STRIP_OFFSETS, ROWS, STRIP_COUNTS),
    347,  # JPEG tables
    *range(512, 522),  # old-style JPEG
    *range(529, 533),  # YCbCr
    *(280, 281),  # smallest and largest sample
)
"""Tags that say how a page was encoded, to be left out when it is stored anew."""
DEFLATE, JPEG = 8, 7
YCBCR = 6
STRIP_BYTES = 1 << 18
HORIZONTAL = 2
JPEG_QUALITY = 95
"""Of tiles whose own tables are too coarse for a face; see ``encode_jpeg``."""


def _codecs() -> Any:
    import imagecodecs  # here: training must run without it

    return imagecodecs


ENCODERS: dict[int, Callable[[bytes], bytes]] = {
    1: bytes,
    5: lambda data: bytes(_codecs().lzw_encode(data)),
    DEFLATE: lambda data: zlib.compress(data, 6),
    32946: lambda data: zlib.compress(data, 6),
    34925: lambda data: bytes(_codecs().lzma_encode(data)),
    50000: lambda data: bytes(_codecs().zstd_encode(data)),
}
"""Compressions that are lossless and can be written strip by strip."""
PACKBITS = 32773
"""Lossless too, but encoded row by row."""


@dataclass(frozen=True)
class Segment:
    """A strip or tile: where its pixels are in the raster, and its padded size."""

    index: int
    box: Box
    planes: slice
    size: tuple[int, int]
    """Rows and columns that it stores."""


def write_page(
    file: BinaryIO,
    layout: Layout,
    directory: Directory,
    frame: Any,
    page: Page,
    *,
    in_place: bool = True,
) -> None:
    """Write what was touched of a page's pixels, and change its tags in memory.

    Args:
        file: The copy of the original, open for reading and writing.
        layout: The file's.
        directory: The page's.
        frame: tifffile's page, as it was.
        page: The new pixels.
        in_place: Whether the old strips' bytes are nobody else's, see ``are_shared``.
    """
    if not page.touched:
        return
    if not _editable(frame, page):
        store_anew(file, layout, directory, page, frame)
        return
    offsets, counts = list(frame.dataoffsets), list(frame.databytecounts)
    coder = _Coder(layout, frame)
    raster = signs_turned(page.raster) if int(frame.photometric) == CIE_LAB else page.raster
    for segment in segments(frame):
        if not any(_overlap(segment.box, box) for box in page.touched):
            continue
        old_place, old_size = offsets[segment.index], counts[segment.index]
        file.seek(old_place)
        x0, y0, x1, y1 = segment.box
        pixels = raster[y0:y1, x0:x1, segment.planes]
        rows, columns = segment.size
        around = ((0, rows - (y1 - y0)), (0, columns - (x1 - x0)), (0, 0))
        whole = np.pad(pixels, around, mode="edge")
        data = coder.encoded(whole, page.space, file.read(old_size))
        if in_place and len(data) <= old_size and old_place:
            file.seek(old_place)
            file.write(data)
        else:
            offsets[segment.index] = append_data(file, data)
        counts[segment.index] = len(data)
    tags = (TILE_OFFSETS, TILE_COUNTS) if frame.is_tiled else (STRIP_OFFSETS, STRIP_COUNTS)
    set_numbers(file, layout, directory, tags[0], offsets)
    set_numbers(file, layout, directory, tags[1], counts)


def _editable(frame: Any, page: Page) -> bool:
    compression = int(frame.compression)
    jpeg = compression == JPEG and frame.bitspersample == 8
    exact = compression in (*ENCODERS, PACKBITS) and int(frame.photometric) != YCBCR
    places = [place for place in frame.dataoffsets if place]  # equal strips may share their bytes
    return (
        (jpeg or exact)
        and not page.expanded
        and int(frame.predictor) in (1, HORIZONTAL)
        and int(frame.fillorder) == 1
        and frame.bitspersample == page.raster.dtype.itemsize * 8
        and page.raster.shape[:2] == (frame.imagelength, frame.imagewidth)
        and len(set(places)) == len(places)
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


def are_shared(layout: Layout, frames: Iterable[Any], chain: Iterable[Directory]) -> bool:
    """Say whether a strip or tile lies where something else lies, too: nothing may be put there.

    Args:
        layout: The file's.
        frames: tifffile's pages, all of them.
        chain: Their directories.
    """
    width = layout.width
    spans = [(0, layout.first_pointer + width, False)]
    for directory in chain:
        spans.append((directory.offset, directory.next_pointer + width, False))
        for entry in directory.entries:
            if entry.size > width:
                place = int.from_bytes(entry.field, layout.endian)
                spans.append((place, place + entry.size, False))
    for frame in frames:
        places = zip(frame.dataoffsets, frame.databytecounts, strict=True)
        spans += [(place, place + size, True) for place, size in places if place and size]
    end_of_all = end_of_pixels = 0
    for start, end, is_pixels in sorted(spans):
        if start < (end_of_all if is_pixels else end_of_pixels):
            return True
        end_of_all = max(end_of_all, end)
        end_of_pixels = max(end_of_pixels, end if is_pixels else 0)
    return False


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


class _Coder:
    """Encodes the strips or tiles of a page as the page's own are encoded."""

    def __init__(self, layout: Layout, frame: Any) -> None:
        self._layout = layout
        self._compression = int(frame.compression)
        self._predictor = int(frame.predictor)
        self._tables = frame.jpegtables or b""
        self._photometric = int(frame.photometric)

    def encoded(self, pixels: NDArray[Any], space: str, old: bytes) -> bytes:
        """Return the bytes of one strip or tile.

        Args:
            pixels: (h, w, n).
            space: What they are.
            old: The bytes that stood there.
        """
        if self._compression != JPEG:
            return encoded(pixels, self._compression, self._predictor, self._layout)
        whole = self._tables[:-2] + old[2:] if self._tables else old
        channels = pixels.shape[2]
        if channels not in (1, 3, 4):
            raise ImageError("a TIFF of JPEG tiles with extra channels; use --format png")
        page = Page(pixels, "gray" if channels == 1 else "rgb" if channels == 3 else "cmyk")
        rgb = self._photometric != YCBCR
        coded = encode_jpeg(page, quality=JPEG_QUALITY, source=whole, plain_rgb=rgb)
        return joined_jpeg(coded, (), ())


def encoded(pixels: NDArray[Any], compression: int, predictor: int, layout: Layout) -> bytes:
    """Return the bytes of one strip or tile.

    Args:
        pixels: (h, w, n) uint8 or uint16.
        compression: TIFF's number, one of ``ENCODERS`` or ``PACKBITS``.
        predictor: 1, or 2 to store differences of neighbours.
        layout: The file's, for the byte order of 16 bits.
    """
    if predictor == HORIZONTAL:
        left = pixels[:, :-1]
        pixels = np.concatenate([pixels[:, :1], pixels[:, 1:] - left], axis=1)  # wraps around
    ordered = pixels.astype(pixels.dtype.newbyteorder(layout.order))  # type: ignore[arg-type]
    if compression == PACKBITS:
        rows = ordered.reshape(len(ordered), -1)
        return b"".join(bytes(_codecs().packbits_encode(row.tobytes())) for row in rows)
    return ENCODERS[compression](ordered.tobytes())


def store_anew(
    file: BinaryIO, layout: Layout, directory: Directory, page: Page, frame: Any = None
) -> None:
    """Append all pixels of a page and change its tags to say so.

    Args:
        file: Open for reading and writing.
        layout: The file's.
        directory: The page's, changed in memory.
        page: What to store; may have another size, depth or number of channels than before.
        frame: tifffile's page that it replaces, whose tiles and lossless compression are kept.
    """
    height, width, samples = page.raster.shape
    compression = DEFLATE if frame is None else int(frame.compression)
    if compression not in ENCODERS:
        compression = DEFLATE
    tiled = frame is not None and frame.is_tiled
    predictor = 1 if compression == 1 else HORIZONTAL
    numbers = {
        WIDTH: [width],
        LENGTH: [height],
        BITS: [page.raster.itemsize * 8] * samples,
        COMPRESSION: [compression],
        PHOTOMETRIC: [{"gray": int(not page.inverted), "rgb": 2, "cmyk": 5, "lab": 9}[page.space]],
        SAMPLES: [samples],
        PLANAR: [1],
        SAMPLE_FORMAT: [1] * samples,
    }
    if tiled:
        numbers |= {TILE_WIDTH: [frame.tilewidth], TILE_LENGTH: [frame.tilelength]}
        parts = _tiles(page.raster, frame.tilelength, frame.tilewidth)
    else:
        rows = max(1, STRIP_BYTES // max(1, width * samples * page.raster.itemsize))
        numbers[ROWS] = [rows]
        edges = [*range(0, height, rows), height]
        parts = (page.raster[top:bottom] for top, bottom in pairwise(edges))
    offsets, counts = [], []
    for part in parts:
        data = encoded(part, compression, predictor, layout)
        offsets.append(append_data(file, data))
        counts.append(len(data))
    numbers |= {TILE_OFFSETS if tiled else STRIP_OFFSETS: offsets}
    numbers |= {TILE_COUNTS if tiled else STRIP_COUNTS: counts}
    directory.drop(*OBSOLETE)
    if predictor == HORIZONTAL:
        numbers[PREDICTOR] = [HORIZONTAL]
    else:
        directory.drop(PREDICTOR)
    extra = samples - CHANNELS[page.space]
    if not extra:
        directory.drop(EXTRA_SAMPLES)
    elif directory.get(EXTRA_SAMPLES) is None:
        kinds = {"other": 0, "premultiplied": 1, "alpha": 2}
        numbers[EXTRA_SAMPLES] = [kinds[kind] for kind in page.beside]
    for tag, values in numbers.items():
        set_numbers(file, layout, directory, tag, values)


def _tiles(raster: NDArray[Any], rows: int, columns: int) -> Iterator[NDArray[Any]]:
    """Yield a raster in tiles of one size, the last ones padded."""
    height, width = raster.shape[:2]
    for top, left in product(range(0, height, rows), range(0, width, columns)):
        part = raster[top : top + rows, left : left + columns]
        more = (rows - part.shape[0], columns - part.shape[1])
        yield np.pad(part, ((0, more[0]), (0, more[1]), (0, 0)), mode="edge")
