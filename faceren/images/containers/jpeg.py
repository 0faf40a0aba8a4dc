"""The segments of a JPEG file (ITU-T T.81, annex B)."""

import re
import struct
from collections.abc import Iterable

from faceren.errors import ImageError
from faceren.images.containers import Part

XMP = b"http://ns.adobe.com/xap/1.0/\0"
EXIF = b"Exif\0\0"
ICC = b"ICC_PROFILE\0"
IPTC = b"Photoshop 3.0\0"
SEGMENT_LIMIT = 65_533
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
    new = [(b"\xe1", XMP + xmp)] if xmp else []
    kept = [*before, *new, *(part for part in after if not _is_xmp(part))]
    segments, scan = jpeg_segments(encoded)
    own = [part for part in segments if not is_metadata(part)]
    return b"\xff\xd8" + b"".join(_segment(part) for part in [*kept, *own]) + scan


def _after_exif(parts: list[Part]) -> int:
    leading = [n for n, p in enumerate(parts) if p[0] == b"\xe0" or p[1].startswith(EXIF)]
    return max(leading, default=-1) + 1


def _is_xmp(part: Part) -> bool:
    return part[0] == b"\xe1" and part[1].startswith(XMP)


def _segment(part: Part) -> bytes:
    marker, content = part
    if len(content) > SEGMENT_LIMIT:
        raise ImageError(
            f"a JPEG holds at most {SEGMENT_LIMIT} bytes of XMP in one piece, with the note about "
            f"the restoration this photo has {len(content)}; use --format png"
        )
    return b"\xff" + marker + struct.pack(">H", len(content) + 2) + content
