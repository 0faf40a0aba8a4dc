"""Find the EXIF block in an AVIF file (ISO 14496-12, ISO 23008-12: items in a ``meta`` box)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

SIZES = {0: "", 2: "H", 4: "I", 8: "Q"}
"""Bytes of an offset or a length, as the file announces them, and how to read them."""


def exif_of_avif(data: bytes) -> bytes:
    """Return the EXIF block, a TIFF structure, as it lies in the file; nothing if there is none.

    Pillow's is another where the container turns the picture: it writes that into the block.
    """
    try:
        meta = next(content for name, content in _boxes(data) if name == b"meta")
        parts = dict(_boxes(meta[4:]))
        number = next(n for n, kind in _items(parts[b"iinf"]) if kind == b"Exif")
        block = _content(data, parts, number)
        (skipped,) = struct.unpack_from(">I", block)
    except (struct.error, LookupError, StopIteration):
        return b""
    return block[4 + skipped :]


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, position)
        head = 8
        if size == 1:
            (size,), head = struct.unpack_from(">Q", data, position + 8), 16
        end = position + size if size else len(data)
        yield name, data[position + head : end]
        position = max(end, position + head)


def _items(iinf: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and kind of each item."""
    for _, entry in _boxes(iinf[6 if iinf[0] == 0 else 8 :]):
        number = "H" if entry[0] == 2 else "I"  # versions 0 and 1 are not used for pictures
        found, _, kind = struct.unpack_from(f">{number}H4s", entry, 4)
        yield found, kind


@dataclass
class _Reader:
    data: bytes
    position: int

    def take(self, layout: str) -> tuple[int, ...]:
        values = struct.unpack_from(">" + layout, self.data, self.position)
        self.position += struct.calcsize(">" + layout)
        return values


def _content(data: bytes, parts: dict[bytes, bytes], wanted: int) -> bytes:
    """Return the bytes of an item: in the file, or in the ``idat`` box."""
    table = _Reader(parts[b"iloc"], 4)
    version, number = parts[b"iloc"][0], "H" if parts[b"iloc"][0] < 2 else "I"
    sizes, more = table.take("BB")
    offset, length, base = SIZES[sizes >> 4], SIZES[sizes & 15], SIZES[more >> 4]
    index = SIZES[more & 15] if version else ""
    for _ in range(table.take(number)[0]):
        (item,) = table.take(number)
        method = table.take("H")[0] & 15 if version else 0
        table.take("H")
        start = sum(table.take(base))
        pieces = []
        for _ in range(table.take("H")[0]):
            table.take(index)
            pieces.append((start + sum(table.take(offset)), sum(table.take(length))))
        if item == wanted:
            source = parts[b"idat"] if method == 1 else data
            return b"".join(source[at : at + size] for at, size in pieces)
    return b""
