"""A restored TIFF as a whole: its photos, and the directories that are made of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np

from faceren.errors import ImageError
from faceren.images.checks import DAMAGE
from faceren.images.colour import to_srgb
from faceren.images.metadata.derived import resources_renewed
from faceren.images.page import Box, Page
from faceren.images.tiff.directory import (
    Directory,
    Layout,
    append_data,
    block_of,
    directories,
    directory_at,
    layout_of,
    numbers_of,
    set_bytes,
    set_numbers,
    set_pointer,
    write_directory,
)
from faceren.images.tiff.read import (
    LAYERS,
    MASK,
    PHOTOMETRIC,
    REDUCED,
    SUBFILE,
    TRANSPARENCY,
    XMP,
    frames_of,
    page_of,
)
from faceren.images.tiff.write import (
    COMPRESSION,
    DEFLATE,
    LENGTH,
    OBSOLETE,
    PREDICTOR,
    ROWS,
    STRIP_COUNTS,
    STRIP_OFFSETS,
    WIDTH,
    are_shared,
    encoded,
    store_anew,
    write_page,
)

SUB_DIRECTORIES, RESOURCES = 330, 34377
MOST_COPIES = 32
"""Smaller copies of one photo that are made anew; each halves its sides at least."""
LAYERS_GONE = "left out: Photoshop's layers, which would show the photo unrestored"
COPY_GONE = "left out: a smaller copy of the photo that cannot be made anew"

Edit = Callable[[bytes], bytes]
"""Makes the new XMP packet from the old one."""


@dataclass
class _Document:
    file: BinaryIO
    layout: Layout
    path: Path
    scale: int
    said: list[str]
    in_place: bool
    """Whether pixels may be written where the old ones are."""

    def write(self, directory: Directory, frame: Any, page: Page) -> None:
        """Write the pixels of a page."""
        write_page(self.file, self.layout, directory, frame, page, in_place=self.in_place)

    def put(self, directory: Directory, frame: Any, page: Page) -> None:
        """Write a page and its directory."""
        self.write(directory, frame, page)
        write_directory(self.file, self.layout, directory)


def write_pages(
    file: BinaryIO, path: Path, pages: tuple[Page, ...], edit: Edit, scale: int = 1
) -> tuple[str, ...]:
    """Write every changed page into a TIFF; return what is to be said about it.

    Smaller copies of a changed photo (levels of a pyramid, thumbnails), in the chain of pages or
    below the photo, are made anew where it changed; masks stay, or grow with it. The layers that
    Photoshop keeps beside a changed picture are removed: it would show them instead.

    Args:
        file: The copy of the original, open for reading and writing.
        path: Its name, for errors.
        pages: All its photos.
        edit: Applied to the XMP of the first page and of each changed one.
        scale: How many times as large as the file's pictures the pages are.

    Raises:
        ImageError: If the file would outgrow its format.
    """
    import tifffile  # here: training must run without it

    layout = layout_of(file)
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        chain = directories(file, layout)
        frames = frames_of(tiff, chain)
        below = [sub for frame in frames for sub in frame.pages or []]
        chain += [directory_at(file, layout, sub.offset) for sub in below]
        shared = are_shared(layout, [*frames, *below], chain)
        document = _Document(file, layout, path, scale, [], in_place=not shared)
        photos = {page.directory: page for page in pages}
        above: Page | None = None
        copies, pointer = 0, layout.first_pointer
        for number, frame in enumerate(frames):
            (place,) = layout.read(file, pointer, layout.offset)
            directory = directory_at(file, layout, place, pointer)
            kept, photo = True, photos.get(number)
            if photo is not None:
                above, copies = photo, 0
                _write_photo(document, directory, frame, photo, edit, first=number == 0)
            elif above is not None and above.touched:
                copies += 1
                if copies > MOST_COPIES:
                    raise ImageError("damaged TIFF: too many smaller copies of one photo")
                kept = _write_copy(document, directory, frame, above)
            pointer = directory.next_pointer if kept else directory.pointer
    return tuple(dict.fromkeys(document.said))


def _write_photo(
    document: _Document, directory: Directory, frame: Any, page: Page, edit: Edit, *, first: bool
) -> None:
    file, layout = document.file, document.layout
    if page.touched and directory.get(LAYERS) is not None:
        directory.drop(LAYERS)
        document.said.append(LAYERS_GONE)
    if page.touched:
        _write_below(document, directory, frame, page)
        _renew_thumbnail(document, directory, page)
    if not (first or page.touched):
        return
    document.write(directory, frame, page)
    old = block_of(file, layout, directory, XMP, "XMP")
    if new := edit(old):
        set_bytes(file, layout, directory, XMP, new)
    write_directory(file, layout, directory)


def _renew_thumbnail(document: _Document, directory: Directory, page: Page) -> None:
    """Let Photoshop's small picture show the photo as it is now."""
    file, layout = document.file, document.layout
    entry = directory.get(RESOURCES)
    if entry is None:
        return
    old = block_of(file, layout, directory, RESOURCES, "Photoshop resources")
    new, gone = resources_renewed(old, page)
    if new != old:
        set_bytes(file, layout, directory, RESOURCES, new, kind=entry.kind)
        document.said += [f"left out: {name}" for name in gone]


def _write_below(document: _Document, directory: Directory, frame: Any, page: Page) -> None:
    """Make anew the smaller copies in the photo's own sub-directories."""
    file, layout = document.file, document.layout
    entry = directory.get(SUB_DIRECTORIES)
    places = numbers_of(file, layout, entry)
    if entry is None or not places:
        return
    frames = {sub.offset: sub for sub in frame.pages or []}
    left = []
    if len(places) > MOST_COPIES or len(set(places)) < len(places):
        raise ImageError(f"damaged TIFF: {len(places):,} smaller copies of one photo")
    for place in places:
        if place not in frames:
            raise ImageError("damaged TIFF: a sub-directory cannot be read")
        below = directory_at(file, layout, place)
        made = _copied(document, below, frames[place], page)
        if made is not None:
            document.put(below, frames[place], made)
        elif _is_reduced(document, below):
            document.said.append(COPY_GONE)
            continue
        left.append(below.offset)
    directory.drop(SUB_DIRECTORIES)
    if left:
        set_numbers(file, layout, directory, SUB_DIRECTORIES, left)


def _write_copy(document: _Document, directory: Directory, frame: Any, photo: Page) -> bool:
    """Make a directory of the chain anew that belongs to the photo before it; say if it stays."""
    file, layout = document.file, document.layout
    if _is_mask(document, directory):
        sides = (frame.imagelength * document.scale, frame.imagewidth * document.scale)
        if document.scale > 1 and sides == photo.raster.shape[:2]:
            _enlarge_mask(document, directory, frame)
        return True
    made = _copied(document, directory, frame, photo)
    if made is not None:
        document.put(directory, frame, made)
    elif _is_reduced(document, directory):
        document.said.append(COPY_GONE)
        (following,) = layout.read(file, directory.next_pointer, layout.offset)
        set_pointer(file, layout, directory.pointer, following)
        return False
    return True


def _enlarge_mask(document: _Document, directory: Directory, frame: Any) -> None:
    """Store a mask, of one value a pixel, as large as its photo has become."""
    file, layout = document.file, document.layout
    values = np.asarray(frame.asarray())
    if values.dtype not in (np.bool_, np.uint8, np.uint16) or values.ndim != 2:
        raise ImageError("a mask that is not of 1, 8 or 16 bits a pixel cannot grow; use --scale 1")
    grown = values.repeat(document.scale, axis=0).repeat(document.scale, axis=1)
    stored = np.packbits(grown, axis=1) if grown.dtype == np.bool_ else grown
    data = encoded(stored[..., None], DEFLATE, 1, layout)
    directory.drop(*OBSOLETE, PREDICTOR)
    for tag, value in (
        (WIDTH, grown.shape[1]),
        (LENGTH, grown.shape[0]),
        (COMPRESSION, DEFLATE),
        (ROWS, grown.shape[0]),
        (STRIP_OFFSETS, append_data(file, data)),
        (STRIP_COUNTS, len(data)),
    ):
        set_numbers(file, layout, directory, tag, [value])
    write_directory(file, layout, directory)


def _is_reduced(document: _Document, directory: Directory) -> bool:
    kinds = numbers_of(document.file, document.layout, directory.get(SUBFILE))
    return bool(kinds and kinds[0] & REDUCED)


def _is_mask(document: _Document, directory: Directory) -> bool:
    file, layout = document.file, document.layout
    kinds = numbers_of(file, layout, directory.get(SUBFILE))
    photometric = numbers_of(file, layout, directory.get(PHOTOMETRIC))
    return bool(kinds and kinds[0] & TRANSPARENCY) or photometric == [MASK]


def _copied(document: _Document, directory: Directory, frame: Any, photo: Page) -> Page | None:
    """Return a smaller copy of a photo as it has to be now.

    None if it is to stay as it is, or is a smaller copy of a kind that cannot be made anew.
    """
    if _is_mask(document, directory) or not _is_reduced(document, directory):
        return None
    scale = document.scale
    if frame.imagewidth * frame.imagelength * scale**2 > photo.raster.size:
        return None
    try:
        old = page_of(document.path, frame, None)
    except (ImageError, *DAMAGE):
        return None
    size = (old.raster.shape[1] * scale, old.raster.shape[0] * scale)
    source = _like(photo, old)
    if source is None:
        return None
    if scale > 1:
        whole: Box = (0, 0, *size)
        return replace(old, raster=_shrunk(source, size), touched=(whole,))
    raster, touched = old.raster.copy(), []
    smaller = _shrunk(source, size)
    across, down = size[0] / photo.raster.shape[1], size[1] / photo.raster.shape[0]
    for x0, y0, x1, y1 in photo.touched:
        box = (
            max(int(x0 * across) - 1, 0),
            max(int(y0 * down) - 1, 0),
            min(int(np.ceil(x1 * across)) + 1, size[0]),
            min(int(np.ceil(y1 * down)) + 1, size[1]),
        )
        part = slice(box[1], box[3]), slice(box[0], box[2])
        raster[part] = smaller[part]
        touched.append(box)
    return replace(old, raster=raster, touched=tuple(touched))


def _like(photo: Page, old: Page) -> Page | None:
    """Return the photo in the colours and depth of a copy of it; None if that has others."""
    channels = old.raster.shape[2]
    same = (photo.space, photo.inverted) == (old.space, old.inverted)
    raster = photo.raster
    if not same and (old.space != "rgb" or channels != 3):
        return None
    if not same:
        top = np.iinfo(raster.dtype).max
        seen = to_srgb(photo.straight(raster), photo.space, photo.icc)
        raster = np.rint(seen * top).astype(raster.dtype)
    if raster.shape[2] < channels:
        return None
    raster = raster[..., :channels]
    if raster.dtype == np.uint16 and old.raster.dtype == np.uint8:
        raster = np.rint(raster / np.float32(257)).astype(np.uint8)
    elif raster.dtype != old.raster.dtype:
        return None
    return replace(photo, raster=raster)


def _shrunk(source: Page, size: tuple[int, int]) -> Any:
    small = cv2.resize(np.ascontiguousarray(source.raster), size, interpolation=cv2.INTER_AREA)
    return small.reshape(size[1], size[0], source.raster.shape[2])


def new_document(file: BinaryIO, page: Page, xmp: bytes, icc: bytes) -> None:
    """Turn a TIFF of metadata alone, see ``fields.tiff_template``, into one of a picture.

    Args:
        file: The template, open for reading and writing.
        page: The picture.
        xmp: A packet, or nothing.
        icc: A profile, or nothing.
    """
    layout = layout_of(file)
    (directory,) = directories(file, layout)
    store_anew(file, layout, directory, page)
    if xmp:
        set_bytes(file, layout, directory, XMP, xmp)
    if icc:
        set_bytes(file, layout, directory, 34675, icc, kind=7)
    write_directory(file, layout, directory)
