"""The EXIF of a TIFF, which is scattered over its directories, as one block."""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from faceren.errors import ImageError
from faceren.images.tiff.directory import (
    CODES,
    LONG,
    LONG8,
    SIZES,
    Directory,
    Entry,
    Layout,
    directory_at,
    layout_of,
    read_directory,
)

STRUCTURE = {
    *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284),
    *(288, 289, 290, 291, 292, 293, 301, 317, 320, *range(322, 326), 330, 338, 339, 340, 341, 347),
    *range(512, 522),
    *(529, 530, 531, 532, 700, 33723, 34377, 34675),
}
"""Tags of pixels, and those that other formats keep outside of EXIF."""
POINTERS = (0x8769, 0x8825, 0xA005)
"""Tags whose value is the place of another directory: EXIF, GPS, interoperability."""
HEADER = 8


@dataclass(frozen=True)
class Value:
    """A tag's value, wherever it was stored."""

    kind: int
    count: int
    data: bytes


Values = dict[int, "Value | Values"]


def exif_of_tiff(path: Path) -> bytes:
    """Return the EXIF of the first page, without what describes its pixels; may be nothing."""
    with path.open("rb") as file:
        order, values = values_of(file)
    return exif_block(order, values) if values else b""


def values_of(file: BinaryIO) -> tuple[str, Values]:
    """Return the byte order of a TIFF or EXIF block, and the tags of its first directory.

    Tags of pixels are left out; the EXIF and GPS directories are values of their tags.

    Raises:
        ImageError: If the block is damaged.
    """
    try:
        layout = layout_of(file)
        first = read_directory(file, layout, layout.first_pointer)
        values = _values(file, layout, first, depth=0)
    except (struct.error, LookupError, OverflowError) as error:
        raise ImageError("its EXIF is damaged; only --format keep can keep it") from error
    return layout.order, {tag: value for tag, value in values.items() if tag not in STRUCTURE}


def exif_block(order: str, values: Values) -> bytes:
    """Return tags as an EXIF block, which is a TIFF of one directory.

    Args:
        order: Byte order, ``<`` or ``>``.
        values: Their values, in that byte order.
    """
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", HEADER)
    return head + _packed(values, Layout(order, big=False), HEADER)


def _values(file: BinaryIO, layout: Layout, directory: Directory, depth: int) -> Values:
    values: Values = {}
    for tag, entry in directory.entries.items():
        value = _value(file, layout, entry)
        if tag in POINTERS and depth < len(POINTERS):
            place = struct.unpack_from(layout.order + CODES[value.kind], value.data)[0]
            values[tag] = _values(file, layout, directory_at(file, layout, place), depth + 1)
        else:
            values[tag] = value
    return values


def _value(file: BinaryIO, layout: Layout, entry: Entry) -> Value:
    size = SIZES.get(entry.kind, 0) * entry.count
    data = entry.field[:size]
    if size > len(entry.field):
        (place,) = struct.unpack(layout.order + layout.offset, entry.field)
        file.seek(place)
        data = file.read(size)
    if len(data) < size:
        raise LookupError("a value lies beyond the end")
    if entry.kind == LONG8:  # which EXIF does not know
        numbers = struct.unpack(f"{layout.order}{entry.count}Q", data)
        data = struct.pack(f"{layout.order}{entry.count}I", *(min(n, 2**32 - 1) for n in numbers))
    return Value(LONG if entry.kind == LONG8 else entry.kind, entry.count, data)


def _packed(values: Values, layout: Layout, start: int) -> bytes:
    """Return a directory, and behind it what does not fit into its entries.

    Args:
        values: Its tags.
        layout: Of a classic TIFF.
        start: Where it will stand in the block.
    """
    entries, behind = [], b""
    place = start + 2 + 12 * len(values) + 4
    for tag, value in sorted(values.items()):
        following = layout.pack("I", place + len(behind))
        if isinstance(value, dict):
            kind, count, field = LONG, 1, following
            behind += _packed(value, layout, place + len(behind))
        elif len(value.data) > 4:
            kind, count, field = value.kind, value.count, following
            behind += value.data + b"\0" * (len(value.data) % 2)
        else:
            kind, count, field = value.kind, value.count, value.data.ljust(4, b"\0")
        entries.append(layout.pack("HHI", tag, kind, count) + field)
    return layout.pack("H", len(entries)) + b"".join(entries) + layout.pack("I", 0) + behind
