"""The chunks of a PNG file (ISO/IEC 15948, section 5)."""

import struct
import zlib
from collections.abc import Iterable, Iterator

from faceren.images.containers import Part

XMP = b"XML:com.adobe.xmp\0"
MAGIC = b"\x89PNG\r\n\x1a\n"
PIXEL_CHUNKS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS"}
DEPTH_CHUNKS = {b"sBIT", b"bKGD", b"hIST"}
"""Chunks that depend on colour type and depth."""


def png_chunks(data: bytes) -> Iterator[Part]:
    """Yield the chunks of a PNG."""
    position = len(MAGIC)
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        yield data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        position += 12 + length


def png_metadata(data: bytes, *, same_depth: bool) -> list[Part]:
    """Return the chunks of a PNG that are not pixels.

    Args:
        data: The file.
        same_depth: Its pixels will be written in the same colour type and depth.
    """
    dropped = PIXEL_CHUNKS if same_depth else PIXEL_CHUNKS | DEPTH_CHUNKS
    return [part for part in png_chunks(data) if part[0] not in dropped]


def joined_png(encoded: bytes, metadata: Iterable[Part], xmp: bytes) -> bytes:
    """Return a PNG with the pixels of one file and the metadata of another; see ``joined_jpeg``."""
    kept = [part for part in metadata if not part[1].startswith(XMP)]
    if xmp:  # uncompressed, no language, no translated keyword
        kept.append((b"iTXt", XMP + b"\0\0\0\0" + xmp))
    pixels = [part for part in png_chunks(encoded) if part[0] in PIXEL_CHUNKS]
    ordered = [pixels[0], *kept, *pixels[1:]]
    return MAGIC + b"".join(_chunk(part) for part in ordered)


def _chunk(part: Part) -> bytes:
    name, content = part
    return struct.pack(">I", len(content)) + name + content + _crc(name + content)


def _crc(data: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(data))
