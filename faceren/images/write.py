"""Write pictures: plain ones, and photos with all that their files said about them."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from faceren.arrays import Rgb8
from faceren.errors import ImageError, ShapeError
from faceren.files import DISK_ERRORS, atomic_path
from faceren.images import encode
from faceren.images.checks import shown, unreadable
from faceren.images.containers import Part, jpeg, png, webp
from faceren.images.containers.bmff import exif_of_avif
from faceren.images.metadata import fields, resolution
from faceren.images.metadata.xmp import Restoration, annotated
from faceren.images.page import Page
from faceren.images.photo import Photo
from faceren.images.tiff.directory import directories, layout_of, set_bytes, write_directory
from faceren.images.tiff.write import XMP, store_anew, write_pages

FileFormat = Literal["keep", "png", "jpg", "webp", "tiff"]
KINDS = {"png": "png", "jpg": "jpeg", "webp": "webp", "tiff": "tiff"}
ICC_TAG, UNDEFINED = 34675, 7

Edit = Callable[[bytes], bytes]
"""Makes the new XMP packet from the old one."""


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
) -> None:
    """Write a restored photo, whole or not at all, with the metadata of its original.

    With ``keep`` every part of the original file but its pixels and its XMP is moved over byte by
    byte: EXIF, its Orientation included, ICC profile, IPTC, resolution, comments, text chunks,
    TIFF tags. The pixels keep their size, depth and stored orientation, with two exceptions:
    palettes and bits become the gray or RGB levels that they mean. A change of format moves EXIF,
    ICC, XMP, IPTC (not into WebP) and resolution. The note goes into the XMP only, and no time is
    written, so that equal photos give equal files. BMP has no XMP, so no note. What names the
    resolution or the number of pixels follows the photo's ``scale``.

    A JPEG is encoded with its own quantisation tables and subsampling, so that nearly all
    unchanged pixels stay equal; if its quality is below 75, with finer ones for the faces' sake.

    Args:
        path: The file to write.
        photo: As read, with changes merged; its file must still be as it was.
        format: ``keep`` the photo's, or another.
        quality: Of lossy formats, 1 to 100; not used for a JPEG that is better than 75.
        note: What to say in the XMP; None keeps the XMP as it is.

    Raises:
        ImageError: If the original was changed or removed meanwhile, or the format cannot hold
            the photo: GIF (256 colours), transparency in JPEG, several pages in other than TIFF.
        MachineError: If the disk is full or the folder cannot be written.
    """
    kind = photo.kind if format == "keep" else KINDS[format]
    if kind == "gif":
        raise ImageError(
            f"{shown(photo.path)}: a GIF holds 256 colours, too few for a restored photo; "
            f"use --format png"
        )
    if kind != "tiff" and len(photo.pages) > 1:
        raise ImageError(
            f"{shown(photo.path)}: only TIFF holds {len(photo.pages)} pages; use --format keep"
        )
    edit = _edit(photo.scale, note)
    try:
        if kind == "tiff":
            _write_tiff(path, photo, edit)
            return
        data = _encoded(photo, kind, quality, edit)
    except ImageError as error:
        name = shown(photo.path)
        raise error if str(error).startswith(name) else ImageError(f"{name}: {error}") from error
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def copy_photo(path: Path, photo: Photo) -> None:
    """Copy the file that a photo was read from, byte for byte, whole or not at all.

    Raises:
        ImageError: If it was changed or removed meanwhile.
        MachineError: If the disk is full or the folder cannot be written.
    """
    with atomic_path(path) as temporary:
        _copy_source(photo, temporary)


def _copy_source(photo: Photo, target: Path) -> None:
    try:
        shutil.copyfile(photo.path, target)
    except OSError as error:
        if error.errno in DISK_ERRORS and error.filename != str(photo.path):
            raise
        raise unreadable(photo.path, error) from error
    photo.check_unchanged()


def _edit(scale: int, note: Restoration | None) -> Edit:
    grown: Edit = bytes if scale == 1 else partial(resolution.xmp_enlarged, scale=scale)
    return grown if note is None else lambda xmp: annotated(grown(xmp), note)


def _encoded(photo: Photo, kind: str, quality: int, edit: Edit) -> bytes:
    same = kind == photo.kind
    data = b"" if photo.kind == "tiff" else photo.source_bytes()
    photo.check_unchanged()
    page = encode.fitted(photo.pages[0], kind)
    known = replace(fields.metadata_of(photo.path, photo.kind, data), icc=page.icc)
    xmp = edit(known.xmp)
    if photo.scale > 1:
        known = resolution.metadata_enlarged(known, photo.scale)
    if kind == "jpeg":
        pixels = encode.encode_jpeg(page, quality=quality, source=data if same else b"")
        parts = _jpeg_parts(data, photo.scale) if same else fields.jpeg_parts(known)
        return jpeg.joined_jpeg(pixels, parts, xmp)
    if kind == "png":
        parts = _png_parts(data, page, photo.scale) if same else fields.png_parts(known)
        return png.joined_png(encode.encode_png(page), parts, xmp)
    if kind == "webp":
        return _webp(page, data if same else b"", known, xmp, quality, photo.scale)
    if kind == "bmp":
        pixels = encode.encode_bmp(page)
        density = resolution.bmp_resolution_enlarged(data[38:46], photo.scale)
        return pixels[:38] + density + pixels[46:]
    if kind == "avif":
        exif = exif_of_avif(data)
        if photo.scale > 1:
            exif = resolution.exif_enlarged(exif, photo.scale)
        return encode.encode_avif(page, quality=quality, exif=exif, xmp=xmp)
    return encode.encode_heif(page, quality=quality, exif=known.exif, xmp=xmp, source=data)


def _jpeg_parts(data: bytes, scale: int) -> list[Part]:
    parts = jpeg.jpeg_metadata(data)
    return parts if scale == 1 else [resolution.jpeg_part_enlarged(p, scale) for p in parts]


def _png_parts(data: bytes, page: Page, scale: int) -> list[Part]:
    parts = png.png_metadata(data, same_depth=not page.expanded)
    return parts if scale == 1 else [resolution.chunk_enlarged(p, scale) for p in parts]


def _webp(
    page: Page, source: bytes, known: fields.Metadata, xmp: bytes, quality: int, scale: int
) -> bytes:
    chunks = list(webp.riff_chunks(source))
    lossless = any(name == b"VP8L" for name, _ in chunks)
    pixels = encode.encode_webp(page, quality=quality, lossless=lossless)
    ours = (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"XMP ")
    kept = [part for part in chunks if part[0] not in ours]
    if scale > 1:
        kept = [resolution.chunk_enlarged(part, scale) for part in kept]
    size = (page.raster.shape[1], page.raster.shape[0])
    parts = kept if source else fields.webp_parts(known)
    return webp.joined_webp(pixels, size, parts, xmp)


def _write_tiff(path: Path, photo: Photo, edit: Edit) -> None:
    if photo.kind == "tiff":
        with atomic_path(path) as temporary:
            _copy_source(photo, temporary)
            with temporary.open("r+b") as file:
                write_pages(file, photo.pages, edit)
                if photo.scale > 1:
                    resolution.tiff_enlarged(file, photo.scale)
        return
    known = fields.metadata_of(photo.path, photo.kind, photo.source_bytes())
    xmp = edit(known.xmp)
    if photo.scale > 1:
        known = resolution.metadata_enlarged(known, photo.scale)
    page = photo.pages[0]
    with atomic_path(path) as temporary:
        temporary.write_bytes(fields.tiff_template(known))
        with temporary.open("r+b") as file:
            layout = layout_of(file)
            (directory,) = directories(file, layout)
            store_anew(file, layout, directory, page)
            if xmp:
                set_bytes(file, layout, directory, XMP, xmp)
            if page.icc:
                set_bytes(file, layout, directory, ICC_TAG, page.icc, kind=UNDEFINED)
            write_directory(file, layout, directory)
