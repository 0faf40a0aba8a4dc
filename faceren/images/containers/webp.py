"""The chunks of a WebP file (RFC 9649)."""

import struct
from collections.abc import Collection, Iterable, Iterator

from faceren.errors import ImageError
from faceren.images.containers import Part

ANIMATION, XMP, ALPHA = 0x02, 0x04, 0x10
"""Flags of the VP8X chunk."""
ANNOUNCED = {b"ICCP": 0x20, b"EXIF": 0x08}
"""Chunks of metadata, and their flags there; of XMP, which is written anew, see ``XMP``."""
MOST_CHUNKS = 100_000
FRAME_HEADER = 16
"""Bytes before the chunks of a frame: place, size, duration, flags."""
PICTURE = (b"ALPH", b"VP8 ", b"VP8L")
"""Chunks of pixels."""


def riff_chunks(data: bytes, start: int = 12) -> Iterator[Part]:
    """Yield the chunks of a WebP file, or of a frame in it.

    Args:
        data: A file, or the content of an ANMF chunk.
        start: Where the first chunk begins; ``FRAME_HEADER`` in a frame.

    Raises:
        ImageError: If there are too many.
    """
    position = start
    for _ in range(MOST_CHUNKS):
        if position + 8 > len(data):
            return
        (length,) = struct.unpack_from("<I", data, position + 4)
        yield data[position : position + 4], data[position + 8 : position + 8 + length]
        position += 8 + length + length % 2
    raise ImageError("damaged or incomplete (too many chunks in a WebP file)")


def webp_header(data: bytes) -> tuple[int, int, bool, int]:
    """Return width, height, whether there is an alpha channel, and how many frames there are.

    Raises:
        ImageError: If the file is damaged.
    """
    for name, content in riff_chunks(data):
        if name == b"VP8X" and len(content) >= 10:
            width, height = (int.from_bytes(content[n : n + 3], "little") + 1 for n in (4, 7))
            moves = content[0] & ANIMATION
            frames = sum(name == b"ANMF" for name, _ in riff_chunks(data)) if moves else 1
            return width, height, bool(content[0] & ALPHA), max(frames, 1)
        if name == b"VP8L" and len(content) >= 5 and content[0] == 0x2F:
            bits = int.from_bytes(content[1:5], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1), 1
        if name == b"VP8 " and len(content) >= 10:
            width, height = struct.unpack_from("<HH", content, 6)
            return width & 0x3FFF, height & 0x3FFF, False, 1
    raise ImageError("damaged or incomplete (a WebP file without a picture)")


def is_lossless(data: bytes) -> bool:
    """Say whether the picture, or each frame, of a WebP file is coded so that nothing is lost."""
    names = {name for name, _ in pictures_of(data)}
    return b"VP8L" in names and b"VP8 " not in names


def pictures_of(data: bytes) -> Iterator[Part]:
    """Yield the chunks of the coded picture of a WebP file, or of each of its frames."""
    for name, content in riff_chunks(data):
        if name in PICTURE:
            yield name, content
        elif name == b"ANMF":
            yield from (part for part in riff_chunks(content, FRAME_HEADER) if part[0] in PICTURE)


def unannounced(data: bytes) -> set[bytes]:
    """Return which chunks of metadata a WebP file has without its header saying so.

    Readers differ in whether they look at those: whatever one makes of them, it has to go on so.
    """
    chunks = list(riff_chunks(data))
    header = next((content for name, content in chunks if name == b"VP8X"), b"")
    flags = header[0] if header else 0
    return {name for name, _ in chunks if name in ANNOUNCED and not flags & ANNOUNCED[name]}


def joined_webp(
    encoded: bytes,
    size: tuple[int, int],
    metadata: Iterable[Part],
    xmp: bytes,
    hidden: Collection[bytes] = (),
    moving: Collection[Part] = (),
) -> bytes:
    """Return a WebP file with the pixels of one file and the metadata of another.

    Args:
        encoded: A WebP file.
        size: Its width and height.
        metadata: ICCP, EXIF and unknown chunks to keep, and XMP.
        xmp: The XMP packet that replaces the first one; nothing leaves it out.
        hidden: Names of chunks that the header is not to announce.
        moving: The ANIM and ANMF chunks of an animation of one frame, if it has to stay one.
    """
    pixels = [part for part in riff_chunks(encoded) if part[0] in PICTURE]
    kept = list(dict.fromkeys(metadata))
    profile = [part for part in kept if part[0] == b"ICCP"]
    packets = [part for part in kept if part[0] == b"XMP "]
    others = [part for part in kept if part[0] not in (b"ICCP", b"XMP ")]
    others += [*([(b"XMP ", xmp)] if xmp else []), *packets[1:]]
    names = {part[0] for part in [*profile, *others]} - set(hidden)
    flags = sum(flag for name, flag in ANNOUNCED.items() if name in names)
    name, content = pixels[0]
    has_alpha = name == b"ALPH" or (name == b"VP8L" and bool(content[4] & 0x10))
    flags |= (XMP if xmp else 0) | ALPHA * has_alpha
    sides = b"".join(struct.pack("<I", side - 1)[:3] for side in size)
    if moving:
        flags |= ANIMATION
        pixels = [_in_frame(part, sides, pixels) for part in moving]
    header = (b"VP8X", struct.pack("<I", flags) + sides)
    body = b"".join(_riff(part) for part in [header, *profile, *pixels, *others])
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _in_frame(part: Part, sides: bytes, pixels: Iterable[Part]) -> Part:
    """Return an ANMF chunk with other pixels, which fill all of the picture; ANIM as it is."""
    name, content = part
    if name != b"ANMF":
        return part
    shown = content[12:FRAME_HEADER]  # for how long, and how it is blended with what was before
    return name, bytes(6) + sides + shown + b"".join(_riff(inner) for inner in pixels)


def _riff(part: Part) -> bytes:
    name, content = part
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
