"""JPEG 2000 files (ISO/IEC 15444-1): what the codestream's header and the boxes of a JP2 say."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from faceren.errors import ImageError
from faceren.images.containers import Part
from faceren.images.containers.bmff import box, boxes

MAGIC = b"\0\0\0\x0cjP  \r\n\x87\n"
CODESTREAM = b"\xff\x4f\xff\x51"
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
EXIF_UUID = b"JpgTiffExif->JP2"
IPTC_UUID = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
SPACES: dict[int, Literal["gray", "rgb"]] = {16: "rgb", 17: "gray"}
"""EnumCS of a ``colr`` box: sRGB and gray."""
FRAGMENTS = {b"ftbl", b"cref"}
"""Boxes of a JPX file that find its parts by their places in the file."""
AROUND = {b"jp2h", b"jpch", b"jplh"}
"""Boxes of boxes, of which some may be of that kind."""
MOST_SEGMENTS = 1000


@dataclass(frozen=True)
class Codestream:
    """What the header of a codestream says."""

    width: int
    height: int
    components: int
    bits: int
    plain: bool
    """All components have one depth, no sign and the full size."""
    reversible: bool
    """Coded by the 5/3 wavelet, which loses nothing if nothing is cut off."""


def codestream_of(data: bytes) -> bytes:
    """Return the codestream of a JP2 file, or the data if they are one.

    Raises:
        ImageError: If there is none.
    """
    if data.startswith(CODESTREAM):
        return data
    found = [content for name, content in boxes(data) if name == b"jp2c"]
    if not found or not found[0].startswith(CODESTREAM):
        raise ImageError("damaged or incomplete (a JPEG 2000 file without a codestream)")
    return found[0]


def header_of(codestream: bytes) -> Codestream:
    """Read the header of a codestream (annex A).

    Raises:
        ImageError: If it is damaged.
    """
    try:
        _, _, x1, y1, x0, y0 = struct.unpack_from(">HH4I", codestream, 4)
        (components,) = struct.unpack_from(">H", codestream, 40)
        each = [struct.unpack_from("BBB", codestream, 42 + 3 * n) for n in range(components)]
        position = 4 + struct.unpack_from(">H", codestream, 4)[0]
        for _ in range(MOST_SEGMENTS):
            marker, length = struct.unpack_from(">HH", codestream, position)
            if marker == 0xFF52:  # COD: how all components are coded
                reversible = codestream[position + 13] == 1
                break
            position += 2 + length
        else:
            raise LookupError
    except (struct.error, LookupError) as error:
        raise ImageError("damaged or incomplete (header of a JPEG 2000 file)") from error
    plain = len(set(each)) == 1 and each[0][1:] == (1, 1) and not each[0][0] & 0x80
    bits = (each[0][0] & 0x7F) + 1 if each else 0
    return Codestream(x1 - x0, y1 - y0, components, bits, plain, reversible)


def header_parts(data: bytes) -> list[Part]:
    """Return the boxes of the ``jp2h`` box; none of a bare codestream."""
    for name, content in [] if data.startswith(CODESTREAM) else boxes(data):
        if name == b"jp2h":
            return list(boxes(content))
    return []


def uuid_content(data: bytes, uuid: bytes) -> bytes:
    """Return what a ``uuid`` box of a kind holds, or nothing."""
    for name, content in [] if data.startswith(CODESTREAM) else boxes(data):
        if name == b"uuid" and content.startswith(uuid):
            return content[16:]
    return b""


def joined_jp2(source: bytes, codestream: bytes, xmp: bytes, exif: bytes) -> bytes:
    """Return a JPEG 2000 file with other pixels, XMP and EXIF; every other box stays.

    A JPX file may hold further pictures, whose codestreams stay, too.

    Args:
        source: A JP2 file, or a codestream, which holds nothing else.
        codestream: The pixels of its first picture.
        xmp: The packet; nothing leaves it out.
        exif: A TIFF structure; nothing leaves it out.

    Raises:
        ImageError: If its parts are found by their places in it, which change.
    """
    if source.startswith(CODESTREAM):
        return codestream
    names = {name for name, _ in boxes(source)}
    for name, content in boxes(source):
        names |= {inner for inner, _ in boxes(content)} if name in AROUND else set()
    if FRAGMENTS & names:
        raise ImageError("a JPEG 2000 picture in fragments cannot be kept; use --format png")
    new, old = header_of(codestream), header_of(codestream_of(source))
    pieces: list[bytes] = []
    known = {content[:16] for name, content in boxes(source) if name == b"uuid"}
    words = {EXIF_UUID: exif, XMP_UUID: xmp}  # each takes the place of its first box
    written = False
    for name, content in boxes(source):
        uuid = content[:16]
        if name == b"uuid" and uuid in words:
            block = words.pop(uuid)
            pieces += [box(name, uuid + block)] if block else []
        elif name == b"jp2h":
            deeper = new.bits != old.bits
            pieces.append(box(name, b"".join(_described(boxes(content), new, deeper=deeper))))
        elif name == b"jp2c" and not written:
            written = True
            before = [(kind, words.pop(kind)) for kind in tuple(words) if kind not in known]
            pieces += [box(b"uuid", kind + block) for kind, block in before if block]
            pieces.append(box(name, codestream))
        else:
            pieces.append(box(name, content))
    return b"".join(pieces)


def _described(parts: Iterable[Part], new: Codestream, *, deeper: bool) -> Iterable[bytes]:
    """Yield the boxes of a ``jp2h`` for another codestream."""
    for name, content in parts:
        if name == b"ihdr":
            bits = bytes([new.bits - 1]) if deeper else content[10:11]
            sides = struct.pack(">II", new.height, new.width)
            yield box(name, sides + content[8:10] + bits + content[11:])
        elif name != b"bpcc" or not deeper:
            yield box(name, content)
