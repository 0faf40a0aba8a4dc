"""The chunks of a PNG file (ISO/IEC 15948, section 5)."""

import struct
import zlib
from collections.abc import Iterable, Iterator

from faceren.errors import ImageError
from faceren.images.containers import Part

XMP = b"XML:com.adobe.xmp\0"
MAGIC = b"\x89PNG\r\n\x1a\n"
PIXEL_CHUNKS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS"}
NEEDED = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
"""Chunks without which there is no picture."""
DEPTH_CHUNKS = {b"sBIT", b"bKGD", b"hIST"}
"""Chunks that depend on colour type and depth."""
COLOUR_CHUNKS = {b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"mDCV", b"cLLI"}
"""Chunks that say what the values mean; they stand before the pixels."""
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Bits per sample of each colour type."""
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
KEYED = (0, 2)
"""Colour types that may have one value that is transparent."""
Pass = tuple[int, int, int, int]
"""First column and row of a pass, and steps across and down."""
ADAM7: tuple[Pass, ...] = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)),
    (0, 1, 1, 2),
)
LONGEST_TEXT = 1 << 26
"""Bytes of a compressed chunk that are taken out of it."""


def png_chunks(data: bytes) -> Iterator[Part]:
    """Yield the chunks of a PNG, the last of them IEND, though it be missing behind the pixels.

    Raises:
        ImageError: If a chunk before the pixels has no name, or one up to them goes beyond the
            file.
    """
    position, name = len(MAGIC), b""
    has_pixels = False
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        name = data[position + 4 : position + 8]
        end = position + 12 + length
        if not (name.isalpha() and name.isascii()):
            break
        if end > len(data):
            has_pixels = has_pixels and name != b"IDAT"
            break
        yield name, data[position + 8 : end - 4]
        if name == b"IEND":
            return
        has_pixels = has_pixels or name == b"IDAT"
        position = end
    if not has_pixels:
        raise ImageError(f"damaged or incomplete (no chunk of a PNG at byte {position:,})")
    yield b"IEND", b""  # whether the pixels are whole decoders will tell


def is_ended(data: bytes) -> bool:
    """Say whether a PNG has its last chunk."""
    return data[_length(data) - 8 :].startswith(b"IEND")


def unsound_chunks(data: bytes) -> list[bytes]:
    """Return the names of the chunks, pixels and what they need apart, whose check sum is wrong."""
    position, names = len(MAGIC), []
    for name, content in png_chunks(data):
        end = position + 12 + len(content)
        if name not in NEEDED and data[position:end] != _chunk((name, content)):
            names.append(name)
        position = end
    return names


def sound_png(data: bytes) -> bytes:
    """Return a PNG that ends, with right check sums for all but the pixels and what they need.

    Pillow reads no picture whose resolution or title is damaged or cut off.
    """
    if is_ended(data) and not unsound_chunks(data):
        return data
    position, parts = len(MAGIC), [MAGIC]
    for name, content in png_chunks(data):
        end = position + 12 + len(content)
        needed = name in NEEDED and name != b"IEND"
        parts.append(data[position:end] if needed else _chunk((name, content)))
        position = end
    return b"".join(parts)


def _length(data: bytes) -> int:
    return len(MAGIC) + sum(12 + len(content) for _, content in png_chunks(data))


def behind_png(data: bytes) -> bytes:
    """Return what follows the IEND of a PNG."""
    return data[_length(data) :] if is_ended(data) else b""


def bare_png(data: bytes) -> bytes:
    """Return a PNG of which only the pixels are left, no colour key either.

    libpng, which would decode it, writes what it thinks of other chunks to the screen.
    """
    return MAGIC + b"".join(_chunk(part) for part in _pixels(data) if part[0] != b"tRNS")


def colour_key(data: bytes) -> tuple[int, ...] | None:
    """Return the gray or the RGB whose pixels are transparent (tRNS), in the PNG's own depth.

    None if there is none; what tRNS says about a palette is another thing.
    """
    parts = _pixels(data)
    bits, colour = parts[0][1][8:10]
    names = [name for name, _ in parts]
    before = parts[: names.index(b"IDAT")] if b"IDAT" in names else parts
    content = dict(before).get(b"tRNS", b"")
    if colour not in KEYED or len(content) != 2 * CHANNELS[colour]:
        return None
    return tuple(n & (2**bits - 1) for n in struct.unpack(f">{CHANNELS[colour]}H", content))


def interlaced_passes(data: bytes) -> list[tuple[Pass, bytes]]:
    """Return the passes of an interlaced PNG (Adam7), each as a PNG of its own.

    libpng decodes interlaced rows as well, and complains on the screen that it was not asked to.

    Raises:
        ImageError: If the pixels are damaged or incomplete.
    """
    parts = _pixels(data)
    head, stream = parts[0][1], zlib.decompressobj()
    width, height, bits, colour = struct.unpack_from(">IIBB", head)
    sizes = [(-(-(width - x) // across), -(-(height - y) // down)) for x, y, across, down in ADAM7]
    step = CHANNELS[colour] * bits
    lengths = [h * (1 + -(-w * step // 8)) if w > 0 and h > 0 else 0 for w, h in sizes]
    packed = b"".join(content for name, content in parts if name == b"IDAT")
    try:
        pixels = stream.decompress(packed, sum(lengths))
        stream.decompress(stream.unconsumed_tail, 1)  # the check sum stands behind the pixels
    except zlib.error as error:
        raise ImageError(f"damaged or incomplete ({error})") from error
    if len(pixels) < sum(lengths) or not stream.eof:
        raise ImageError("damaged or incomplete (too few pixels)")
    found, start = [], 0
    for place, (w, h), length in zip(ADAM7, sizes, lengths, strict=True):
        if length:
            new = struct.pack(">IIBBBBB", w, h, bits, colour, 0, 0, 0)
            body = zlib.compress(pixels[start : start + length], 0)
            chunks = [(b"IHDR", new), (b"IDAT", body), (b"IEND", b"")]
            found.append((place, MAGIC + b"".join(_chunk(part) for part in chunks)))
        start += length
    return found


def is_interlaced(data: bytes) -> bool:
    """Say whether the pixels of a PNG come in passes."""
    return bool(_pixels(data)[0][1][12])


def _pixels(data: bytes) -> list[Part]:
    parts = [part for part in png_chunks(data) if part[0] in PIXEL_CHUNKS]
    if not parts or parts[0][0] != b"IHDR" or len(parts[0][1]) != 13:
        raise ImageError("damaged or incomplete (a PNG without IHDR)")
    bits, colour, *methods = parts[0][1][8:]
    if bits not in DEPTHS.get(colour, ()) or methods not in ([0, 0, 0], [0, 0, 1]):
        raise ImageError("damaged or incomplete (a PNG of a type that there is not)")
    return parts


def png_depth(data: bytes) -> int:
    """Return the bits per sample of a PNG."""
    return _pixels(data)[0][1][8]


def text_of(content: bytes) -> tuple[bytes, bytes]:
    """Return keyword and text of a tEXt, or keyword and what follows of any other chunk."""
    keyword, _, text = content.partition(b"\0")
    return keyword, text


def inflated(data: bytes) -> bytes:
    """Return what a compressed chunk holds.

    Raises:
        ImageError: If it is damaged or larger than ``LONGEST_TEXT``.
    """
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(data, LONGEST_TEXT)
    except zlib.error as error:
        raise ImageError(f"damaged or incomplete (a compressed chunk of a PNG: {error})") from error
    if stream.unconsumed_tail:
        raise ImageError(f"a compressed chunk of a PNG holds more than {LONGEST_TEXT:,} bytes")
    return text


def png_metadata(data: bytes, channels: int) -> list[Part]:
    """Return the chunks of a PNG that are not pixels, as they have to be for other pixels.

    A background and the number of bits that mean something follow the colour type; a palette that
    only is a proposal stays, with its histogram.

    Args:
        data: The file.
        channels: That its pixels will be written in: spread over 8 bits, or in 16 as they were.
    """
    bits, colour = _pixels(data)[0][1][8:10]
    whole = {b"PLTE", b"hIST"} if colour in (2, 6) else set()
    palette = next((content for name, content in png_chunks(data) if name == b"PLTE"), b"")
    kept = []
    for name, content in png_chunks(data):
        if name in DEPTH_CHUNKS and name not in whole:
            new = _followed(name, content, bits, palette if colour == 3 else b"", channels)
            kept += [(name, new)] if new else []
        elif name in whole or name not in PIXEL_CHUNKS:
            kept.append((name, content))
    return kept


def _followed(name: bytes, content: bytes, bits: int, palette: bytes, channels: int) -> bytes:
    """Return a chunk of ``DEPTH_CHUNKS`` for pixels of so many channels; nothing if it goes."""
    colours, alpha = (1 if channels < 3 else 3), channels % 2 == 0
    if name == b"sBIT":
        significant = content[:3] if palette or len(content) > 2 else content[:1]
        if palette and colours == 1:
            significant = bytes([max(significant, default=0)])
        opaque = content[len(significant) : len(significant) + 1] or bytes([max(bits, 8)])
        return significant + opaque * alpha if len(significant) == colours else b""
    if name != b"bKGD":
        return b""  # a histogram of a palette that has become colours
    if palette:
        levels = list(palette[3 * content[0] : 3 * content[0] + 3]) if content else []
        levels = levels[:1] if colours == 1 and len(set(levels)) == 1 else levels
    elif len(content) % 2 == 0:
        levels = list(struct.unpack(f">{len(content) // 2}H", content))
        levels = [n * 255 // (2**bits - 1) for n in levels] if bits < 8 else levels
    else:
        return b""
    fits = len(levels) == colours and max(levels) < 2**16
    return struct.pack(f">{colours}H", *levels) if fits else b""


def joined_png(encoded: bytes, metadata: Iterable[Part], xmp: bytes) -> bytes:
    """Return a PNG with the pixels of one file and the metadata of another; see ``joined_jpeg``."""
    kept = list(metadata)
    old = next((n for n, part in enumerate(kept) if is_xmp(part)), None)
    place = len(kept) if old is None else old
    # uncompressed, no language, no translated keyword
    new = [(b"iTXt", XMP + b"\0\0\0\0" + xmp)] if xmp else []
    kept[place : place + (old is not None)] = new
    pixels = [part for part in png_chunks(encoded) if part[0] in PIXEL_CHUNKS]
    ordered = [pixels[0], *kept, *pixels[1:]]
    return MAGIC + b"".join(_chunk(part) for part in ordered)


def is_xmp(part: Part) -> bool:
    """Say whether a chunk is an XMP packet."""
    return part[0] == b"iTXt" and (part[1].startswith(XMP) or part[1] == XMP[:-1])


def _chunk(part: Part) -> bytes:
    name, content = part
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
