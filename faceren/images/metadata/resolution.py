"""What a file says about the size of its picture, brought in line with an enlarged one.

Pixels an inch grow with the picture, so that it prints as large as the original; what names the
size in pixels is multiplied. Every other byte of the metadata stays.
"""

import struct
from dataclasses import replace
from io import BytesIO
from typing import BinaryIO

from faceren.errors import ImageError
from faceren.images.containers import Part, jpeg
from faceren.images.metadata import xmp
from faceren.images.metadata.fields import Metadata
from faceren.images.tiff.directory import LONG, SHORT, Layout, directories, directory_at, layout_of

RATIONAL = 5
EXIF_POINTER = 0x8769
DEEPEST = 3
"""Directories in directories that are looked into."""
DENSITIES = {282, 283, 0xA20E, 0xA20F}
"""X and Y resolution, and those of the focal plane."""
SIDES = {0xA002, 0xA003}
"""PixelXDimension and PixelYDimension."""
RASTER_SIDES = {256, 257}
"""ImageWidth and ImageLength, which in a TIFF describe the raster itself."""
RESOLUTION_RESOURCE = b"8BIM\x03\xed\0\0\0\0\0\x10"
"""How Photoshop's resolution begins: number, no name, 16 bytes."""
LIMIT = 2**32 - 1


def metadata_enlarged(known: Metadata, scale: int) -> Metadata:
    """Return the metadata of a picture that has become ``scale`` times as large."""
    dpi = None if known.dpi is None else (known.dpi[0] * scale, known.dpi[1] * scale)
    return replace(
        known,
        exif=exif_enlarged(known.exif, scale),
        xmp=xmp.enlarged(known.xmp, scale),
        resources=_resources_enlarged(known.resources, scale),
        dpi=dpi,
    )


def jpeg_part_enlarged(part: Part, scale: int) -> Part:
    """Return a JPEG's metadata segment: JFIF, EXIF and Photoshop's resolution are multiplied."""
    marker, content = part
    jfif = marker == b"\xe0" and content.startswith(b"JFIF\0") and len(content) >= 12
    if jfif and content[7] in (1, 2):
        densities = struct.unpack(">HH", content[8:12])
        grown = struct.pack(">HH", *(min(n * scale, 65535) for n in densities))
        return marker, content[:8] + grown + content[12:]
    if marker == b"\xe1" and content.startswith(jpeg.EXIF):
        return marker, exif_enlarged(content, scale)
    if marker == b"\xed" and content.startswith(jpeg.IPTC):
        return marker, _resources_enlarged(content, scale)
    return part


def chunk_enlarged(part: Part, scale: int) -> Part:
    """Return a metadata chunk of a PNG or WebP file: resolution and EXIF are multiplied."""
    name, content = part
    if name == b"pHYs" and content[8:9] == b"\1":
        densities = struct.unpack(">II", content[:8])
        grown = struct.pack(">II", *(min(n * scale, 2**31 - 1) for n in densities))
        return name, grown + content[8:]
    if name in (b"eXIf", b"EXIF"):
        return name, exif_enlarged(content, scale)
    return part


def exif_enlarged(block: bytes, scale: int) -> bytes:
    """Return an EXIF block, with or without its prefix; one that is damaged stays as it is."""
    prefix = jpeg.EXIF if block.startswith(jpeg.EXIF) else b""
    file = BytesIO(block[len(prefix) :])
    try:
        layout = layout_of(file)
        (offset,) = layout.read(file, layout.first_pointer, layout.offset)
        enlarge_directory(file, layout, offset, scale, sides=SIDES | RASTER_SIDES)
    except (struct.error, LookupError, OverflowError, ValueError, ImageError):
        return block
    grown = file.getvalue()
    return prefix + grown if len(prefix + grown) == len(block) else block


def tiff_enlarged(file: BinaryIO, scale: int) -> None:
    """Multiply, in place, the resolutions of all pages of a TIFF and the sizes in their EXIF."""
    layout, done = layout_of(file), set[int]()
    for directory in directories(file, layout):
        enlarge_directory(file, layout, directory.offset, scale, sides=SIDES, done=done)


def enlarge_directory(
    file: BinaryIO,
    layout: Layout,
    offset: int,
    scale: int,
    *,
    sides: set[int],
    done: set[int] | None = None,
    depth: int = 0,
) -> None:
    """Multiply, in place, what one directory of a TIFF or EXIF block and its EXIF say.

    Args:
        file: Open for reading and writing.
        layout: The file's.
        offset: Where the directory stands.
        scale: Factor.
        sides: Tags that hold a number of pixels.
        done: Places that are multiplied already, as tags and pages may share one; extended.
        depth: How many directories are around this one.

    Raises:
        ImageError: If it has too many entries.
        struct.error: If the block ends too early.
    """
    done = set() if done is None else done
    if offset in done or depth == DEEPEST:
        return
    done.add(offset)
    directory = directory_at(file, layout, offset)
    width = 20 if layout.big else 12
    start = directory.next_pointer - width * len(directory.entries)
    for place, entry in enumerate(directory.entries):
        at = start + width * place
        field = at + (12 if layout.big else 8)
        if entry.tag == EXIF_POINTER and entry == directory.get(EXIF_POINTER):
            (below,) = layout.read(file, field, layout.offset)
            enlarge_directory(file, layout, below, scale, sides=sides, done=done, depth=depth + 1)
        elif entry.tag in DENSITIES and entry.kind == RATIONAL and entry.count == 1:
            fraction = field if layout.big else layout.read(file, field, "I")[0]
            if fraction not in done:
                done.add(fraction)
                _enlarge_fraction(file, layout, fraction, scale)
        elif entry.tag in sides and entry.kind in (SHORT, LONG) and entry.count == 1:
            (value,) = layout.read(file, field, "H" if entry.kind == SHORT else "I")
            _put(file, at + 2, layout.pack("H", LONG))  # a SHORT may be too small now
            _put(file, field, layout.pack("I", min(value * scale, LIMIT)))


def _enlarge_fraction(file: BinaryIO, layout: Layout, place: int, scale: int) -> None:
    above, below = layout.read(file, place, "II")
    if above * scale > LIMIT:
        below = max(1, below // scale)
    else:
        above *= scale
    _put(file, place, layout.pack("II", above, below))


def _put(file: BinaryIO, place: int, data: bytes) -> None:
    file.seek(place)
    file.write(data)


def _resources_enlarged(resources: bytes, scale: int) -> bytes:
    start = resources.find(RESOLUTION_RESOURCE)
    at = start + len(RESOLUTION_RESOURCE)
    if start < 0 or len(resources) < at + 16:
        return resources
    across, units, down = struct.unpack_from(">I4sI", resources, at)
    grown = struct.pack(">I4sI", min(across * scale, LIMIT), units, min(down * scale, LIMIT))
    return resources[:at] + grown + resources[at + len(grown) :]
