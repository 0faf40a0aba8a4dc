"""The directories (IFDs) of a TIFF file: read, change and append them, touching nothing else.

TIFF 6.0, section 2; BigTIFF. A changed directory is written at the end of the file and the pointer
to it is set anew, so that every other byte keeps its place: private tags, EXIF and makers' notes
with absolute offsets stay valid.
"""

import struct
from dataclasses import dataclass, field
from typing import BinaryIO

from faceren.errors import ImageError

BYTE, SHORT, LONG, LONG8 = 1, 3, 4, 16
SIZES = dict(zip(range(1, 14), (1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4), strict=True))
SIZES |= dict.fromkeys((16, 17, 18), 8)
"""Bytes of one value of each type."""
CODES = {SHORT: "H", LONG: "I", LONG8: "Q"}
PLACES = {273, 279, 324, 325}
"""Tags of where strips and tiles are, which are never SHORT."""


@dataclass(frozen=True)
class Layout:
    """How numbers are written in a file: byte order, and classic or BigTIFF."""

    order: str
    """``<`` or ``>``."""
    big: bool

    @property
    def offset(self) -> str:
        """Struct code of an offset in the file, which also is the width of a value's field."""
        return "Q" if self.big else "I"

    @property
    def first_pointer(self) -> int:
        """Where the pointer to the first directory stands."""
        return 8 if self.big else 4

    def pack(self, code: str, *values: int) -> bytes:
        """Return numbers as bytes."""
        return struct.pack(self.order + code, *values)

    def read(self, file: BinaryIO, position: int, code: str) -> tuple[int, ...]:
        """Return numbers from a place in the file."""
        file.seek(position)
        return struct.unpack(self.order + code, file.read(struct.calcsize(self.order + code)))


@dataclass
class Entry:
    """A tag of a directory, with its value as it stands in the file."""

    kind: int
    count: int
    field: bytes
    """The value, or the offset of it: 4 bytes, 8 in BigTIFF."""


@dataclass
class Directory:
    """One directory."""

    pointer: int
    """Where the offset of this directory stands in the file."""
    entries: dict[int, Entry] = field(default_factory=dict)
    next_pointer: int = 0
    """Where the offset of the next directory stands."""


def layout_of(file: BinaryIO) -> Layout:
    """Return the layout that the file's header announces.

    Raises:
        KeyError: If it is no TIFF.
    """
    file.seek(0)
    head = file.read(4)
    order = {b"II": "<", b"MM": ">"}[head[:2]]
    return Layout(order, big=head[2:] in (b"+\0", b"\0+"))


def directories(file: BinaryIO, layout: Layout) -> list[Directory]:
    """Return the file's chain of directories.

    Raises:
        ImageError: If the chain has a loop.
    """
    found: list[Directory] = []
    pointer, seen = layout.first_pointer, set()
    while (offset := layout.read(file, pointer, layout.offset)[0]) != 0:
        if offset in seen:
            raise ImageError("damaged TIFF: its pages are chained in a loop")
        seen.add(offset)
        found.append(read_directory(file, layout, pointer))
        pointer = found[-1].next_pointer
    return found


def read_directory(file: BinaryIO, layout: Layout, pointer: int) -> Directory:
    """Return the directory whose offset stands at ``pointer``."""
    (offset,) = layout.read(file, pointer, layout.offset)
    return directory_at(file, layout, offset, pointer)


def directory_at(file: BinaryIO, layout: Layout, offset: int, pointer: int = 0) -> Directory:
    """Return the directory that stands at ``offset``."""
    (count,) = layout.read(file, offset, "Q" if layout.big else "H")
    start = offset + (8 if layout.big else 2)
    width = 20 if layout.big else 12
    directory = Directory(pointer, next_pointer=start + width * count)
    for index in range(count):
        tag, kind, length = layout.read(file, start + width * index, "HH" + layout.offset)
        directory.entries[tag] = Entry(kind, length, file.read(width // 2 - 2))
    return directory


def end_of_values(layout: Layout, directory: Directory) -> int:
    """Return how many bytes the file must have to hold the values of a directory."""
    width = struct.calcsize("=" + layout.offset)
    end = 0
    for entry in directory.entries.values():
        size = SIZES.get(entry.kind, 0) * entry.count
        if size > width:
            end = max(end, struct.unpack(layout.order + layout.offset, entry.field)[0] + size)
    return end


def append_data(file: BinaryIO, data: bytes) -> int:
    """Write data at the end of the file, on an even place, and return the place."""
    place = file.seek(0, 2)
    if place % 2:
        file.write(b"\0")
        place += 1
    file.write(data)
    return place


def set_numbers(
    file: BinaryIO, layout: Layout, directory: Directory, tag: int, values: list[int]
) -> None:
    """Set a tag to whole numbers, of the smallest type that all TIFF readers know for it."""
    small = max(values) < 2**16 and tag not in PLACES
    kind = SHORT if small else LONG if max(values) < 2**32 else LONG8
    data = layout.pack(f"{len(values)}{CODES[kind]}", *values)
    set_bytes(file, layout, directory, tag, data, kind=kind, count=len(values))


def set_bytes(
    file: BinaryIO,
    layout: Layout,
    directory: Directory,
    tag: int,
    data: bytes,
    *,
    kind: int = BYTE,
    count: int = 0,
) -> None:
    """Set a tag to a value, which is appended to the file if it does not fit into the entry.

    Args:
        file: Open for reading and writing.
        layout: The file's.
        directory: Which is changed in memory.
        tag: Its number.
        data: The value, in the file's byte order.
        kind: Its type.
        count: Number of values; 0 for the number of bytes.
    """
    width = struct.calcsize("=" + layout.offset)
    if len(data) > width:
        stored = layout.pack(layout.offset, append_data(file, data))
    else:
        stored = data.ljust(width, b"\0")
    directory.entries[tag] = Entry(kind, count or len(data), stored)


def write_directory(file: BinaryIO, layout: Layout, directory: Directory) -> None:
    """Append a changed directory to the file and let its predecessor point to it."""
    entries = sorted(directory.entries.items())
    (following,) = layout.read(file, directory.next_pointer, layout.offset)
    packed = [
        layout.pack("HH" + layout.offset, tag, entry.kind, entry.count) + entry.field
        for tag, entry in entries
    ]
    head = layout.pack("Q" if layout.big else "H", len(entries)) + b"".join(packed)
    place = append_data(file, head + layout.pack(layout.offset, following))
    if not layout.big and file.tell() >= 2**32:
        raise ImageError("the TIFF would grow beyond 4 GB; convert it to BigTIFF first")
    file.seek(directory.pointer)
    file.write(layout.pack(layout.offset, place))
    directory.next_pointer = place + len(head)
