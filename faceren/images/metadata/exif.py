"""EXIF: taken out of a TIFF, which scatters it over its directories, put together, changed."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Union

from faceren.errors import ImageError
from faceren.images.page import TAG as ORIENTATION
from faceren.images.page import orientation_of
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
    set_numbers,
    set_pointer,
    value_of,
    write_directory,
)

STRUCTURE = {
    *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284),
    *(288, 289, 290, 291, 292, 293, 301, 317, 320, *range(322, 326), 330, 338, 339, 340, 341, 347),
    *range(512, 522),
    *(529, 530, 531, 532, 700, 33723, 34377, 34675, 37724, 42112, 42113),
}
"""Tags of pixels, those that other formats keep outside of EXIF, and Photoshop's layers."""
POINTERS = (0x8769, 0x8825, 0xA005)
"""Tags whose value is the place of another directory: EXIF, GPS, interoperability."""
MAKER_NOTE = 0x927C
MOVABLE = (b"Nikon\0\2", b"OLYMPUS\0II", b"OLYMPUS\0MM", b"FUJIFILM", b"Apple iOS\0")
"""How makers' notes begin that count offsets from their own start, so that they can move.

All others point to places in the block, as the maker's camera laid it out.
"""
NOTES_GONE = "the maker's notes, which make sense in their own file alone"
HEADER = 8
DAMAGE = (struct.error, LookupError, OverflowError, ValueError)
DAMAGED = "its EXIF is damaged; only --format keep can keep it"


@dataclass(frozen=True)
class Value:
    """A tag's value, wherever it was stored."""

    kind: int
    count: int
    data: bytes


Values = list[tuple[int, Union[Value, "Values"]]]
"""Tags and their values, in the order of the file; a tag may occur twice."""


def exif_of_tiff(path: Path) -> tuple[bytes, tuple[str, ...]]:
    """Return the EXIF of the first page, and what had to be left out, in words.

    It may be nothing. What describes the pixels is no part of it.

    Raises:
        ImageError: If it is damaged.
    """
    with path.open("rb") as file:
        order, values = values_of(file)
    movable = _movable(values)
    lost = () if movable == values else (NOTES_GONE,)
    return (exif_block(order, movable) if movable else b""), lost


def _movable(values: Values) -> Values:
    """Return tags without the makers' notes that say something else at another place."""
    kept: Values = []
    for tag, value in values:
        if isinstance(value, list):
            kept.append((tag, _movable(value)))
        elif tag != MAKER_NOTE or value.data.startswith(MOVABLE):
            kept.append((tag, value))
    return kept


def with_directory(
    exif: bytes, change: Callable[[BinaryIO, Layout, Directory], None], *, alone: bool = False
) -> bytes:
    """Return an EXIF block whose first directory is changed; nothing else in it moves.

    Makers' notes point into the block.

    Args:
        exif: A TIFF structure, or nothing.
        change: Changes the directory in memory; what it appends to the file stays.
        alone: The second directory, that of a thumbnail, is left out.

    Raises:
        ImageError: If the block is damaged.
    """
    order, values = values_of(BytesIO(exif)) if exif else ("<", Values())
    classic = exif.startswith((b"II*\0", b"MM\0*"))
    file = BytesIO(exif if classic else exif_block(order, _movable(values)))
    layout = layout_of(file)
    (first,) = layout.read(file, layout.first_pointer, layout.offset)
    directory = directory_at(file, layout, first, layout.first_pointer)
    try:
        change(file, layout, directory)
        write_directory(file, layout, directory)
    except DAMAGE as error:  # it ends before it says whether there is a second directory
        raise ImageError(DAMAGED) from error
    if alone:
        set_pointer(file, layout, directory.next_pointer, 0)
    return file.getvalue()


def values_of(file: BinaryIO) -> tuple[str, Values]:
    """Return the byte order of a TIFF or EXIF block, and the tags of its first directory.

    Tags of pixels are left out; the EXIF and GPS directories are values of their tags.

    Raises:
        ImageError: If the block is damaged.
    """
    try:
        layout = layout_of(file)
        (first,) = layout.read(file, layout.first_pointer, layout.offset)
        reader = _Reader(file, layout, left=2 * file.seek(0, 2) + 1000)
        values = reader.values(directory_at(file, layout, first), depth=0)
    except DAMAGE as error:
        raise ImageError(DAMAGED) from error
    except ImageError as error:
        raise ImageError(f"{DAMAGED} ({error})") from error
    return layout.order, [(tag, value) for tag, value in values if tag not in STRUCTURE]


def exif_block(order: str, values: Values) -> bytes:
    """Return tags as an EXIF block, which is a TIFF of one directory.

    Args:
        order: Byte order, ``<`` or ``>``.
        values: Their values, in that byte order.
    """
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", HEADER)
    return head + _packed(values, Layout(order, big=False), HEADER)


def numbers_in(exif: bytes, *tags: int) -> Sequence[float | None]:
    """Return numbers of the first directory, a fraction as a float; None for what is not there."""
    found: dict[int, float] = {}
    try:
        order, values = values_of(BytesIO(exif))
    except ImageError:
        return [None] * len(tags)
    for tag, value in values:
        if not isinstance(value, Value) or tag not in tags or value.count != 1:
            continue
        if value.kind == 5:
            above, below = struct.unpack(order + "II", value.data)
            found.setdefault(tag, above / below if below else 0.0)
        elif value.kind in CODES:
            found.setdefault(tag, struct.unpack(order + CODES[value.kind], value.data)[0])
    return [found.get(tag) for tag in tags]


def oriented(exif: bytes, orientation: int) -> bytes:
    """Return an EXIF block that says how the picture is turned; nothing for an upright one.

    Args:
        exif: A TIFF structure, or nothing.
        orientation: 1 to 8.
    """
    if orientation_of(exif) == orientation:
        return exif

    def turn(file: BinaryIO, layout: Layout, directory: Directory) -> None:
        directory.drop(ORIENTATION)
        set_numbers(file, layout, directory, ORIENTATION, [orientation])

    return with_directory(exif, turn)


@dataclass
class _Reader:
    file: BinaryIO
    layout: Layout
    left: int
    """Bytes of values that may still be read: values may overlap, but not to become gigabytes."""

    def values(self, directory: Directory, depth: int) -> Values:
        values: Values = []
        for entry in directory.entries:
            if (depth == 0 and entry.tag in STRUCTURE) or entry.kind not in SIZES:
                continue  # of a type that nobody knows: to be skipped (TIFF 6.0, section 2)
            value = self.value(entry)
            if entry.tag in POINTERS and depth < len(POINTERS):
                place = struct.unpack_from(self.layout.order + CODES[value.kind], value.data)[0]
                below = directory_at(self.file, self.layout, place)
                self.left -= 12 * len(below.entries)
                values.append((entry.tag, self.values(below, depth + 1)))
            else:
                values.append((entry.tag, value))
        return values

    def value(self, entry: Entry) -> Value:
        self.left -= entry.size + 12
        if self.left < 0:
            raise ImageError("its values overlap")
        data = value_of(self.file, self.layout, entry)
        if entry.kind != LONG8:  # which EXIF does not know
            return Value(entry.kind, entry.count, data)
        numbers = struct.unpack(f"{self.layout.order}{entry.count}Q", data)
        data = struct.pack(
            f"{self.layout.order}{entry.count}I", *(min(n, 2**32 - 1) for n in numbers)
        )
        return Value(LONG, entry.count, data)


def _packed(values: Values, layout: Layout, start: int) -> bytes:
    """Return a directory, and behind it what does not fit into its entries.

    Args:
        values: Its tags.
        layout: Of a classic TIFF.
        start: Where it will stand in the block.
    """
    entries, behind = [], bytearray()
    place = start + 2 + 12 * len(values) + 4
    for tag, value in sorted(values, key=lambda item: item[0]):
        following = layout.pack("I", place + len(behind))
        if isinstance(value, list):
            kind, count, field = LONG, 1, following
            behind += _packed(value, layout, place + len(behind))
        elif len(value.data) > 4:
            kind, count, field = value.kind, value.count, following
            behind += value.data + b"\0" * (len(value.data) % 2)
        else:
            kind, count, field = value.kind, value.count, value.data.ljust(4, b"\0")
        entries.append(layout.pack("HHI", tag, kind, count) + field)
    return layout.pack("H", len(entries)) + b"".join(entries) + layout.pack("I", 0) + bytes(behind)
