"""Write pictures: plain ones, and photos with all that their files said about them."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from faceren.arrays import Rgb8
from faceren.config import FileFormat
from faceren.errors import ImageError, MachineError, ShapeError
from faceren.files import atomic_path
from faceren.images import encode
from faceren.images.checks import DAMAGE, named, shown, unreadable
from faceren.images.colour import fits
from faceren.images.containers import Part, bmp, jp2, jpeg, png, webp
from faceren.images.encode import encode_jpeg
from faceren.images.items import joined_items
from faceren.images.metadata import derived, fields, xmp
from faceren.images.metadata.exif import oriented
from faceren.images.metadata.xmp import Restoration, annotated
from faceren.images.page import Page
from faceren.images.photo import Photo
from faceren.images.tiff.document import new_document, write_pages
from faceren.images.tiff.read import metadata_of_tiff
from faceren.images.verify import check_written, doubts_about

KINDS = {"png": "png", "jpg": "jpeg", "webp": "webp", "tiff": "tiff"}
LONGEST_SIDE = {"webp": 16_383, "jpeg": 65_500, "avif": 65_535, "heif": 16_384, "png": 2**31 - 1}
"""Pixels a side that a format, or its only encoder, can have."""


def kind_of_target(kind: str, format: FileFormat) -> str:  # noqa: A002 (the option's name)
    """Return the kind of file that a photo of a kind is written as."""
    return kind if format == "keep" else KINDS[format]


def check_target(photo: Photo, format: FileFormat, scale: int = 1) -> None:  # noqa: A002
    """Refuse a photo that a format cannot hold.

    Args:
        photo: As it was read.
        format: ``keep`` the photo's, or another.
        scale: How many times as large as ``photo`` the output will be.

    Raises:
        ImageError: GIF (256 colours), transparency in JPEG, several pages in other than TIFF, or a
            side that is too long.
    """
    kind = kind_of_target(photo.kind, format)
    name = shown(photo.path)
    if kind == "gif":
        raise ImageError(
            f"{name}: a GIF holds 256 colours, too few for a restored photo; use --format png"
        )
    if kind != "tiff" and len(photo.pages) > 1:
        raise ImageError(f"{name}: only TIFF holds {len(photo.pages)} pages; use --format keep")
    page = photo.pages[0]
    if said := _too_long(kind, max(page.raster.shape[:2]) * scale):
        raise ImageError(f"{name}: {said}; use --format tiff or png, or a smaller --scale")
    alpha = page.alpha_channel
    if kind == "jpeg" and alpha is not None:
        opacity = page.raster[..., alpha]
        if (opacity != np.iinfo(opacity.dtype).max).any():
            raise ImageError(
                f"{name}: a JPEG cannot hold this photo's transparency; use --format png or webp"
            )


def limit_beyond(
    photo: Photo,
    format: FileFormat,  # noqa: A002
    scale: int,
    max_pixels: int,
) -> str:
    """Return what a photo would have, enlarged, that is beyond a limit; empty if nothing is.

    The limits are those of ``check_target`` and ``enlarged``; and of memory, which ``max_pixels``
    of 24 bits may take and no more, as nobody has asked for so large a photo.

    Args:
        photo: As it was read.
        format: ``keep`` the photo's, or another.
        scale: How many times as large as ``photo`` the output would be.
        max_pixels: Most pixels of an output, all pages together.
    """
    height, width = (side * scale for side in photo.pages[0].raster.shape[:2])
    if said := _too_long(kind_of_target(photo.kind, format), max(height, width)):
        return said
    pixels, most = height * width * len(photo.pages), 3 * max_pixels
    if pixels > max_pixels:
        return f"{pixels:,} pixels, more than the limit of {max_pixels:,}"
    taken = scale**2 * sum(page.raster.nbytes for page in photo.pages)
    if taken > most:
        return f"{taken:,} bytes of pixels, more than the {most:,} that --max-pixels stands for"
    return ""


def _too_long(kind: str, side: int) -> str:
    """Say that a side is longer than a kind of file holds; nothing if it is not."""
    longest = LONGEST_SIDE.get(kind, side)
    if side <= longest:
        return ""
    return f"a side of {side:,} pixels, more than the {longest} that {kind.upper()} holds"


PART = 1 << 20
"""Bytes that are copied at a time."""
Edit = Callable[[bytes], bytes]
"""Makes the new XMP packet from the old one."""
Lines = tuple[str, ...]
"""What is to be said about an output: what was left out, what stayed as it was."""


def write_png(path: Path, rgb: Rgb8) -> None:
    """Write pixels as a PNG, whole or not at all.

    Args:
        path: The file; its folder is made if needed.
        rgb: (H, W, 3) uint8.

    Raises:
        ShapeError: If ``rgb`` has another shape or type.
        MachineError: If the disk is full or the folder cannot be written.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ShapeError(f"expected (H, W, 3) uint8, got {rgb.shape} {rgb.dtype}")
    with atomic_path(path) as temporary:
        Image.fromarray(np.ascontiguousarray(rgb)).save(temporary, format="PNG", compress_level=4)


def write_photo(
    path: Path,
    photo: Photo,
    *,
    format: FileFormat = "keep",  # noqa: A002 (what the command line calls it)
    quality: int = 95,
    note: Restoration | None = None,
) -> Lines:
    """Write a restored photo, whole or not at all, with the metadata of its original.

    With ``keep`` every part of the original file but its pixels and its XMP is moved over byte by
    byte: EXIF, its Orientation included, ICC profile, IPTC, resolution, comments, text chunks,
    TIFF tags, further pictures and videos. The pixels keep their size, depth and stored
    orientation; palettes and bits become the gray or RGB levels that they mean. A change of format
    moves all that the new one can hold; the rest is named. The note goes into the XMP only, and no
    time is written, so that equal photos give equal files. BMP and bare JPEG 2000 codestreams have
    no XMP, so no note. Resolution and numbers of pixels in it follow the photo's ``scale``.

    A JPEG is encoded with its own quantisation tables and subsampling, so that nearly all
    unchanged pixels stay equal; if its quality is below 75, with finer ones for the faces' sake.
    What was written is read back before it replaces anything.

    Args:
        path: The file to write.
        photo: As read, with changes merged; its file must still be as it was.
        format: ``keep`` the photo's, or another.
        quality: Of lossy formats, 1 to 100; not used for a JPEG that is better than 75.
        note: What to say in the XMP; None keeps the XMP as it is.

    Returns:
        What a reader of the output should know, one line each: what was left out as the format
        cannot hold it, and what stands beside the picture and still shows the original.

    Raises:
        ImageError: If the original was changed or removed meanwhile, or the format cannot hold
            the photo, see ``check_target``; or if what was written cannot be read.
        MachineError: If the disk is full or the folder cannot be written.
    """
    check_target(photo, format)
    kind = kind_of_target(photo.kind, format)
    gone: list[str] = []
    edit = _edit(photo, note, gone)
    try:
        doubts = doubts_about(photo)
        if kind == "tiff":
            said = _write_tiff(path, photo, edit)
        else:
            with atomic_path(path) as temporary:
                said = _write_encoded(temporary, photo, kind, quality, edit)
                check_written(temporary, kind, photo.pages)
    except ImageError as error:
        raise named(error, photo.path) from error
    except DAMAGE as error:  # of metadata, which are looked into only now
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(
            f"{shown(photo.path)}: damaged or incomplete ({reason}); nothing was written"
        ) from error
    return (*doubts, *said, *_said(gone))


def copy_photo(path: Path, photo: Photo) -> None:
    """Copy the file that a photo was read from, byte for byte, whole or not at all.

    Raises:
        ImageError: If it was changed or removed meanwhile.
        MachineError: If the disk is full or the folder cannot be written.
    """
    with atomic_path(path) as temporary:
        _copy_source(photo, temporary)


def keep_times(path: Path, original: Path) -> None:
    """Give an output the time at which its original was last changed.

    Args:
        path: The output, written.
        original: The file that it was made from.

    Raises:
        MachineError: If the file system refuses.
    """
    try:
        changed = original.stat().st_mtime_ns
        os.utime(path, ns=(changed, changed))
    except OSError as error:
        raise MachineError(f"cannot set the times of {path}: {error.strerror}") from error


def _copy_source(photo: Photo, target: Path) -> None:
    # not by shutil, whose errors leave open which of the two files failed
    with target.open("wb") as copy:
        for part in _parts_of(photo.path):
            copy.write(part)
    photo.check_unchanged()


def _parts_of(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file; raise ImageError if it cannot be read."""
    try:
        with path.open("rb") as file:
            while part := file.read(PART):
                yield part
    except OSError as error:
        raise unreadable(path, error) from error


def _edit(photo: Photo, note: Restoration | None, gone: list[str]) -> Edit:
    """Return what makes the new XMP packet; what it has to leave out is added to ``gone``."""

    def edit(packet: bytes) -> bytes:
        new, lost = derived.xmp_renewed(packet, photo.pages)
        gone.extend(lost)
        new = new if photo.scale == 1 else xmp.enlarged(new, photo.scale)
        return new if note is None else annotated(new, note)

    return edit


def _write_encoded(path: Path, photo: Photo, kind: str, quality: int, edit: Edit) -> Lines:
    data, said = _encoded(photo, kind, quality, edit)
    path.write_bytes(data)
    return said


def _encoded(photo: Photo, kind: str, quality: int, edit: Edit) -> tuple[bytes, Lines]:
    """Return the file, and what is to be said about it."""
    if kind == photo.kind:
        return _kept(photo, kind, quality, edit)
    known = _known(photo)
    page, lost = encode.fitted(photo.pages[0], kind)
    icc, other = _profile(page)
    lost = (*lost, *other)
    known = replace(known, icc=icc, exif=oriented(known.exif, page.orientation))
    if photo.scale > 1:
        known = derived.metadata_enlarged(known, photo.scale)
    packet = edit(known.xmp)
    if kind == "jpeg":
        pixels = encode_jpeg(page, quality=quality)
        parts, gone = fields.jpeg_parts(known)
        return jpeg.joined_jpeg(pixels, parts, _jpeg_xmp(known.xmp, edit)), _said(lost, gone)
    if kind == "png":
        parts, gone = fields.png_parts(known)
        return png.joined_png(encode.encode_png(page), parts, packet), _said(lost, gone)
    if kind != "webp":
        raise ImageError(f"no photo can be changed into a {kind!r} file")
    pixels = encode.encode_webp(page, quality=quality, lossless=False)
    parts, gone = fields.webp_parts(known)
    return webp.joined_webp(pixels, _size(page), parts, packet), _said(lost, gone)


def _known(photo: Photo) -> fields.Metadata:
    """Return the metadata of a photo's file, without announcements of what will not be there."""
    if photo.kind == "tiff":
        photo.check_unchanged()
        known = metadata_of_tiff(photo.path, photo.pages[0].directory)
    else:
        known = fields.metadata_of(photo.kind, photo.source_bytes())
    exif, gone = derived.exif_renewed(known.exif, photo.pages[0])
    resources, other = derived.resources_renewed(known.resources, photo.pages[0])
    known = replace(known, exif=exif, resources=resources, lost=(*known.lost, *gone, *other))
    return replace(known, xmp=xmp.unannounced(known.xmp)) if known.lost else known


def _profile(page: Page) -> tuple[bytes, Lines]:
    """Return the page's profile, or nothing and a line if it is for other pixels."""
    if not page.icc or fits(page.icc, page.space):
        return page.icc, ()
    return b"", ("a profile that is not for such pixels",)


def _said(*lost: Iterable[str]) -> Lines:
    return tuple(dict.fromkeys(f"left out: {name}" for names in lost for name in names))


def _size(page: Page) -> tuple[int, int]:
    return page.raster.shape[1], page.raster.shape[0]


def _kept(photo: Photo, kind: str, quality: int, edit: Edit) -> tuple[bytes, Lines]:
    """Return the file in its own format, with all parts of its original."""
    data, scale = photo.source_bytes(), photo.scale
    if kind in ("heif", "avif"):
        page = photo.pages[0]
        return joined_items(kind, data, page, quality=quality, edit=edit, scale=scale)
    if kind == "jp2":  # which holds whatever it held
        return _kept_jp2(data, photo.pages[0], quality, edit, scale)
    page, lost = encode.fitted(photo.pages[0], kind)
    if kind == "jpeg":
        parts, gone = derived.parts_renewed(jpeg.jpeg_metadata(data), page)
        written = _kept_jpeg(data, parts, page, quality, edit, scale)
        return written, (*_said(lost, gone), *_behind(data))
    if kind == "png":
        parts = png.png_metadata(data, page.raster.shape[2])
        parts, gone = derived.parts_renewed(parts, page)
        if scale > 1:
            parts = [derived.chunk_enlarged(part, scale) for part in parts]
        packet = edit(fields.png_xmp(list(png.png_chunks(data))))
        joined = png.joined_png(encode.encode_png(page), parts, packet)
        return joined + png.behind_png(data), _said(lost, gone)
    if kind == "webp":
        chunks, gone = derived.parts_renewed(list(webp.riff_chunks(data)), page)
        return _kept_webp(data, chunks, page, quality, edit, scale), _said(lost, gone)
    if kind != "bmp":
        raise ImageError(f"no {kind!r} file can be written")
    raster = page.raster
    if raster.shape[2] == 2:
        raster = encode.with_colour(raster, "gray")
    return bmp.joined_bmp(bmp.header_of(data), raster, scale), _said(lost)


def _behind(data: bytes) -> Lines:
    """Say what stands behind the picture of a JPEG and still shows the original."""
    behind = jpeg.behind_jpeg(data)
    if not behind.strip(b"\0\xff\r\n"):  # what disks and transfers add
        return ()
    words = fields.behind_words(behind)
    return (f"{words} stays as it was; in faces it still is the original's",)


def _kept_jpeg(
    data: bytes, parts: list[Part], page: Page, quality: int, edit: Edit, scale: int
) -> bytes:
    pixels = encode_jpeg(page, quality=quality, source=data)
    if scale > 1:
        parts = [derived.jpeg_part_enlarged(part, scale) for part in parts]
    standard = edit(fields.jpeg_standard_xmp(parts))
    head = len(jpeg.EXTENDED_XMP) + 40  # behind it: GUID, length and place
    further = [c[head:] for _, c in parts if c.startswith(jpeg.EXTENDED_XMP)]
    hides_pictures = page.touched and derived.shows_pictures(b"".join(further))
    if not hides_pictures and len(jpeg.XMP) + len(standard) <= jpeg.SEGMENT_LIMIT:
        segments = jpeg.xmp_parts(standard) if standard else []
        return jpeg.joined_jpeg(pixels, parts, segments, data)
    segments = _jpeg_xmp(fields.jpeg_xmp(parts), edit)
    kept = [part for part in parts if not part[1].startswith(jpeg.EXTENDED_XMP)]
    return jpeg.joined_jpeg(pixels, kept, segments, data)


def _jpeg_xmp(known: bytes, edit: Edit) -> list[Part]:
    """Return the new XMP as segments; what does not fit into one goes into further ones."""
    packet = edit(known)
    if not packet:
        return []
    if len(jpeg.XMP) + len(packet) <= jpeg.SEGMENT_LIMIT:
        return jpeg.xmp_parts(packet)
    try:
        return jpeg.xmp_parts(*xmp.split(packet, edit))
    except ValueError as error:
        raise ImageError("damaged XMP; only --format keep can keep it") from error


def _kept_webp(
    data: bytes, chunks: list[Part], page: Page, quality: int, edit: Edit, scale: int
) -> bytes:
    pixels = encode.encode_webp(page, quality=quality, lossless=webp.is_lossless(data))
    moving = [part for part in chunks if part[0] in (b"ANIM", b"ANMF")]
    ours = (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF")
    kept = [part for part in chunks if part[0] not in ours]
    if scale > 1:
        kept = [derived.chunk_enlarged(part, scale) for part in kept]
    packet = edit(dict(reversed(chunks)).get(b"XMP ", b""))
    hidden = webp.unannounced(data)
    return webp.joined_webp(pixels, _size(page), kept, packet, hidden, moving)


def _kept_jp2(data: bytes, page: Page, quality: int, edit: Edit, scale: int) -> tuple[bytes, Lines]:
    header = jp2.header_of(jp2.codestream_of(data))
    palette = any(name == b"pclr" for name, _ in jp2.header_parts(data))
    if palette or page.raster.shape[2] != header.components:
        raise ImageError("a JPEG 2000 picture with a palette cannot be kept; use --format png")
    pixels = encode.coded_jp2(page, reversible=header.reversible, quality=quality)
    exif, gone = derived.exif_renewed(jp2.uuid_content(data, jp2.EXIF_UUID), page)
    if scale > 1:
        exif = derived.exif_enlarged(exif, scale)
    packet = edit(jp2.uuid_content(data, jp2.XMP_UUID))
    return jp2.joined_jp2(data, pixels, packet, exif), _said(gone)


def _write_tiff(path: Path, photo: Photo, edit: Edit) -> Lines:
    if photo.kind == "tiff":
        with atomic_path(path) as temporary:
            _copy_source(photo, temporary)
            with temporary.open("r+b") as file:
                said = write_pages(file, temporary, photo.pages, edit, photo.scale)
                if photo.scale > 1:
                    derived.tiff_enlarged(file, photo.scale)
            check_written(temporary, "tiff", photo.pages)
        return said
    page, known = photo.pages[0], _known(photo)
    known = replace(known, exif=oriented(known.exif, page.orientation))
    if photo.scale > 1:
        known = derived.metadata_enlarged(known, photo.scale)
    template, lost = fields.tiff_template(known)
    icc, other = _profile(page)
    with atomic_path(path) as temporary:
        temporary.write_bytes(template)
        with temporary.open("r+b") as file:
            new_document(file, page, edit(known.xmp), icc)
        check_written(temporary, "tiff", photo.pages)
    return _said(lost, other)
