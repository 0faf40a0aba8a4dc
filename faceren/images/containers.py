"""Take the parts of JPEG, PNG and WebP files apart and put them together again.

A restored photo is written by encoding its pixels and moving every other part of the original
file over byte by byte: whatever EXIF, IPTC or profile it holds stays equal, even where no library
could parse it. Only the XMP, which names the restoration, is replaced.
"""

import re
import struct
import zlib
from collections.abc import Iterable, Iterator

from faceren.errors import ImageError

Part = tuple[bytes, bytes]
"""Name and content of a chunk or segment."""

XMP_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
EXIF_JPEG = b"Exif\0\0"
ICC_JPEG = b"ICC_PROFILE\0"
IPTC_JPEG = b"Photoshop 3.0\0"
XMP_PNG = b"XML:com.adobe.xmp\0"
SEGMENT_LIMIT = 65_533
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
PIXEL_CHUNKS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS"}
DEPTH_CHUNKS = {b"sBIT", b"bKGD", b"hIST"}
"""Chunks that depend on colour type and depth."""
BASELINE = (b"\xc0", b"\xc1")
"""Markers of JPEG frames whose pixels may lie in one scan, coded by Huffman."""
SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""A marker that is no part of a scan; FF 00 is a byte of data, D0 to D7 are restarts."""
READ_AHEAD = b"\xff\x00" * 8
"""Eight bytes of ones, which begin no Huffman code: as many as decoders read ahead."""


def jpeg_segments(data: bytes) -> tuple[list[Part], bytes]:
    """Return the segments of a JPEG before its scan, and the rest from the scan on."""
    segments: list[Part] = []
    position = 2
    while position + 4 <= len(data):
        marker = data[position + 1 : position + 2]
        if data[position] != 0xFF or marker in (b"\xff", b"\0"):  # decoders skip fill bytes too
            position += 1
            continue
        if marker == b"\xda":
            return segments, data[position:]
        (length,) = struct.unpack_from(">H", data, position + 2)
        segments.append((marker, data[position + 4 : position + 2 + length]))
        position += 2 + length
    raise ImageError("damaged JPEG: it has no scan")


def endless_jpeg(data: bytes) -> bytes:
    """Return a JPEG cut off behind its only scan, to be decoded where missing rows are an error.

    A decoder that meets a marker before the last row fills up with gray and says nothing; one that
    runs out of bytes does say so. Files of several scans, progressive ones too, stay as they are:
    decoders wait for their end marker.
    """
    try:
        segments, scan = jpeg_segments(data)
    except ImageError:  # the decoder tells it with the file's name
        return data
    components = [content[5:6] for marker, content in segments if marker in BASELINE]
    if components != [scan[4:5]]:
        return data
    end = SCAN_END.search(scan, 2 + int.from_bytes(scan[2:4], "big"))
    return data[: len(data) - len(scan) + end.start()] + READ_AHEAD if end else data


def is_metadata(part: Part) -> bool:
    """Say whether a JPEG segment is to be kept: an application's data or a comment.

    Left out are what belongs to the encoding (Adobe's colour transform) and the index of further
    pictures behind the first (MPF), which are not kept.
    """
    marker, content = part
    if marker == b"\xee" and content.startswith(b"Adobe"):
        return False
    if marker == b"\xe2" and content.startswith(b"MPF\0"):
        return False
    return b"\xe0" <= marker <= b"\xef" or marker == b"\xfe"


def jpeg_metadata(data: bytes) -> list[Part]:
    """Return the metadata segments of a JPEG."""
    return [part for part in jpeg_segments(data)[0] if is_metadata(part)]


def joined_jpeg(encoded: bytes, metadata: Iterable[Part], xmp: bytes) -> bytes:
    """Return a JPEG with the pixels of one file and the metadata of another.

    Args:
        encoded: A JPEG file; its own application data are dropped.
        metadata: Segments to put before it.
        xmp: The XMP packet that replaces the one in ``metadata``; nothing leaves it out.

    Raises:
        ImageError: If the XMP does not fit into a segment.
    """
    parts = list(metadata)
    places = [n for n, part in enumerate(parts) if _is_xmp(part)] or [_after_exif(parts)]
    before, after = parts[: places[0]], parts[places[0] :]
    new = [(b"\xe1", XMP_JPEG + xmp)] if xmp else []
    kept = [*before, *new, *(part for part in after if not _is_xmp(part))]
    segments, scan = jpeg_segments(encoded)
    own = [part for part in segments if not is_metadata(part)]
    return b"\xff\xd8" + b"".join(_segment(part) for part in [*kept, *own]) + scan


def _after_exif(parts: list[Part]) -> int:
    leading = [n for n, p in enumerate(parts) if p[0] == b"\xe0" or p[1].startswith(EXIF_JPEG)]
    return max(leading, default=-1) + 1


def _is_xmp(part: Part) -> bool:
    return part[0] == b"\xe1" and part[1].startswith(XMP_JPEG)


def _segment(part: Part) -> bytes:
    marker, content = part
    if len(content) > SEGMENT_LIMIT:
        raise ImageError(
            f"a JPEG holds at most {SEGMENT_LIMIT} bytes of XMP in one piece, with the note about "
            f"the restoration this photo has {len(content)}; use --format png"
        )
    return b"\xff" + marker + struct.pack(">H", len(content) + 2) + content


def png_chunks(data: bytes) -> Iterator[Part]:
    """Yield the chunks of a PNG."""
    position = len(PNG_MAGIC)
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
    """Return a PNG with the pixels of one file and the metadata of another; see joined_jpeg."""
    kept = [part for part in metadata if not part[1].startswith(XMP_PNG)]
    if xmp:  # uncompressed, no language, no translated keyword
        kept.append((b"iTXt", XMP_PNG + b"\0\0\0\0" + xmp))
    pixels = [part for part in png_chunks(encoded) if part[0] in PIXEL_CHUNKS]
    ordered = [pixels[0], *kept, *pixels[1:]]
    return PNG_MAGIC + b"".join(_chunk(part) for part in ordered)


def _chunk(part: Part) -> bytes:
    name, content = part
    return struct.pack(">I", len(content)) + name + content + _crc(name + content)


def _crc(data: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(data))


def riff_chunks(data: bytes) -> Iterator[Part]:
    """Yield the chunks of a WebP file."""
    position = 12
    while position + 8 <= len(data):
        (length,) = struct.unpack_from("<I", data, position + 4)
        yield data[position : position + 4], data[position + 8 : position + 8 + length]
        position += 8 + length + length % 2


def joined_webp(
    encoded: bytes, size: tuple[int, int], metadata: Iterable[Part], xmp: bytes
) -> bytes:
    """Return a WebP file with the pixels of one file and the metadata of another.

    Args:
        encoded: A WebP file.
        size: Its width and height.
        metadata: ICCP, EXIF and unknown chunks to keep.
        xmp: The XMP packet; nothing leaves it out.
    """
    pixels = [part for part in riff_chunks(encoded) if part[0] in (b"ALPH", b"VP8 ", b"VP8L")]
    kept = dict.fromkeys(metadata)
    profile = [part for part in kept if part[0] == b"ICCP"]
    others = [part for part in kept if part[0] not in (b"ICCP", b"XMP ")]
    others += [(b"XMP ", xmp)] if xmp else []
    names = {part[0] for part in [*profile, *others]}
    flags = 0x20 * (b"ICCP" in names) | 0x08 * (b"EXIF" in names) | 0x04 * (b"XMP " in names)
    flags |= 0x10 * _webp_alpha(pixels)
    sides = b"".join(struct.pack("<I", side - 1)[:3] for side in size)
    header = (b"VP8X", struct.pack("<I", flags) + sides)
    body = b"".join(_riff(part) for part in [header, *profile, *pixels, *others])
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _webp_alpha(pixels: list[Part]) -> bool:
    name, content = pixels[0]
    return name == b"ALPH" or (name == b"VP8L" and bool(content[4] & 0x10))


def _riff(part: Part) -> bytes:
    name, content = part
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
