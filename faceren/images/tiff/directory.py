"""The directories (IFDs) of a TIFF file: read, change and append them, touching nothing else.

TIFF 6.0, section 2; BigTIFF. A changed directory is written at the end of the file and the pointer
to it is set anew, so that every other byte keeps its place: private tags, EXIF and makers' notes
with absolute offsets stay valid.
"""

import struct
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

from faceren.errors import ImageError

BYTE, ASCII, SHORT, LONG, RATIONAL, SBYTE, UNDEFINED, IFD, LONG8 = 1, 2, 3, 4, 5, 6, 7, 13, 16
SIZES = dict(zip(range(1, 14), (1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4), strict=True))
SIZES |= dict.fromkeys((16, 17, 18), 8)
"""Bytes of one value of each type."""
CODES = {BYTE: "B", SHORT: "H", LONG: "I", IFD: "I", LONG8: "Q", 18: "Q"}
PLACES = {273, 279, 324, 325}
"""Tags of where strips and tiles are, which are never SHORT."""
MOST_PAGES, MOST_ENTRIES = 10_000, 4_000
"""Directories of a file, and entries of a directory, that are read; real ones have fewer."""


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
    def width(self) -> int:
        """Bytes of an offset."""
        return 8 if self.big else 4

    @property
    def endian(self) -> Literal["little", "big"]:
        """The byte order by the name that ``int.from_bytes`` knows."""
        return "little" if self.order == "<" else "big"

    @property
    def first_pointer(self) -> int:
        """Where the pointer to the first directory stands."""
        return 8 if self.big else 4

    def pack(self, code: str, *values: int) -> bytes:
        """Return numbers as bytes."""
        return struct.pack(self.order + code, *values)

    def read(self, file: BinaryIO, position: int, code: str) -> tuple[int, ...]:
        """Return numbers from a place in the file.

        Raises:
            struct.error: If the file ends before.
        """
        size = struct.calcsize(self.order + code)
        file.seek(min(position, 2**62))
        return struct.unpack(self.order + code, file.read(size))


@dataclass(frozen=True)
class Entry:
    """A tag of a directory, with its value as it stands in the file."""

    tag: int
    kind: int
    count: int
    field: bytes
    """The value, or the offset of it: 4 bytes, 8 in BigTIFF."""

    @property
    def size(self) -> int:
        """Bytes of the value."""
        return SIZES.get(self.kind, 0) * self.count


@dataclass
class Directory:
    """One directory. A tag may occur twice: both are kept."""

    pointer: int
    """Where the offset of this directory stands in the file; 0 for one that a tag points to."""
    offset: int = 0
    """Where the directory itself stands."""
    entries: list[Entry] = field(default_factory=list)
    next_pointer: int = 0
    """Where the offset of the next directory stands."""

    def get(self, tag: int) -> Entry | None:
        """Return the first entry of a tag."""
        return next((entry for entry in self.entries if entry.tag == tag), None)

    def drop(self, *tags: int) -> None:
        """Remove all entries of some tags."""
        self.entries = [entry for entry in self.entries if entry.tag not in tags]

    def put(self, entry: Entry) -> None:
        """Replace the first entry of a tag, or add one."""
        for place, known in enumerate(self.entries):
            if known.tag == entry.tag:
                self.entries[place] = entry
                return
        self.entries.append(entry)


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
        ImageError: If the chain has a loop or is too long.
        struct.error: If the file ends before.
    """
    found: list[Directory] = []
    pointer, seen = layout.first_pointer, set()
    while (offset := layout.read(file, pointer, layout.offset)[0]) != 0:
        if offset in seen:
            raise ImageError("damaged TIFF: its pages are chained in a loop")
        if len(found) == MOST_PAGES:
            raise ImageError(f"a TIFF of more than {MOST_PAGES:,} pages; split it first")
        if offset >= file.seek(0, 2):
            raise ImageError("damaged or incomplete (a page of a TIFF lies beyond its end)")
        seen.add(offset)
        found.append(directory_at(file, layout, offset, pointer))
        pointer = found[-1].next_pointer
    return found


def directory_at(file: BinaryIO, layout: Layout, offset: int, pointer: int = 0) -> Directory:
    """Return the directory that stands at ``offset``.

    Raises:
        ImageError: If it has too many entries.
        struct.error: If the file ends before.
    """
    (count,) = layout.read(file, offset, "Q" if layout.big else "H")
    if count > MOST_ENTRIES:
        raise ImageError(f"damaged TIFF: a directory of {count:,} entries")
    start = offset + (8 if layout.big else 2)
    width = 20 if layout.big else 12
    directory = Directory(pointer, offset, next_pointer=start + width * count)
    for index in range(count):
        tag, kind, length = layout.read(file, start + width * index, "HH" + layout.offset)
        directory.entries.append(Entry(tag, kind, length, file.read(width // 2 - 2)))
    return directory


def value_of(file: BinaryIO, layout: Layout, entry: Entry) -> bytes:
    """Return the bytes of an entry's value.

    Raises:
        ImageError: If they lie beyond the end of the file.
    """
    size = entry.size
    if size <= len(entry.field):
        return entry.field[:size]
    (place,) = struct.unpack(layout.order + layout.offset, entry.field)
    end = file.seek(0, 2)
    if place + size > end:
        raise ImageError("damaged or incomplete (a value of a TIFF lies beyond its end)")
    file.seek(place)
    return file.read(size)


def numbers_of(file: BinaryIO, layout: Layout, entry: Entry | None) -> list[int]:
    """Return the whole numbers of an entry; none without it or of another type."""
    if entry is None or entry.kind not in CODES:
        return []
    data = value_of(file, layout, entry)
    return list(struct.unpack(f"{layout.order}{entry.count}{CODES[entry.kind]}", data))


def block_of(file: BinaryIO, layout: Layout, directory: Directory, tag: int, name: str) -> bytes:
    """Return the bytes of a tag that holds a block, such as XMP; nothing without it.

    Args:
        file: The file.
        layout: The file's.
        directory: Where to look.
        tag: Its number.
        name: What the block is called in an error.

    Raises:
        ImageError: If it is stored as other than bytes, or lies beyond the end.
    """
    entry = directory.get(tag)
    if entry is None:
        return b""
    if entry.kind not in (BYTE, ASCII, SBYTE, UNDEFINED):
        raise ImageError(
            f"damaged TIFF: its {name} (tag {tag}) is stored as type {entry.kind}, expected bytes"
        )
    return value_of(file, layout, entry)


def end_of_values(layout: Layout, directory: Directory) -> int:
    """Return how many bytes the file must have to hold the values of a directory."""
    width = layout.width
    end = 0
    for entry in directory.entries:
        if entry.size > width:
            place = int.from_bytes(entry.field, layout.endian)
            end = max(end, place + entry.size)
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
    width = layout.width
    if len(data) > width:
        stored = layout.pack(layout.offset, append_data(file, data))
    else:
        stored = data.ljust(width, b"\0")
    directory.put(Entry(tag, kind, count or len(data), stored))


def write_directory(file: BinaryIO, layout: Layout, directory: Directory) -> None:
    """Append a changed directory to the file and let its predecessor, if any, point to it."""
    entries = sorted(directory.entries, key=lambda entry: entry.tag)
    (following,) = layout.read(file, directory.next_pointer, layout.offset)
    packed = [
        layout.pack("HH" + layout.offset, entry.tag, entry.kind, entry.count) + entry.field
        for entry in entries
    ]
    head = layout.pack("Q" if layout.big else "H", len(entries)) + b"".join(packed)
    place = append_data(file, head + layout.pack(layout.offset, following))
    if not layout.big and file.tell() >= 2**32:
        raise ImageError("the TIFF would grow beyond 4 GB; convert it to BigTIFF first")
    if directory.pointer:
        set_pointer(file, layout, directory.pointer, place)
    directory.offset, directory.next_pointer = place, place + len(head)


def set_pointer(file: BinaryIO, layout: Layout, pointer: int, place: int) -> None:
    """Let a pointer in the file point to a place."""
    file.seek(pointer)
    file.write(layout.pack(layout.offset, place))
