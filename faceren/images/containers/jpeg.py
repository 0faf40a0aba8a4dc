"""The segments of a JPEG file (ITU-T T.81, annex B), and what stands behind its picture."""

import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from faceren.errors import ImageError
from faceren.images.containers import Part

XMP = b"http://ns.adobe.com/xap/1.0/\0"
EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
EXIF = b"Exif\0\0"
ICC = b"ICC_PROFILE\0"
IPTC = b"Photoshop 3.0\0"
MPF = b"MPF\0"
"""Index of several pictures in one file (CIPA DC-007)."""
SEGMENT_LIMIT = 65_533
MOST_SEGMENTS = 100_000
MOST_SCANS = 200
"""Each of a progressive picture's is a pass over all its pixels; usual are ten."""
BASELINE = (b"\xc0", b"\xc1")
"""Markers of JPEG frames whose pixels may lie in one scan, coded by Huffman."""
FRAMES = {bytes([n]) for n in range(0xC0, 0xD0)} - {b"\xc4", b"\xc8", b"\xcc"}
JPEG_LS = b"\xf7"
LOSSLESS = {b"\xc3", b"\xc7", b"\xcb", b"\xcf"}
HIERARCHICAL = {b"\xc5", b"\xc6", b"\xcd", b"\xce"}
SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""A marker that is no part of a scan; FF 00 is a byte of data, D0 to D7 are restarts."""
END = b"\xff\xd9"
FILLING = b"\0\xff"
"""What disks and cards fill a file up with; half of a marker, too."""
LOST = bytes(64)
"""Where a disk or a network lost data there are zeros; a scan has as many where nothing is seen."""
RESTART = re.compile(rb"\xff[\xd0-\xd7]")
READ_AHEAD = b"\xff\x00" * 8
"""Eight bytes of ones, which begin no Huffman code: as many as decoders read ahead."""
MP_ENTRIES = 0xB002
"""Tag of the MPF index: 16 bytes a picture."""


@dataclass(frozen=True)
class Frame:
    """What the header of the picture says."""

    marker: bytes
    bits: int
    width: int
    height: int
    ids: tuple[int, ...]
    """What the components are called."""


def jpeg_segments(data: bytes) -> tuple[list[Part], bytes]:
    """Return the segments of a JPEG before its scan, and the rest from the scan on.

    Raises:
        ImageError: If there is no scan, or there are too many segments.
    """
    segments: list[Part] = []
    position = 2
    while position + 4 <= len(data) and len(segments) < MOST_SEGMENTS:
        marker = data[position + 1 : position + 2]
        if data[position] != 0xFF or marker in (b"\xff", b"\0"):  # decoders skip fill bytes too
            following = data.find(b"\xff", position + 1)
            position = len(data) if following < 0 else following
            continue
        if marker == b"\xda":
            return segments, data[position:]
        (length,) = struct.unpack_from(">H", data, position + 2)
        segments.append((marker, data[position + 4 : position + 2 + length]))
        position += 2 + length
    raise ImageError("damaged JPEG: it has no scan")


def endless_jpeg(data: bytes) -> bytes:
    """Return a JPEG as it has to be given to a decoder, so that missing rows are an error.

    A decoder that meets a marker before the last row fills up with gray and says nothing; one that
    runs out of bytes does say so. So what stands behind the only scan is cut off. Files of several
    scans, progressive ones too, stay as they are: decoders wait for their end marker. Where that is
    missing, as the file lost its last bytes or was filled up with others, and the scans are whole
    all the same, it is set again.
    """
    try:
        segments, scan = jpeg_segments(data)
    except ImageError:  # the decoder tells it with the file's name
        return data
    components = [content[5:6] for marker, content in segments if marker in BASELINE]
    if components != [scan[4:5]]:
        return _closed(data)
    end = SCAN_END.search(scan, 2 + int.from_bytes(scan[2:4], "big"))
    coded = data[: len(data) - len(scan) + end.start()] if end else data.rstrip(FILLING)
    return coded + READ_AHEAD


def _closed(data: bytes) -> bytes:
    """Return a JPEG of several scans, ended if its end marker alone is missing."""
    if is_ended(data):
        return data
    ended = _ended(data)
    return ended if _is_strict(ended) else data


def is_ended(data: bytes) -> bool:
    """Say whether the first picture of a JPEG file has its end marker."""
    return data[: end_of_picture(data)].endswith(END)


def _ended(data: bytes) -> bytes:
    """Return the first picture of a JPEG file, with an end marker if it has none."""
    picture = data[: end_of_picture(data)]
    return picture if picture.endswith(END) else picture.rstrip(FILLING) + END


def seems_damaged(data: bytes) -> bool:
    """Say whether pieces of a picture are missing or mixed up that decoders fill in silently.

    It is told by restart markers that do not count from 0 to 7 over and over, and by a run of zeros
    where a strict reader finds errors. A few changed bits are not noticed.
    """
    picture = _ended(data)
    segments, scans = jpeg_segments(picture)
    numbers = [n[1] & 7 for n in RESTART.findall(scans)] if b"\xdd" in dict(segments) else []
    mixed = numbers != [n % 8 for n in range(len(numbers))]
    return (mixed or LOST in scans) and not _is_strict(picture)


def _is_strict(data: bytes) -> bool:
    """Say whether scans are what the standard says, to the last bit.

    Of the decoders at hand this one alone tells; it takes ten times as long as others.
    """
    import imagecodecs  # here: training must run without it

    try:
        imagecodecs.jpegxl_encode_jpeg(data)
    except imagecodecs.JpegxlError:
        return False
    return True


def end_of_picture(data: bytes) -> int:
    """Return where the first picture of a JPEG file ends; the file's end if nothing says so."""
    _, scan = jpeg_segments(data)
    position = len(data) - len(scan)
    for _ in range(MOST_SEGMENTS):
        marker = data[position : position + 2]
        if marker == END:
            return position + 2
        if marker == b"\xff\xd8":  # of the next picture; the first one's end is missing
            return position
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == b"\xff\xda":  # tables and further scans may follow this one's data
            found = SCAN_END.search(data, position)
            if found is None:
                return len(data)
            position = found.start()
        if data[position : position + 1] != b"\xff":
            return len(data)
    return len(data)


def behind_jpeg(data: bytes) -> bytes:
    """Return what stands behind the picture: further pictures, a video, a maker's data."""
    return data[end_of_picture(data) :]


def frame_of(data: bytes) -> Frame:
    """Return what the header of the picture says.

    Raises:
        ImageError: If there is none, or it is damaged.
    """
    for marker, content in jpeg_segments(data)[0]:
        if marker == JPEG_LS:
            raise ImageError("a JPEG-LS picture; convert it to PNG or TIFF first")
        if marker in FRAMES and len(content) >= 6:
            bits, height, width, count = struct.unpack_from(">BHHB", content)
            ids = tuple(content[6 : 6 + 3 * count : 3])
            if len(ids) == count:
                return Frame(marker, bits, width, height, ids)
    raise ImageError("damaged or incomplete (a JPEG without the header of its picture)")


def check_frame(data: bytes) -> None:
    """Refuse kinds of JPEG that are no photo of 8 bits, by their names.

    Raises:
        ImageError: If it is lossless, hierarchical, of 12 bits, of unknown height, or quantised
            by 0.
    """
    frame = frame_of(data)
    if frame.marker in LOSSLESS:
        raise ImageError("a lossless JPEG (ITU-T T.81, annex H); convert it to TIFF or PNG first")
    if frame.marker in HIERARCHICAL:
        raise ImageError("a hierarchical JPEG; convert it to TIFF or PNG first")
    if frame.height == 0:
        raise ImageError(
            "a JPEG that says its height behind its pixels (DNL), which no decoder here reads; "
            "save it anew with another program first"
        )
    if frame.bits != 8:
        raise ImageError(
            f"a JPEG of {frame.bits} bits a sample, expected 8; convert it to a TIFF of 16 bits"
        )
    if data.count(b"\xff\xda", 0, end_of_picture(data)) > MOST_SCANS:
        raise ImageError("damaged or incomplete (too many scans)")
    for marker, content in jpeg_segments(data)[0]:
        if marker == b"\xdb" and _has_zero_step(content):
            raise ImageError("damaged or incomplete (a quantisation step of 0)")


def _has_zero_step(tables: bytes) -> bool:
    position = 0
    while position < len(tables):
        width = 2 if tables[position] >> 4 else 1
        steps = tables[position + 1 : position + 1 + 64 * width]
        if any(not any(steps[n : n + width]) for n in range(0, len(steps), width)):
            return True
        position += 1 + 64 * width
    return False


def is_plain_rgb(data: bytes) -> bool:
    """Say whether the components are red, green and blue, by the rules that decoders follow."""
    segments, _ = jpeg_segments(data)
    frame = frame_of(data)
    if len(frame.ids) != 3 or any(m == b"\xe0" and c.startswith(b"JFIF\0") for m, c in segments):
        return False
    adobe = adobe_transform(segments)
    return frame.ids == tuple(b"RGB") if adobe is None else adobe == 0


def adobe_transform(segments: Iterable[Part]) -> int | None:
    """Return how Adobe's segment says that colours were transformed; None without one."""
    for marker, content in segments:
        if marker == b"\xee" and content.startswith(b"Adobe") and len(content) >= 12:
            return content[11]
    return None


def is_metadata(part: Part) -> bool:
    """Say whether a JPEG segment is to be kept: an application's data or a comment.

    Left out is what belongs to the encoding: Adobe's colour transform.
    """
    marker, content = part
    if marker == b"\xee" and content.startswith(b"Adobe"):
        return False
    return b"\xe0" <= marker <= b"\xef" or marker == b"\xfe"


def jpeg_metadata(data: bytes) -> list[Part]:
    """Return the metadata segments of a JPEG."""
    return [part for part in jpeg_segments(data)[0] if is_metadata(part)]


def xmp_parts(standard: bytes, guid: bytes = b"", extension: bytes = b"") -> list[Part]:
    """Return XMP as segments: the packet, and behind it any extension in pieces.

    Adobe XMP Specification Part 3, 1.1.3.1.

    Args:
        standard: The packet.
        guid: MD5 of the extension as 32 letters, which the packet names.
        extension: What did not fit.
    """
    parts = [(b"\xe1", XMP + standard)]
    step = SEGMENT_LIMIT - len(EXTENDED_XMP) - 40
    for start in range(0, len(extension), step):
        place = struct.pack(">II", len(extension), start)
        piece = extension[start : start + step]
        parts.append((b"\xe1", EXTENDED_XMP + guid + place + piece))
    return parts


def extended_xmp(parts: Iterable[Part], guid: bytes) -> bytes:
    """Return the extension of the XMP packet that names it by its GUID, or nothing.

    Raises:
        ImageError: If pieces are missing.
    """
    head = EXTENDED_XMP + guid
    pieces = [c[len(head) :] for m, c in parts if m == b"\xe1" and c.startswith(head)]
    pieces = [piece for piece in pieces if len(piece) >= 8]
    if not pieces:
        return b""
    ordered = sorted((struct.unpack_from(">I", piece, 4)[0], piece[8:]) for piece in pieces)
    whole = b"".join(piece for _, piece in ordered)
    if len(whole) != struct.unpack_from(">I", pieces[0])[0]:
        raise ImageError("damaged XMP: pieces of it are missing; only --format keep can keep it")
    return whole


def joined_jpeg(
    encoded: bytes,
    metadata: Iterable[Part],
    xmp: Sequence[Part],
    source: bytes = b"",
) -> bytes:
    """Return a JPEG with the pixels of one file and the metadata of another.

    Args:
        encoded: A JPEG file; its own application data are dropped.
        metadata: Segments to put before it.
        xmp: Segments that replace the first XMP packet in ``metadata``; nothing leaves it out.
        source: The JPEG that the metadata came from; what stands behind its picture follows the
            new one, and the index of several pictures is brought in line.

    Raises:
        ImageError: If a part does not fit into a segment.
    """
    parts = list(metadata)
    old = next((n for n, part in enumerate(parts) if is_xmp(part)), None)
    place = _after_exif(parts) if old is None else old
    kept = [*parts[:place], *xmp, *parts[place + (old is not None) :]]
    segments, scan = jpeg_segments(encoded)
    own = [part for part in segments if not is_metadata(part)]
    if source and adobe_transform(jpeg_segments(source)[0]) is None and is_plain_rgb(encoded):
        own = [part for part in own if part[0] != b"\xee"]  # the components' names say it
    joined = b"\xff\xd8" + b"".join(_segment(part) for part in [*kept, *own]) + scan
    return _with_what_followed(joined, source) if source else joined


def _after_exif(parts: list[Part]) -> int:
    leading = [n for n, p in enumerate(parts) if p[0] == b"\xe0" or p[1].startswith(EXIF)]
    return max(leading, default=-1) + 1


def is_xmp(part: Part) -> bool:
    """Say whether a segment is the XMP packet."""
    return part[0] == b"\xe1" and part[1].startswith(XMP)


def _segment(part: Part) -> bytes:
    marker, content = part
    if len(content) > SEGMENT_LIMIT:
        raise ImageError(
            f"a JPEG holds at most {SEGMENT_LIMIT} bytes of metadata in one piece, this photo "
            f"would have {len(content)}; use --format png"
        )
    return b"\xff" + marker + struct.pack(">H", len(content) + 2) + content


def _with_what_followed(joined: bytes, source: bytes) -> bytes:
    end = end_of_picture(source)
    place = _index_place(source)
    if place is None:
        return joined + source[end:]
    new_place = _index_place(joined)
    if new_place is None:
        return joined + source[end:]
    size = int.from_bytes(source[place - 6 : place - 4], "big") - 6
    index = _moved(source[place : place + size], (place, end), (new_place, len(joined)))
    return joined[:new_place] + index + joined[new_place + len(index) :] + source[end:]


def _index_place(data: bytes) -> int | None:
    """Return where the index of pictures (its TIFF header) stands in a file."""
    position = 2
    for marker, content in jpeg_segments(data)[0]:
        position = data.index(b"\xff" + marker, position) + 4
        if marker == b"\xe2" and content.startswith(MPF):
            return position + len(MPF)
        position += len(content)
    return None


def _moved(index: bytes, old: tuple[int, int], new: tuple[int, int]) -> bytes:
    """Return an index of pictures that has moved, together with the pictures behind the first.

    Args:
        index: From its TIFF header on.
        old: Where in the file it stood, and where the first picture ended.
        new: The same now.
    """
    order = {b"II": "<", b"MM": ">"}.get(index[:2], ">")
    moved = bytearray(index)
    try:
        (start,) = struct.unpack_from(order + "I", index, 4)
        (count,) = struct.unpack_from(order + "H", index, start)
        for number in range(count):
            entry = start + 2 + 12 * number
            tag, _, length, at = struct.unpack_from(order + "HHII", index, entry)
            if tag != MP_ENTRIES:
                continue
            for place in range(at, min(at + length, len(index) - 15), 16):
                size, offset = struct.unpack_from(order + "II", index, place + 4)
                if offset == 0:
                    struct.pack_into(order + "I", moved, place + 4, new[1])
                else:
                    moved_by = (new[1] - old[1]) - (new[0] - old[0])
                    struct.pack_into(order + "II", moved, place + 4, size, offset + moved_by)
            break
    except struct.error:  # no reader can follow it, then; as it was
        return index
    return bytes(moved)
