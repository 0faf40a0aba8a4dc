"""What a file says about its picture, in a form that can move to a file of another format."""

import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from faceren.images.containers import Part, jpeg
from faceren.images.containers.png import XMP as PNG_XMP
from faceren.images.containers.png import png_chunks
from faceren.images.containers.webp import riff_chunks
from faceren.images.decode import heif_info, opened
from faceren.images.metadata.exif import Value, Values, exif_block, exif_of_tiff, values_of

INCH = 0.0254
PIECE = 65_000
"""Bytes of a profile or of IPTC in one JPEG segment."""
IPTC_RESOURCE = 0x0404
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT, IPTC, RESOURCES = 282, 283, 296, 33723, 34377
SHORT, RATIONAL, UNDEFINED = 3, 5, 7
"""Types of TIFF values."""


@dataclass(frozen=True)
class Metadata:
    """Metadata of one picture."""

    exif: bytes = b""
    """A TIFF structure."""
    icc: bytes = b""
    xmp: bytes = b""
    resources: bytes = b""
    """Photoshop's image resources, which hold the IPTC fields."""
    dpi: tuple[float, float] | None = None


def metadata_of(path: Path, kind: str, data: bytes) -> Metadata:
    """Return the metadata of a photo.

    Args:
        path: The file.
        kind: Its format.
        data: Its bytes; not needed for a TIFF.
    """
    if kind == "tiff":
        return _of_tiff(path)
    if kind == "jpeg":
        return _of_jpeg(data)
    with opened(path, kind) as image:
        info = heif_info(path) if kind == "heif" else image.info
        exif = (info.get("exif") or b"").removeprefix(jpeg.EXIF)
        xmp, dpi = info.get("xmp") or b"", info.get("dpi")
        icc = info.get("icc_profile") or b""
    if kind == "png":
        xmp = png_xmp(list(png_chunks(data)))
    if kind == "webp":
        parts = dict(riff_chunks(data))
        exif, xmp = parts.get(b"EXIF", b"").removeprefix(jpeg.EXIF), parts.get(b"XMP ", b"")
    return Metadata(exif, icc, xmp if isinstance(xmp, bytes) else xmp.encode(), b"", dpi)


def _of_jpeg(data: bytes) -> Metadata:
    parts = jpeg.jpeg_metadata(data)
    exif = [c for m, c in parts if m == b"\xe1" and c.startswith(jpeg.EXIF)]
    with opened(BytesIO(data), "jpeg") as image:
        icc, dpi = image.info.get("icc_profile") or b"", image.info.get("dpi")
    resources = [c for m, c in parts if m == b"\xed" and c.startswith(jpeg.IPTC)]
    return Metadata(
        exif[0].removeprefix(jpeg.EXIF) if exif else b"",
        icc,
        jpeg_xmp(parts),
        b"".join(c.removeprefix(jpeg.IPTC) for c in resources),
        dpi,
    )


def _of_tiff(path: Path) -> Metadata:
    import tifffile  # here: training must run without it

    with tifffile.TiffFile(path) as file:
        tags = {tag.code: tag.value for tag in file.pages[0].tags}
        resolution = file.pages[0].get_resolution("inch") if X_RESOLUTION in tags else None
    resources = bytes(tags.get(RESOURCES, b""))
    if not resources and IPTC in tags:
        resources = _resource(IPTC_RESOURCE, bytes(tags[IPTC]))
    xmp = tags.get(700, b"")
    return Metadata(
        exif_of_tiff(path),
        bytes(tags.get(34675, b"")),
        xmp.encode() if isinstance(xmp, str) else bytes(xmp),
        resources,
        resolution,
    )


def _resource(number: int, content: bytes) -> bytes:
    head = b"8BIM" + struct.pack(">H", number) + b"\0\0" + struct.pack(">I", len(content))
    return head + content + b"\0" * (len(content) % 2)


def iptc_of(resources: bytes) -> bytes:
    """Return the IPTC block among Photoshop's image resources, or nothing."""
    position = 0
    while resources[position : position + 4] == b"8BIM" and position + 12 <= len(resources):
        (number,) = struct.unpack_from(">H", resources, position + 4)
        name = resources[position + 6] + 1  # a length byte and a name, padded to even
        start = position + 6 + name + name % 2
        (length,) = struct.unpack_from(">I", resources, start)
        if number == IPTC_RESOURCE:
            return resources[start + 4 : start + 4 + length]
        position = start + 4 + length + length % 2
    return b""


def png_xmp(chunks: list[Part]) -> bytes:
    """Return the XMP packet among a PNG's chunks, or nothing."""
    for name, content in chunks:
        if name == b"iTXt" and content.startswith(PNG_XMP):
            compressed = content[len(PNG_XMP)] == 1
            text = content[len(PNG_XMP) + 2 :].split(b"\0", 2)[2]
            return zlib.decompressobj().decompress(text, 1 << 24) if compressed else text
    return b""


def jpeg_xmp(parts: list[Part]) -> bytes:
    """Return the XMP packet among a JPEG's segments, or nothing."""
    found = [c for marker, c in parts if marker == b"\xe1" and c.startswith(jpeg.XMP)]
    return found[0][len(jpeg.XMP) :] if found else b""


def jpeg_parts(metadata: Metadata) -> list[Part]:
    """Return metadata, all but the XMP, as segments of a JPEG."""
    parts = []
    if metadata.dpi:
        density = struct.pack(">HH", *(_bounded(n, 65535) for n in metadata.dpi))
        parts.append((b"\xe0", b"JFIF\0\1\1\1" + density + b"\0\0"))
    if metadata.exif:
        parts.append((b"\xe1", jpeg.EXIF + metadata.exif))
    parts += [(b"\xed", jpeg.IPTC + piece) for piece in _pieces(metadata.resources)]
    pieces = _pieces(metadata.icc)
    for number, piece in enumerate(pieces, start=1):
        parts.append((b"\xe2", jpeg.ICC + bytes([number, len(pieces)]) + piece))
    return parts


def _pieces(data: bytes) -> list[bytes]:
    return [data[start : start + PIECE] for start in range(0, len(data), PIECE)]


def _bounded(number: float, limit: int = 2**32 - 1) -> int:
    return min(max(round(number), 0), limit)


def png_parts(metadata: Metadata) -> list[Part]:
    """Return metadata, all but the XMP, as chunks of a PNG."""
    parts = []
    if metadata.icc:
        parts.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc)))
    if metadata.dpi:
        pixels_per_metre = [_bounded(n / INCH) for n in metadata.dpi]
        parts.append((b"pHYs", struct.pack(">IIB", *pixels_per_metre, 1)))
    if metadata.exif:
        parts.append((b"eXIf", metadata.exif))
    iptc = iptc_of(metadata.resources)
    if iptc:  # no standard, but what ImageMagick writes and exiftool reads
        text = f"\niptc\n{len(iptc):8}\n{iptc.hex()}\n".encode()
        parts.append((b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(text)))
    return parts


def webp_parts(metadata: Metadata) -> list[Part]:
    """Return metadata, all but the XMP, as chunks of a WebP file, which holds no IPTC or dpi."""
    named = ((b"ICCP", metadata.icc), (b"EXIF", metadata.exif))
    return [(name, content) for name, content in named if content]


def tiff_template(metadata: Metadata) -> bytes:
    """Return a TIFF without a picture that has the metadata, all but the XMP and ICC profile.

    Raises:
        ImageError: If the EXIF is damaged.
    """
    order, values = "<", dict[int, Value | Values]()
    if metadata.exif:
        order, values = values_of(BytesIO(metadata.exif))
    if metadata.dpi:
        for tag, number in zip((X_RESOLUTION, Y_RESOLUTION), metadata.dpi, strict=True):
            fraction = struct.pack(order + "II", _bounded(number * 1000), 1000)
            values[tag] = Value(RATIONAL, 1, fraction)
        values[RESOLUTION_UNIT] = Value(SHORT, 1, struct.pack(order + "H", 2))
    iptc = iptc_of(metadata.resources)
    for tag, block in ((RESOURCES, metadata.resources), (IPTC, iptc)):
        if block:
            values[tag] = Value(UNDEFINED, len(block), block)
    return exif_block(order, values)
