"""Write a restored photo into the HEIC or AVIF file that it came from."""

import struct
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from faceren.images.colour import CHANNELS
from faceren.images.containers import bmff
from faceren.images.containers.bmff import Container, Item
from faceren.images.containers.jpeg import EXIF
from faceren.images.encode import coded_avif, coded_heif, fitted
from faceren.images.metadata import derived
from faceren.images.metadata.derived import exif_renewed
from faceren.images.metadata.fields import items_beside
from faceren.images.page import Page

UNSPECIFIED = (2, 2, 6)
"""Colours (H.273) of a photo that does not name them: BT.601's matrix is what readers take."""
MOST_THUMBNAILS = 8
SEQUENCE_BRANDS = (b"msf1", b"hevc", b"hevx", b"avis")


def joined_items(
    kind: str,
    source: bytes,
    page: Page,
    *,
    quality: int,
    edit: Callable[[bytes], bytes],
    scale: int = 1,
) -> tuple[bytes, tuple[str, ...]]:
    """Return a file with the new picture in place of its own, and what is to be said about it.

    Depth and gain maps, further pictures, EXIF, profile and colours stay; thumbnails are made anew.

    Args:
        kind: heif or avif.
        source: The file that the page came from.
        page: The picture.
        quality: 1 to 100.
        edit: Makes the new XMP packet from the old one.
        scale: How many times as large as the file's picture the page is.
    """
    whole = bmff.parse(source)
    maps = [name for name in items_beside(whole) if "map" in name]
    said = [f"{name} stays as it was; in faces it still is the original's" for name in maps]
    plain, lost = fitted(page, kind)
    chroma = _chroma(source) if kind == "heif" else 444
    bits = page.bits or 8

    def coded(raster: NDArray[Any], item: Item, quality: int = quality) -> Container:
        colours = _colours(whole, item)
        if kind == "heif":
            file = coded_heif(raster, bits=bits, quality=quality, chroma=chroma, colours=colours)
        else:
            file = coded_avif(raster, bits=bits, quality=quality, colours=colours)
        return bmff.parse(file)

    colours = np.ascontiguousarray(plain.raster[..., : CHANNELS[plain.space]])
    is_cut = whole.property_of(whole.picture, b"clap") is not None
    whole = bmff.with_picture(whole, whole.primary, coded(colours, whole.picture))
    whole = _with_thumbnails(whole, colours, coded)
    if scale > 1:
        whole = _with_exif_enlarged(_with_opacity(whole, plain, coded), scale)
    elif is_cut and kind == "avif":  # whose opacity has to have the size of the picture
        whole = _with_opacity(whole, plain, partial(coded, quality=100))
    whole, gone = _with_thumbnail(whole, page)
    lost = (*lost, *gone)
    packet = whole.described_by(b"mime")
    whole = bmff.with_xmp(whole, edit(packet.content if packet else b""))
    if any(name == b"moov" for name, _ in whole.outside):
        lost = (*lost, "an image sequence")
        whole = replace(whole, outside=[_without_brands(part) for part in whole.outside])
    return bmff.joined(whole), (*(f"left out: {name}" for name in lost), *said)


def _with_thumbnails(
    whole: Container, colours: NDArray[Any], coded: Callable[[NDArray[Any], Item], Container]
) -> Container:
    """Return a container whose small pictures are drawn from the new one; too many are left out."""
    for place, number in enumerate(whole.pointing_at(whole.primary, b"thmb")):
        item = whole.items[number]
        size = whole.size_of(item)
        is_smaller = 0 < size[0] <= colours.shape[1] and 0 < size[1] <= colours.shape[0]
        if place >= MOST_THUMBNAILS or not is_smaller:
            whole = bmff.without(whole, {number})
            continue
        small = cv2.resize(colours, size, interpolation=cv2.INTER_AREA)
        small = small.reshape(size[1], size[0], -1)
        whole = bmff.with_picture(whole, number, coded(small, item))
    return whole


def _colours(whole: Container, item: Item) -> tuple[int, int, int]:
    described = whole.property_of(item, b"colr", b"nclx")
    if described is None or len(described) < 10:
        return UNSPECIFIED
    primaries, transfer, matrix = struct.unpack_from(">3H", described, 4)
    return primaries, transfer, matrix


def _chroma(source: bytes) -> int:
    """Return how a HEIC photo's colours are subsampled."""
    from pillow_heif import open_heif

    return int(open_heif(source).info.get("chroma") or 444)


def _with_opacity(
    whole: Container, page: Page, coded: Callable[[NDArray[Any], Item], Container]
) -> Container:
    """Return a container whose opacity, if it has one, is the page's."""
    for number in whole.pointing_at(whole.primary, b"auxl"):
        kind = whole.property_of(whole.items[number], b"auxC") or b""
        if (b":alpha" in kind or b"auxid:1" in kind) and page.alpha_channel is not None:
            opacity = np.ascontiguousarray(page.raster[..., page.alpha_channel, None])
            whole = bmff.with_picture(whole, number, coded(opacity, whole.items[number]))
    return whole


def _with_exif_enlarged(whole: Container, scale: int) -> Container:
    exif = whole.described_by(b"Exif")
    if exif is None or len(exif.content) < 4:
        return whole
    start = 4 + int.from_bytes(exif.content[:4], "big")
    grown = derived.exif_enlarged(exif.content[start:], scale)
    item = replace(exif, content=exif.content[:start] + grown, inside=None)
    return replace(whole, items=whole.items | {exif.number: item})


def _with_thumbnail(whole: Container, page: Page) -> tuple[Container, tuple[str, ...]]:
    """Return a container in whose EXIF the small picture is new, and what had to be left out."""
    exif = whole.described_by(b"Exif")
    if exif is None or len(exif.content) < 4:
        return whole, ()
    start = 4 + int.from_bytes(exif.content[:4], "big")
    start += len(EXIF) * exif.content[start:].startswith(EXIF)
    block, gone = exif_renewed(exif.content[start:], page)
    item = replace(exif, content=exif.content[:start] + block, inside=None)
    return replace(whole, items=whole.items | {exif.number: item}), gone


def _without_brands(part: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    name, content = part
    if name != b"ftyp":
        return part
    brands = [content[at : at + 4] for at in range(8, len(content), 4)]
    return name, content[:8] + b"".join(b for b in brands if b not in SEQUENCE_BRANDS)
