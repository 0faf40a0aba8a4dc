"""Read TIFF."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceren.errors import ImageError, MachineError, UncertainError
from faceren.images.checks import (
    DAMAGE,
    check_ratio,
    check_size,
    named,
    shown,
    unreadable,
)
from faceren.images.colour import CHANNELS, Space
from faceren.images.metadata.exif import exif_of_tiff
from faceren.images.metadata.fields import Metadata, density, resources_of_iptc
from faceren.images.page import TURNS, Extra, Page
from faceren.images.tiff.directory import (
    LONG,
    Directory,
    Layout,
    block_of,
    directories,
    end_of_values,
    layout_of,
    numbers_of,
    value_of,
)

SPACES: dict[int, Space] = {0: "gray", 1: "gray", 2: "rgb", 5: "cmyk", 6: "rgb", 8: "lab", 9: "lab"}
"""PhotometricInterpretation: what the decoded samples are (YCbCr is decoded to RGB)."""
PALETTE, MASK, CIE_LAB = 3, 4, 8
DEPTHS = (1, 2, 4, 8, 16)
"""Bits per sample; fewer than 8 are spread over 8."""
SUBFILE, PHOTOMETRIC, ORIENTATION, EXTRA_SAMPLES = 254, 262, 274, 338
XMP, IPTC, RESOURCES, ICC, LAYERS, DNG_VERSION = 700, 33723, 34377, 34675, 37724, 50706
REDUCED, TRANSPARENCY = 1, 4
"""Bits of NewSubfileType: a smaller copy, a mask."""
RAW_PHOTOMETRIC = {32803, 34892}
"""A sensor's colour filters, and linear raw."""
FAX = {2, 3, 4}
"""Compressions of CCITT."""
MOST_TILE = 1 << 24
"""Pixels of a tile that may be larger than its picture."""
EXTRAS: dict[int, Extra] = {0: "other", 1: "premultiplied", 2: "alpha"}
SIGN = 0x80
"""XOR turns the signed bytes of a and b (CIE L*a*b*) into those that count from -128."""

# what is wrong with a file is said in our errors, not on stderr
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def read_tiff(path: Path, max_pixels: int) -> tuple[Page, ...]:
    """Decode every photo in a TIFF; masks, thumbnails and the levels of a pyramid are none.

    Raises:
        ImageError: If the file is damaged, truncated, too large, or not 8 or 16 bits of gray, RGB,
            CMYK, L*a*b* or palette.
        MachineError: If there is not enough memory.
    """
    import tifffile  # here: training must run without it

    try:
        layout, chain = checked_chain(path)
        with tifffile.TiffFile(path) as file:
            frames = frames_of(file, chain)
            photos = [n for n, directory in enumerate(chain) if is_photo(path, layout, directory)]
            photos = photos or [0]  # a file of nothing else means its first
            for number in photos:
                page = frames[number]
                check_size(path, page.imagewidth, page.imagelength, max_pixels, len(photos))
                size = path.stat().st_size
                check_ratio(path, page.imagewidth * page.imagelength, size)
                if page.is_tiled:
                    area = page.tilewidth * page.tilelength
                    if area > MOST_TILE and area > 4 * page.imagewidth * page.imagelength:
                        raise ImageError("damaged TIFF: its tiles are larger than its picture")
                ends = zip(page.dataoffsets, page.databytecounts, strict=True)
                if any(offset + count > size for offset, count in ends):
                    raise ImageError("the file is truncated; copy it again")
            return tuple(page_of(path, frames[number], number) for number in photos)
    except MemoryError as error:
        raise MachineError(f"{shown(path)}: not enough memory to decode it") from error
    except ImageError as error:
        raise named(error, path) from error
    except NotImplementedError as error:  # no damage: the decoder knows what it is
        reason = " ".join(str(error).split())
        raise ImageError(
            f"{shown(path)}: a TIFF of a kind that cannot be read ({reason}); convert it first"
        ) from error
    except DAMAGE as error:
        raise unreadable(path, error) from error


def checked_chain(path: Path) -> tuple[Layout, list[Directory]]:
    """Return a TIFF's layout and directories; all they point to lies in the file.

    Raises:
        ImageError: If the file is truncated, has no page, a loop, or blocks of another type; or is
            a raw camera file.
    """
    with path.open("rb") as file:
        layout = layout_of(file)
        chain = directories(file, layout)
        if not chain:
            raise ImageError("the TIFF has no page; the file is damaged")
        if max(end_of_values(layout, directory) for directory in chain) > path.stat().st_size:
            raise ImageError("the file is truncated; copy it again")
        photometric = numbers_of(file, layout, chain[0].get(PHOTOMETRIC))
        if any(directory.get(PHOTOMETRIC) is None for directory in chain):
            raise ImageError("damaged TIFF: it does not say what its samples mean (tag 262)")
        if chain[0].get(DNG_VERSION) or RAW_PHOTOMETRIC & set(photometric):
            raise ImageError("a raw camera file (DNG); develop it and restore the TIFF or JPEG")
        for tag, name in ((XMP, "XMP"), (RESOURCES, "Photoshop block"), (ICC, "ICC profile")):
            block_of(file, layout, chain[0], tag, name)
    return layout, chain


def frames_of(file: Any, chain: list[Directory]) -> list[Any]:
    """Return tifffile's page of each directory.

    Raises:
        UncertainError: If it finds other ones.
    """
    found = {page.offset: page for page in file.pages}
    if len(file.pages) != len(chain) or any(d.offset not in found for d in chain):
        raise UncertainError("damaged TIFF: its pages cannot be told apart")
    return [found[directory.offset] for directory in chain]


def is_photo(path: Path, layout: Layout, directory: Directory) -> bool:
    """Say whether a directory holds a picture of its own."""
    with path.open("rb") as file:
        kind = (numbers_of(file, layout, directory.get(SUBFILE)) or [0])[0]
        photometric = (numbers_of(file, layout, directory.get(PHOTOMETRIC)) or [-1])[0]
    return not kind & (REDUCED | TRANSPARENCY) and photometric != MASK


def tiff_bytes(path: Path) -> int:
    """Return the bytes of the decoded pixels of a TIFF, all directories together."""
    with path.open("rb") as file:
        layout, total = layout_of(file), 0
        for directory in directories(file, layout):
            width, height, samples, bits = (
                (numbers_of(file, layout, directory.get(tag)) or [default])[0]
                for tag, default in ((256, 0), (257, 0), (277, 1), (258, 1))
            )
            total += width * height * samples * -(-bits // 8)
    return total


def page_of(path: Path, frame: Any, number: int | None) -> Page:
    """Decode one page.

    Args:
        path: The file.
        frame: tifffile's page.
        number: Of its directory in the chain; None if it is in none.

    Raises:
        ImageError: If its pixels are of no kind that can be restored.
    """
    photometric = int(frame.photometric)
    bits = frame.bitspersample
    if bits not in DEPTHS or frame.imagedepth > 1 or int(frame.sampleformat) not in (1, 2):
        raise _unknown(path, frame)
    if int(frame.sampleformat) == 2 and photometric != CIE_LAB:
        raise _unknown(path, frame)
    fax = int(frame.compression) in FAX
    raster = _fax(path, number) if fax else _raster(frame)
    expanded = photometric == PALETTE or bits < 8
    if photometric == PALETTE:
        raster, photometric = _coloured(raster, frame.colormap), 2
    elif bits < 8:
        raster = raster * np.uint8(255 // (2**bits - 1))
    if photometric not in SPACES or raster.shape[2] < CHANNELS[SPACES[photometric]]:
        raise _unknown(path, frame)
    if raster.shape[2] != frame.samplesperpixel and not expanded:
        raise _unknown(path, frame)
    tag = frame.tags.get(ORIENTATION)
    orientation = tag.value if tag is not None and tag.value in TURNS else 1
    icc = frame.tags.get(ICC)
    space = SPACES[photometric]
    return Page(
        raster,
        space,
        int(orientation),
        icc.value if icc is not None and isinstance(icc.value, bytes) else b"",
        inverted=photometric == 0,
        expanded=expanded,
        extras=_extras(frame, raster.shape[2] - CHANNELS[space]),
        directory=number or 0,
    )


def _raster(frame: Any) -> NDArray[Any]:
    """Return the samples of a page, (H, W, n), signed a and b as unsigned."""
    raster = frame.asarray()
    if int(frame.planarconfig) == 2 and raster.ndim == 3:
        raster = np.moveaxis(raster, 0, 2)
    raster = raster if raster.ndim == 3 else raster[..., None]
    if raster.shape[:2] != (frame.imagelength, frame.imagewidth):
        raise ImageError("damaged or incomplete (its pixels have another size than it says)")
    if raster.dtype == np.bool_:
        raster = raster.astype(np.uint8)
    if int(frame.photometric) == CIE_LAB:
        raster = signs_turned(raster.view(f"u{raster.itemsize}"))
    if raster.dtype.kind != "u" or raster.itemsize > 2:
        raise ImageError(f"expected 8 or 16 bits a sample, got {raster.dtype}")
    return np.asarray(raster)


def _fax(path: Path, number: int | None) -> NDArray[Any]:
    """Return the bits of a page of fax compression, (H, W, 1), as libtiff decodes them.

    The decoder that tifffile uses takes the rest of some such pages for white.
    """
    import imagecodecs  # here: training must run without it

    if number is None:
        raise ImageError("a page of fax compression that is in no chain")
    bits = np.asarray(imagecodecs.tiff_decode(path.read_bytes(), index=number))
    if bits.dtype != np.bool_ or bits.ndim != 2:
        raise ImageError("a page of fax compression, expected a bit a pixel")
    return bits.astype(np.uint8)[..., None]


def signs_turned(raster: NDArray[Any]) -> NDArray[Any]:
    """Return L*a*b* with a and b counted from the lowest instead of signed, or back."""
    raster = raster.copy()
    raster[..., 1:3] ^= raster.dtype.type(SIGN << (8 * (raster.itemsize - 1)))
    return raster


def _extras(frame: Any, others: int) -> tuple[Extra, ...]:
    """Return what the channels beside the colours are (ExtraSamples)."""
    tag = frame.tags.get(EXTRA_SAMPLES)
    unknown: list[Extra] = ["other"] * others
    if tag is None:  # most files of one channel more that do not say so mean opacity
        return ("alpha",) if others == 1 else tuple(unknown)
    values = tag.value if isinstance(tag.value, (tuple, list)) else (tag.value,)
    known: list[Extra] = [EXTRAS.get(int(value), "other") for value in values]
    return tuple([*known, *unknown][:others])


def _unknown(path: Path, frame: Any) -> ImageError:
    name = getattr(frame.photometric, "name", frame.photometric)
    if int(frame.photometric) in RAW_PHOTOMETRIC:
        return ImageError("a raw camera file (DNG); develop it and restore the TIFF or JPEG")
    how = {2: "signed ", 3: "floating-point ", 5: "complex ", 6: "complex "}
    kind = how.get(int(frame.sampleformat), "")
    return ImageError(
        f"{shown(path)}: expected 8 or 16 bits, unsigned, of gray, RGB, CMYK, L*a*b* or palette, "
        f"got a TIFF of {kind}samples of {frame.bitspersample} bits, {name}; convert it first"
    )


def _coloured(indices: NDArray[Any], colormap: NDArray[np.uint16]) -> NDArray[Any]:
    if colormap is None or int(indices.max(initial=0)) >= colormap.shape[1]:
        raise ImageError("damaged or incomplete (an index beyond its palette)")
    if (colormap % 257 == 0).all():
        colormap = (colormap // 257).astype(np.uint8)
    elif (colormap % 256 == 0).all():  # the other common way to write 8-bit colours
        colormap = (colormap // 256).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(colormap[:, indices[..., 0]], 0, 2))


def metadata_of_tiff(path: Path, number: int) -> Metadata:
    """Return the metadata of a photo in a TIFF.

    Args:
        path: The file.
        number: Of the photo's directory.

    Raises:
        ImageError: If they are damaged.
    """
    with path.open("rb") as file:
        layout = layout_of(file)
        chain = directories(file, layout)
        directory = chain[number]
        resources = block_of(file, layout, directory, RESOURCES, "Photoshop block")
        iptc = directory.get(IPTC)
        if not resources and iptc is not None:
            block = value_of(file, layout, iptc)
            if iptc.kind == LONG and layout.order == ">":  # some write bytes as numbers
                block = np.frombuffer(block, ">u4").astype("<u4").tobytes()
            resources = resources_of_iptc(block)
        packet = block_of(file, layout, directory, XMP, "XMP")
        across, down = (_fraction(file, layout, directory, tag) for tag in (282, 283))
        unit = (numbers_of(file, layout, directory.get(296)) or [2])[0]
        lost = ["Photoshop's layers"] if directory.get(LAYERS) else []
        others = sum(not is_photo(path, layout, other) for other in chain)
        lost += [f"{others} masks, thumbnails or smaller copies"] if others else []
    dpi, aspect = density(across, down, unit)
    exif, gone = exif_of_tiff(path)
    return Metadata(exif, b"", packet, resources, dpi, aspect, lost=(*lost, *gone))


def _fraction(file: Any, layout: Layout, directory: Directory, tag: int) -> float | None:
    entry = directory.get(tag)
    if entry is None or entry.kind != 5 or entry.count != 1:
        return None
    above, below = np.frombuffer(value_of(file, layout, entry), layout.order + "u4")
    return float(above) / float(below) if below else None
