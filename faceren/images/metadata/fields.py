"""What a file says about its picture, in a form that can move to a file of another format."""

import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from faceren.errors import ImageError
from faceren.images.containers import Part, bmff, jp2, jpeg, png
from faceren.images.containers.bmp import header_of as bmp_header
from faceren.images.containers.webp import riff_chunks
from faceren.images.metadata import xmp as xmp_packets
from faceren.images.metadata.exif import STRUCTURE, numbers_in, with_directory
from faceren.images.tiff.directory import Directory, Layout, set_bytes, set_numbers

INCH = 0.0254
CENTIMETRES = 2.54
PIECE = 65_000
"""Bytes of a profile or of IPTC in one JPEG segment."""
IPTC_RESOURCE = 0x0404
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT, IPTC, RESOURCES = 282, 283, 296, 33723, 34377
DESCRIPTION = 270
ASCII, SHORT, RATIONAL, UNDEFINED = 2, 3, 5, 7
"""Types of TIFF values."""
KNOWN_SEGMENTS = (b"\xe0", b"\xe1", b"\xe2", b"\xed", b"\xee", b"\xfe")
RAW_PROFILE = b"Raw profile type "
"""How ImageMagick begins the keyword of EXIF and IPTC in a PNG."""

Pair = tuple[float, float]
Lines = tuple[str, ...]
"""What was left out, each in words."""


@dataclass(frozen=True)
class Metadata:
    """Metadata of one picture."""

    exif: bytes = b""
    """A TIFF structure."""
    icc: bytes = b""
    xmp: bytes = b""
    resources: bytes = b""
    """Photoshop's image resources, which hold the IPTC fields."""
    dpi: Pair | None = None
    aspect: Pair | None = None
    """Across and down, of pixels that are not square, where no unit is told."""
    texts: tuple[tuple[str, str], ...] = ()
    """Comments: keyword, or nothing, and text."""
    lost: Lines = ()
    """What only the file's own format can hold."""


def metadata_of(kind: str, data: bytes) -> Metadata:
    """Return the metadata of a photo.

    Args:
        kind: Its format, not TIFF.
        data: Its bytes.

    Raises:
        ImageError: If they are damaged.
    """
    if kind == "jpeg":
        return _of_jpeg(data)
    if kind == "png":
        return _of_png(data)
    if kind == "webp":
        return _of_webp(data)
    if kind in ("heif", "avif"):
        return _of_items(data)
    if kind == "jp2":
        return _of_jp2(data)
    if kind == "bmp":
        return _of_bmp(data)
    if kind == "gif":  # it has no place for any that moves to another format
        return Metadata()
    raise ImageError(f"no metadata of {kind!r} files are known")


def _of_jpeg(data: bytes) -> Metadata:
    parts = jpeg.jpeg_metadata(data)
    exif = next((c for m, c in parts if m == b"\xe1" and c.startswith(jpeg.EXIF)), b"")
    exif = exif.removeprefix(jpeg.EXIF)
    resources = [c for m, c in parts if m == b"\xed" and c.startswith(jpeg.IPTC)]
    comments = [c.decode("utf-8", "replace").rstrip("\0") for m, c in parts if m == b"\xfe"]
    lost = [f"a segment APP{m[0] - 0xE0}" for m, _ in parts if m not in KNOWN_SEGMENTS]
    lost += _further(sum(map(jpeg.is_xmp, parts)))
    behind = jpeg.behind_jpeg(data)
    if behind.strip(b"\0"):
        lost.append(behind_words(behind))
    dpi, aspect = _jfif_density(parts)
    return Metadata(
        exif,
        jpeg_profile(parts),
        jpeg_xmp(parts),
        b"".join(c.removeprefix(jpeg.IPTC) for c in resources),
        dpi or _exif_density(exif),
        aspect,
        tuple(("", comment) for comment in comments if comment),
        tuple(dict.fromkeys(lost)),
    )


def _further(packets: int) -> Lines:
    """Say that of several XMP packets all but the first are left out."""
    return ("a second XMP packet",) if packets > 1 else ()


def behind_words(behind: bytes) -> str:
    """Say what stands behind the picture of a JPEG."""
    if b"ftyp" in behind[:64] or b"MotionPhoto_Data" in behind:
        return f"a video of {len(behind):,} bytes behind the picture"
    if behind.startswith(b"\xff\xd8"):
        gain = b"hdrgm" in behind[:4096] or b"HDRGainMap" in behind[:4096]
        return "the gain map (HDR) behind the picture" if gain else "the pictures behind the first"
    return f"{len(behind):,} bytes behind the picture"


def jpeg_profile(parts: list[Part]) -> bytes:
    """Return the ICC profile among a JPEG's segments; nothing if pieces are missing."""
    pieces = [c[len(jpeg.ICC) :] for m, c in parts if m == b"\xe2" and c.startswith(jpeg.ICC)]
    pieces = [piece for piece in pieces if len(piece) >= 2]
    whole = pieces and len({piece[0] for piece in pieces}) == len(pieces) == pieces[0][1]
    return b"".join(piece[2:] for piece in sorted(pieces, key=lambda p: p[0])) if whole else b""


def jpeg_standard_xmp(parts: list[Part]) -> bytes:
    """Return the XMP packet among a JPEG's segments, without any extension, or nothing."""
    return next((c[len(jpeg.XMP) :] for m, c in parts if jpeg.is_xmp((m, c))), b"")


def jpeg_xmp(parts: list[Part]) -> bytes:
    """Return the XMP packet among a JPEG's segments with its extension in it, or nothing.

    Raises:
        ImageError: If pieces of the extension are missing or damaged.
    """
    standard = jpeg_standard_xmp(parts)
    guid = xmp_packets.extension_of(standard) if standard else b""
    extension = jpeg.extended_xmp(parts, guid) if guid else b""
    if not extension:
        return standard
    try:
        return xmp_packets.merged(standard, extension)
    except ValueError as error:
        raise ImageError("damaged XMP; only --format keep can keep it") from error


def _jfif_density(parts: list[Part]) -> tuple[Pair | None, Pair | None]:
    """Return pixels an inch, or the shape of pixels, as the JFIF segment says."""
    for marker, content in parts:
        if marker == b"\xe0" and content.startswith(b"JFIF\0") and len(content) >= 12:
            unit, across, down = struct.unpack_from(">BHH", content, 7)
            if not across or not down:
                break
            if unit in (1, 2):
                factor = CENTIMETRES if unit == 2 else 1
                return (across * factor, down * factor), None
            return None, (across, down) if across != down else None
    return None, None


def _exif_density(exif: bytes) -> Pair | None:
    """Return pixels an inch as the EXIF says; None without a unit."""
    if not exif:
        return None
    across, down, unit = numbers_in(exif, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT)
    return density(across, down, unit)[0]


def density(
    across: float | None, down: float | None, unit: float | None
) -> tuple[Pair | None, Pair | None]:
    """Return what TIFF's tags say: pixels an inch, or the shape of pixels without a unit."""
    if not across or not down or across <= 0 or down <= 0:
        return None, None
    if unit in (None, 2, 3):  # an inch is the default
        factor = CENTIMETRES if unit == 3 else 1
        return (across * factor, down * factor), None
    return None, (across, down) if across != down else None


def _of_png(data: bytes) -> Metadata:
    chunks = list(png.png_chunks(data))
    named = dict(chunks)
    dpi: Pair | None = None
    aspect: Pair | None = None
    if len(size := named.get(b"pHYs", b"")) == 9:
        across, down, unit = struct.unpack(">IIB", size)
        if across and down:
            dpi = (across * INCH, down * INCH) if unit == 1 else None
            aspect = (across, down) if unit != 1 and across != down else None
    texts, raw, lost = _png_texts(chunks)
    known = png.PIXEL_CHUNKS | png.DEPTH_CHUNKS | png.COLOUR_CHUNKS
    known |= {b"pHYs", b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME"}
    lost += [f"a chunk {name.decode()}" for name, _ in chunks if name not in known]
    lost += _further(sum(map(png.is_xmp, chunks)))
    exif = named.get(b"eXIf") or raw.get(b"exif", b"") or raw.get(b"APP1", b"")
    resources = raw.get(b"8bim", b"")
    if not resources and raw.get(b"iptc"):
        resources = _resource(IPTC_RESOURCE, raw[b"iptc"])
    icc = png.inflated(named[b"iCCP"].partition(b"\0")[2][1:]) if b"iCCP" in named else b""
    return Metadata(
        exif.removeprefix(jpeg.EXIF),
        icc,
        png_xmp(chunks),
        resources,
        dpi,
        aspect,
        tuple(texts),
        tuple(dict.fromkeys(lost)),
    )


def _png_texts(
    chunks: list[Part],
) -> tuple[list[tuple[str, str]], dict[bytes, bytes], list[str]]:
    """Return the texts of a PNG, the raw profiles among them, and what is unreadable."""
    texts: list[tuple[str, str]] = []
    raw: dict[bytes, bytes] = {}
    lost: list[str] = []
    total = 0
    for name, content in chunks:
        if name not in (b"tEXt", b"zTXt", b"iTXt") or content.startswith(png.XMP):
            continue
        keyword, rest = png.text_of(content)
        text, code = rest, "latin-1"
        if name == b"zTXt":
            text = png.inflated(rest[1:])
        elif name == b"iTXt":
            fields = rest[2:].split(b"\0", 2)
            text = fields[2] if len(fields) == 3 else b""
            text, code = png.inflated(text) if rest[:1] == b"\1" else text, "utf-8"
        total += len(text)
        if total > png.LONGEST_TEXT:
            raise ImageError(f"the texts of a PNG hold more than {png.LONGEST_TEXT:,} bytes")
        if keyword.startswith(RAW_PROFILE):
            raw[keyword.removeprefix(RAW_PROFILE)] = _from_hex(text)
        elif text:
            texts.append((keyword.decode("latin-1"), text.decode(code, "replace")))
    return texts, raw, lost


def _from_hex(text: bytes) -> bytes:
    """Return what a raw profile holds: a name, a length and hexadecimal digits."""
    words = text.split()
    try:
        return bytes.fromhex(b"".join(words[2:]).decode())
    except ValueError:
        return b""


def png_xmp(chunks: list[Part]) -> bytes:
    """Return the XMP packet among a PNG's chunks, or nothing.

    Raises:
        ImageError: If its chunk is damaged.
    """
    for name, content in chunks:
        if png.is_xmp((name, content)):
            fields = content[len(png.XMP) + 2 :].split(b"\0", 2)
            if len(fields) < 3:
                raise ImageError("damaged or incomplete (the XMP chunk of a PNG)")
            return png.inflated(fields[2]) if content[len(png.XMP)] == 1 else fields[2]
    return b""


def _of_webp(data: bytes) -> Metadata:
    chunks = list(riff_chunks(data))
    named = dict(reversed(chunks))
    ours = {b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANMF", b"ICCP", b"EXIF", b"XMP "}
    lost = [f"a chunk {n.decode('latin-1')}" for n, _ in chunks if n not in ours]
    lost += _further(sum(name == b"XMP " for name, _ in chunks))
    exif = named.get(b"EXIF", b"").removeprefix(jpeg.EXIF)
    return Metadata(
        exif,
        named.get(b"ICCP", b""),
        named.get(b"XMP ", b""),
        dpi=_exif_density(exif),
        lost=tuple(dict.fromkeys(lost)),
    )


def _of_items(data: bytes) -> Metadata:
    whole = bmff.parse(data)
    packet = whole.described_by(b"mime")
    exif = exif_of_items(whole)
    return Metadata(
        exif,
        xmp=packet.content if packet else b"",
        dpi=_exif_density(exif),
        lost=tuple(items_beside(whole)),
    )


def exif_of_items(whole: bmff.Container) -> bytes:
    """Return the EXIF block, a TIFF structure, as it lies in a HEIC or AVIF file, or nothing."""
    item = whole.described_by(b"Exif")
    if item is None or len(item.content) < 4:
        return b""
    return item.content[4 + int.from_bytes(item.content[:4], "big") :].removeprefix(jpeg.EXIF)


def items_beside(whole: bmff.Container) -> list[str]:
    """Say what a HEIC or AVIF file holds beside its photo, its thumbnails and its opacity."""
    names = []
    for number in whole.pointing_at(whole.primary, b"auxl"):
        kind = whole.property_of(whole.items[number], b"auxC") or b""
        if b":alpha" in kind or b"auxid:1" in kind:
            continue
        depth = b"depth" in kind or b"auxid:2" in kind
        names.append(
            "a depth map" if depth else "the gain map (HDR)" if b"gain" in kind else "a mask"
        )
    pictures = bmff.CODED | bmff.DERIVED
    others = [
        item
        for item in whole.items.values()
        if item.kind in pictures and not item.hidden and item.number != whole.primary
    ]
    aside = {r.source for r in whole.references if r.kind in (b"thmb", b"auxl")}
    others = [item for item in others if item.number not in aside]
    if others:
        names.append(f"{len(others)} more picture{'s' if len(others) > 1 else ''}")
    if any(item.kind == b"tmap" for item in whole.items.values()):
        names.append("the gain map (HDR)")
    if any(name == b"mpvd" for name, _ in whole.outside):
        names.append("a video")
    return list(dict.fromkeys(names))


def _of_jp2(data: bytes) -> Metadata:
    if data.startswith(jp2.CODESTREAM):
        return Metadata()
    exif = jp2.uuid_content(data, jp2.EXIF_UUID)
    iptc = jp2.uuid_content(data, jp2.IPTC_UUID)
    dpi = _jp2_density(dict(jp2.header_parts(data)).get(b"res ", b""))
    parts = list(bmff.boxes(data))
    known = (jp2.EXIF_UUID, jp2.IPTC_UUID, jp2.XMP_UUID)
    lost = ["an XML box" for name, _ in parts if name == b"xml "][:1]
    lost += ["a program's own box" for name, c in parts if name == b"uuid" and c[:16] not in known]
    lost += _further(sum(n == b"uuid" and c.startswith(jp2.XMP_UUID) for n, c in parts))
    more = sum(name == b"jp2c" for name, _ in parts) - 1
    lost += [f"{more} more picture{'s' if more > 1 else ''}"] if more else []
    return Metadata(
        exif.removeprefix(jpeg.EXIF),
        b"",
        jp2.uuid_content(data, jp2.XMP_UUID),
        _resource(IPTC_RESOURCE, iptc) if iptc else b"",
        dpi or _exif_density(exif),
        lost=tuple(dict.fromkeys(lost)),
    )


def _jp2_density(content: bytes) -> Pair | None:
    """Return pixels an inch as the ``res`` box of a JPEG 2000 file says."""
    for _, one in bmff.boxes(content):
        if len(one) < 10:
            continue
        down, down_by, across, across_by, *powers = struct.unpack_from(">4H2b", one)
        if down_by and across_by and max(map(abs, powers)) < 10:
            metre = down / down_by * 10.0 ** powers[0], across / across_by * 10.0 ** powers[1]
            return metre[1] * INCH, metre[0] * INCH
    return None


def _of_bmp(data: bytes) -> Metadata:
    header = bmp_header(data)
    if len(header.info) < 40:
        return Metadata()
    across, down = struct.unpack_from("<ii", header.info, 24)
    return Metadata(dpi=(across * INCH, down * INCH) if across > 0 and down > 0 else None)


def _resource(number: int, content: bytes) -> bytes:
    head = b"8BIM" + struct.pack(">H", number) + b"\0\0" + struct.pack(">I", len(content))
    return head + content + b"\0" * (len(content) % 2)


def iptc_of(resources: bytes) -> bytes:
    """Return the IPTC block among Photoshop's image resources, or nothing.

    Raises:
        ImageError: If the resources are damaged.
    """
    position = 0
    while resources[position : position + 4] == b"8BIM" and position + 12 <= len(resources):
        (number,) = struct.unpack_from(">H", resources, position + 4)
        name = resources[position + 6] + 1  # a length byte and a name, padded to even
        start = position + 6 + name + name % 2
        length = int.from_bytes(resources[start : start + 4], "big")
        if start + 4 + length > len(resources):
            raise ImageError("its IPTC is damaged; only --format keep can keep it")
        if number == IPTC_RESOURCE:
            return resources[start + 4 : start + 4 + length]
        position = start + 4 + length + length % 2
    return b""


def resources_of_iptc(iptc: bytes) -> bytes:
    """Return an IPTC block as Photoshop's image resources."""
    return _resource(IPTC_RESOURCE, iptc) if iptc else b""


def jpeg_parts(metadata: Metadata) -> tuple[list[Part], Lines]:
    """Return metadata, all but the XMP, as segments of a JPEG, and what it cannot hold."""
    parts = []
    pair = metadata.dpi or metadata.aspect
    if pair:
        density = struct.pack(">HH", *(_bounded(n, 65535) for n in pair))
        parts.append((b"\xe0", b"JFIF\0\1\1" + bytes([bool(metadata.dpi)]) + density + b"\0\0"))
    if metadata.exif:
        parts.append((b"\xe1", jpeg.EXIF + metadata.exif))
    parts += [(b"\xed", jpeg.IPTC + piece) for piece in _pieces(metadata.resources)]
    pieces = _pieces(metadata.icc)
    for number, piece in enumerate(pieces, start=1):
        parts.append((b"\xe2", jpeg.ICC + bytes([number, len(pieces)]) + piece))
    for keyword, text in metadata.texts:
        said = text if keyword in ("", "Comment") else f"{keyword}: {text}"
        parts += [(b"\xfe", piece) for piece in _pieces(said.encode())]
    return parts, metadata.lost


def _pieces(data: bytes) -> list[bytes]:
    return [data[start : start + PIECE] for start in range(0, len(data), PIECE)]


def _bounded(number: float, limit: int = 2**32 - 1) -> int:
    return min(max(round(number), 0), limit)


def png_parts(metadata: Metadata) -> tuple[list[Part], Lines]:
    """Return metadata, all but the XMP, as chunks of a PNG, and what it cannot hold."""
    parts = []
    if metadata.icc:
        parts.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc)))
    if metadata.dpi:
        pixels_per_metre = [_bounded(n / INCH) for n in metadata.dpi]
        parts.append((b"pHYs", struct.pack(">IIB", *pixels_per_metre, 1)))
    elif metadata.aspect:
        parts.append((b"pHYs", struct.pack(">IIB", *map(_bounded, metadata.aspect), 0)))
    if metadata.exif:
        parts.append((b"eXIf", metadata.exif))
    iptc = iptc_of(metadata.resources)
    if iptc:  # no standard, but what ImageMagick writes and exiftool reads
        text = f"\niptc\n{len(iptc):8}\n{iptc.hex()}\n".encode()
        parts.append((b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(text)))
    for keyword, said in metadata.texts:
        name = (keyword or "Comment").encode("latin-1", "replace")[:79]
        parts.append((b"iTXt", name + b"\0\0\0\0\0" + said.encode()))
    return parts, metadata.lost


def webp_parts(metadata: Metadata) -> tuple[list[Part], Lines]:
    """Return metadata, all but the XMP, as chunks of a WebP file, and what it cannot hold."""
    named = ((b"ICCP", metadata.icc), (b"EXIF", metadata.exif))
    lost = list(metadata.lost)
    if iptc_of(metadata.resources):
        lost.append("IPTC fields")
    if metadata.texts:
        lost.append("comments")
    if metadata.dpi and not _exif_density(metadata.exif):
        lost.append("the resolution")
    return [(name, content) for name, content in named if content], tuple(lost)


def tiff_template(metadata: Metadata) -> tuple[bytes, Lines]:
    """Return a TIFF without a picture that has the metadata, and what it cannot hold.

    The XMP and the ICC profile are not in it.

    Raises:
        ImageError: If the EXIF is damaged.
    """
    iptc = iptc_of(metadata.resources)
    blocks = {RESOURCES: metadata.resources, IPTC: iptc}

    def describe(file: BinaryIO, layout: Layout, directory: Directory) -> None:
        directory.drop(*STRUCTURE)
        pair = metadata.dpi or metadata.aspect or ()
        for tag, number in zip((X_RESOLUTION, Y_RESOLUTION), pair, strict=False):
            directory.drop(tag)
            fraction = layout.pack("II", _bounded(number * 1000), 1000)
            set_bytes(file, layout, directory, tag, fraction, kind=RATIONAL, count=1)
        if pair:
            directory.drop(RESOLUTION_UNIT)
            unit = 2 if metadata.dpi else 1
            set_numbers(file, layout, directory, RESOLUTION_UNIT, [unit])
        for tag, block in blocks.items():
            if block:
                set_bytes(file, layout, directory, tag, block, kind=UNDEFINED)
        if metadata.texts:
            lines = (f"{k}: {t}" if k not in ("", "Comment") else t for k, t in metadata.texts)
            said = "\n".join(lines)
            known = [entry for entry in directory.entries if entry.tag == DESCRIPTION]
            directory.drop(DESCRIPTION)
            text = said.encode() + b"\0"
            set_bytes(file, layout, directory, DESCRIPTION, text, kind=ASCII)
            directory.entries = [*known, *directory.entries]  # a file may have two of them

    return with_directory(metadata.exif, describe, alone=True), metadata.lost
