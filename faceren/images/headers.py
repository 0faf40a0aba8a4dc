"""What the header of a photo says about its picture; nothing is decoded."""

import struct
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile

from faceren.errors import FacerenError, ImageError
from faceren.images.checks import DAMAGE, check_file, warnings_off
from faceren.images.containers import bmff, jp2
from faceren.images.containers.jpeg import check_frame, frame_of
from faceren.images.containers.png import KEYED, png_chunks
from faceren.images.containers.webp import webp_header

PNG_CHANNELS = {0: 1, 2: 3, 3: 4, 4: 2, 6: 4}
"""Channels by colour type; a palette is spread over as many as it may have."""
PILLOWS = {"bmp": BmpImageFile, "gif": GifImageFile}
"""Formats whose headers Pillow reads."""
HEAD = 1 << 20
"""Bytes of the beginning of a PNG or WebP that are read to learn its size."""


@dataclass(frozen=True)
class Header:
    """Size of a picture, and of a sample."""

    width: int
    height: int
    channels: int
    """At most as many as the decoded raster has."""
    bits: int = 8
    frames: int = 1
    """More than 1 is an animation."""

    @property
    def bytes(self) -> int:
        """Bytes of the decoded raster."""
        return self.width * self.height * self.channels * (2 if self.bits > 8 else 1)


def header_of(kind: str, data: bytes) -> Header:
    """Return what the header of a picture says.

    Args:
        kind: Its format, not TIFF.
        data: The file.

    Raises:
        ImageError: If it is damaged, or of a kind that cannot be restored.
    """
    if kind == "jpeg":
        check_frame(data)
        frame = frame_of(data)
        return Header(frame.width, frame.height, len(frame.ids))
    if kind == "png":
        return _png(data)
    if kind == "webp":
        width, height, alpha, frames = webp_header(data)
        return Header(width, height, 4 if alpha else 3, frames=frames)
    if kind in ("heif", "avif"):
        return _of_items(data)
    if kind == "jp2":
        stream = jp2.header_of(jp2.codestream_of(data))
        return Header(stream.width, stream.height, stream.components, stream.bits)
    if kind in PILLOWS:
        try:
            with warnings_off(), PILLOWS[kind](BytesIO(data)) as image:
                channels = 4 if image.mode == "P" else len(image.getbands())
                return Header(*image.size, channels, frames=getattr(image, "n_frames", 1))
        except Image.DecompressionBombError as error:  # of a GIF, raised before we see its size
            raise ImageError(str(error)) from error
    raise ImageError(f"no headers of {kind!r} files are known")


def _png(data: bytes) -> Header:
    frames, key, before, controls = 0, False, False, 0
    if data[12:16] == b"CgBI":
        raise ImageError(
            "a PNG as Apple's tools pack it for telephones (CgBI), which no decoder here reads; "
            "convert it first"
        )
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    for name, content in png_chunks(data):
        if name == b"acTL" and len(content) >= 4:
            frames = int.from_bytes(content[:4], "big")
        key = key or (name == b"tRNS" and colour in KEYED)
        controls += name == b"fcTL"
        before = before or (name == b"IDAT" and not controls)
        if name == b"IDAT" and not frames:
            break
    if not controls:  # nothing is shown but the one picture, whatever acTL says
        frames = 1
    elif before:  # a picture that no frame announces is one beside those that are shown
        frames += 1
    return Header(width, height, PNG_CHANNELS.get(colour, 4) + key, bits, max(frames, 1))


def _of_items(data: bytes) -> Header:
    whole = bmff.parse(data)
    width, height = whole.size_of(whole.picture)
    pixels = whole.property_of(whole.picture, b"pixi")
    bits = max(pixels[5:]) if pixels and len(pixels) > 5 else 8
    alpha = any(whole.items[n].hidden for n in whole.pointing_at(whole.primary, b"auxl"))
    frames = 1
    if data[8:12] == b"avis":
        with warnings_off(), AvifImageFile(BytesIO(data)) as image:
            frames = image.n_frames
    return Header(width, height, 4 if alpha else 3, bits, frames)


def decoded_bytes(path: Path) -> int:
    """Return the bytes of a photo's decoded pixels, all pages together.

    Nothing is decoded. 0 if the file is no readable photo: reading it will say why.
    """
    try:
        kind = check_file(path)
        if kind == "tiff":
            from faceren.images.tiff.read import tiff_bytes

            return tiff_bytes(path)
        return header_of(kind, path.read_bytes()).bytes
    except (FacerenError, *DAMAGE):
        return 0
