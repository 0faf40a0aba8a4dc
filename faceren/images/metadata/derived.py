"""What a file says that follows from its picture: its resolution, and small pictures beside it.

Pixels an inch grow with the picture, so that it prints as large as the original; what names the
size in pixels is multiplied. Thumbnails are drawn anew, as the old ones would show the faces as
they were; nothing in an EXIF block moves for it, as makers' notes point into it: the new picture
takes the place of the old one. Every other byte of the metadata stays.
"""

import struct
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image

from faceren.arrays import Rgb8
from faceren.errors import ImageError
from faceren.images.checks import DAMAGE
from faceren.images.containers import Part, jpeg
from faceren.images.metadata import xmp
from faceren.images.metadata.fields import Metadata
from faceren.images.page import Page
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
    if name == b"fcTL" and len(content) >= 20:  # of an animation of this picture alone
        sides = struct.unpack_from(">4I", content, 4)
        grown = struct.pack(">4I", *(min(n * scale, 2**31 - 1) for n in sides))
        return name, content[:4] + grown + content[20:]
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


COMPRESSION, OFFSET, LENGTH = 0x0103, 0x0201, 0x0202
"""Tags of EXIF's second directory: how its picture is coded, where it is, how long it is."""
LAYOUT = ">6I2H"
"""Of the head of Photoshop's: coding (1 is JPEG), width, height, two lengths, the length of the
JPEG, bits, planes."""
BLUE_FIRST, RED_FIRST = 0x0409, 0x040C
"""Photoshop's resources of a small picture, of version 4 and later."""
PIECE = 65_000
"""Bytes of resources in one JPEG segment."""
JPEG = b"\xff\xd8"
LARGEST = 2048
"""Most pixels a side of what is taken for a thumbnail."""
QUALITIES = (90, 80, 70, 60, 50, 40, 30, 20)
SAME_SHAPE = 0.03
"""Relative difference of the sides' ratios up to which no bars are drawn."""
GONE = "the small picture in the {}, which showed the original and cannot be made anew"

Lines = tuple[str, ...]


def parts_renewed(parts: Sequence[Part], page: Page) -> tuple[list[Part], Lines]:
    """Return segments or chunks with new small pictures in them, and what had to be left out.

    Args:
        parts: Of a JPEG, PNG or WebP file.
        page: The photo as it is now.
    """
    made, lost = list(parts), Lines()
    first = next((n for n, part in enumerate(made) if jpeg.is_xmp(part)), None)  # is written anew
    for place, (name, content) in enumerate(made):
        head = jpeg.EXIF if content.startswith(jpeg.EXIF) else b""
        if name in (b"eXIf", b"EXIF") or (name == b"\xe1" and head):
            block, gone = exif_renewed(content.removeprefix(head), page)
            made[place], lost = (name, head + block), lost + gone
        elif name == b"\xe0" and page.touched:
            new = _jfif_renewed(content, page)
            made[place], lost = (name, new), lost if new else (*lost, GONE.format("JFXX segment"))
        elif name == b"\xe1" and content.startswith(jpeg.XMP) and place != first:
            block, gone = xmp_renewed(content.removeprefix(jpeg.XMP), (page,))
            made[place], lost = (name, jpeg.XMP + block), lost + gone
    made = [part for part in made if part != (b"\xe0", b"")]
    theirs = [part for part in made if part[0] == b"\xed" and part[1].startswith(jpeg.IPTC)]
    old = b"".join(content.removeprefix(jpeg.IPTC) for _, content in theirs)
    new, gone = resources_renewed(old, page)
    if new != old:
        pieces = [new[start : start + PIECE] for start in range(0, len(new), PIECE)]
        first = made.index(theirs[0])
        made = [part for part in made if part not in theirs]
        made[first:first] = [(b"\xed", jpeg.IPTC + piece) for piece in pieces]
    return made, lost + gone


def exif_renewed(exif: bytes, page: Page) -> tuple[bytes, Lines]:
    """Return an EXIF block, as long as it was, with a new small picture in it.

    Args:
        exif: A TIFF structure, or nothing; what is damaged stays as it is.
        page: The photo as it is now.
    """
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if not page.touched or order is None:
        return exif, ()
    block = bytearray(exif)
    try:
        directory = struct.unpack_from(order + "I", exif, 4)[0]
        pointer = int(directory + 2 + 12 * struct.unpack_from(order + "H", exif, directory)[0])
        (second,) = struct.unpack_from(order + "I", exif, pointer)
        if not second:
            return exif, ()
        places = {}
        for index in range(struct.unpack_from(order + "H", exif, second)[0]):
            entry = second + 2 + 12 * index
            tag, kind = struct.unpack_from(order + "HH", exif, entry)
            code = order + ("H" if kind == 3 else "I")
            places[tag] = (entry + 8, code, struct.unpack_from(code, exif, entry + 8)[0])
    except struct.error:
        return exif, ()
    if OFFSET in places and LENGTH in places:
        start, (field, code, length) = places[OFFSET][2], places[LENGTH]
        old = exif[start : start + length]
        new = _like(old, page, most=len(old))
        if new or old.startswith(JPEG):
            block[start : start + len(old)] = new.ljust(len(old), b"\0")
        if new:
            struct.pack_into(code, block, field, len(new))
            return bytes(block), ()
    elif COMPRESSION not in places:
        return exif, ()
    struct.pack_into("4x", block, pointer)
    return bytes(block), (GONE.format("EXIF"),)


def resources_renewed(resources: bytes, page: Page) -> tuple[bytes, Lines]:
    """Return Photoshop's image resources with a new small picture; what is damaged stays.

    Args:
        resources: See ``Metadata.resources``.
        page: The photo as it is now.
    """
    if not page.touched:
        return resources, ()
    made, lost, position = [], Lines(), 0
    while resources[position : position + 4] == b"8BIM" and position + 12 <= len(resources):
        (number,) = struct.unpack_from(">H", resources, position + 4)
        name = resources[position + 6] + 1  # a length byte and a name, padded to even
        start = position + 10 + name + name % 2
        length = int.from_bytes(resources[start - 4 : start], "big")
        end = start + length + length % 2
        one = resources[position:end]
        if number in (BLUE_FIRST, RED_FIRST):
            content = _picture_renewed(resources[start : start + length], page, number)
            size = len(content).to_bytes(4, "big")
            padded = content + b"\0" * (len(content) % 2)
            one = resources[position : start - 4] + size + padded if content else b""
            lost += () if content else (GONE.format("Photoshop resources"),)
        made.append(one)
        position = end
    return b"".join(made) + resources[position:], lost


def _jfif_renewed(content: bytes, page: Page) -> bytes:
    """Return the content of a JFIF or JFXX segment with a new small picture; nothing drops it."""
    if content.startswith(b"JFXX\0\x10"):
        new = _like(content[6:], page, most=PIECE)
        return content[:6] + new if new else b""
    if content.startswith(b"JFXX\0\x11"):
        return b""  # of a palette
    head = {b"JFXX\0\x13": 6, b"JFIF\0\1": 12}.get(content[:6], len(content))
    sides = content[head : head + 2]
    if len(sides) < 2 or not all(sides) or len(content) < head + 2 + 3 * sides[0] * sides[1]:
        return content
    end = head + 2 + 3 * sides[0] * sides[1]
    shown = np.frombuffer(content[head + 2 : end], np.uint8).reshape(sides[1], sides[0], 3)
    return content[: head + 2] + _view_like(shown, page).tobytes() + content[end:]


def shows_pictures(packet: bytes) -> bool:
    """Say whether an XMP packet, or a piece of one, holds small pictures."""
    return xmp.PICTURE[0].encode() in packet


def xmp_renewed(packet: bytes, pages: Sequence[Page]) -> tuple[bytes, Lines]:
    """Return an XMP packet with new small pictures, and what had to be left out.

    Args:
        packet: An XMP packet, or nothing.
        pages: The photos as they are now; of several it is not known which is shown.
    """
    if not any(page.touched for page in pages):
        return packet, ()

    def renewed(old: bytes) -> bytes:
        return _like(old, pages[0], most=len(old)) if len(pages) == 1 else b""

    new, gone = xmp.with_pictures(packet, renewed)
    return new, (GONE.format("XMP"),) if gone else ()


def _picture_renewed(content: bytes, page: Page, number: int) -> bytes:
    """Return the content of Photoshop's resource of a small picture, or nothing."""
    size = struct.calcsize(LAYOUT)
    if len(content) < size:
        return b""
    coding, *known = struct.unpack_from(LAYOUT, content)
    blue_first = number == BLUE_FIRST
    new = _like(content[size:], page, blue_first=blue_first) if coding == 1 else b""
    known[4] = len(new)
    return struct.pack(LAYOUT, coding, *known) + new if new else b""


def _like(old: bytes, page: Page, *, most: int = 2**32, blue_first: bool = False) -> bytes:
    """Return a JPEG of the photo that shows it as an old one did; nothing if there is none.

    Args:
        old: A JPEG.
        page: The photo.
        most: Bytes that it may have.
        blue_first: Red and blue are exchanged in it.
    """
    try:
        frame = jpeg.frame_of(old)
        if not 0 < max(frame.width, frame.height) <= LARGEST:
            return b""
        with Image.open(BytesIO(old), formats=["JPEG"]) as image:
            gray, shown = image.mode == "L", np.asarray(image.convert("RGB"))
    except (ImageError, *DAMAGE):
        return b""
    shown = shown[..., ::-1] if blue_first else shown
    new = _view_like(shown, page)
    new = np.ascontiguousarray(new[..., ::-1]) if blue_first else new
    picture = Image.fromarray(new).convert("L" if gray else "RGB")
    for quality in QUALITIES:
        stream = BytesIO()
        picture.save(stream, "JPEG", quality=quality, optimize=True)
        if stream.tell() <= most:
            return stream.getvalue()
    return b""


def _view_like(shown: Rgb8, page: Page) -> Rgb8:
    """Return the photo as a small picture shows it: of its size, turned upright or as stored."""
    views = [_fitted(replace(page, orientation=1), shown.shape), _fitted(page, shown.shape)]
    return min(views, key=lambda view: float(np.abs(view.astype(np.float32) - shown).mean()))


def _fitted(page: Page, shape: Sequence[int]) -> Rgb8:
    """Return a photo of so many pixels, with black bars if its sides are in another ratio."""
    height, width = shape[:2]
    step = max(1, min(page.raster.shape[:2]) // (4 * max(height, width)))
    seen = np.array(replace(page, raster=page.raster[::step, ::step]).upright_uint8())
    ratio = (seen.shape[1] / seen.shape[0]) / (width / height)
    inner = (width, height)
    if abs(np.log(ratio)) > SAME_SHAPE:
        inner = (width, max(1, round(height / ratio))) if ratio > 1 else inner
        inner = (max(1, round(width * ratio)), height) if ratio < 1 else inner
    made = np.zeros((height, width, 3), np.uint8)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    small = cv2.resize(seen, inner, interpolation=cv2.INTER_AREA)
    made[top : top + inner[1], left : left + inner[0]] = small
    return made
