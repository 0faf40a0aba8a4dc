"""The chunks of a WebP file (RFC 9649)."""

import struct
from collections.abc import Iterable, Iterator

from faceren.images.containers import Part


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
