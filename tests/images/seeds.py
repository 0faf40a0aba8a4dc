"""Small files of every kind that is read, to be damaged."""

import io
import struct

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from faceren.images.containers import bmff, jp2
from tests.images.samples import ADOBE_RGB, XMP, exif, noise, smooth, with_iptc


def seeds():
    """Return files by the suffix that a name of theirs has; with metadata where they can."""
    known = {"exif": exif().tobytes(), "icc_profile": ADOBE_RGB, "xmp": XMP}
    found = {}
    for name, options in {
        "jpg": {**known, "comment": b"attic"},
        "progressive.jpg": {"progressive": True},
        "png": {"exif": known["exif"], "icc_profile": ADOBE_RGB, "dpi": (300, 300)},
        "webp": {**known, "lossless": True},
        "lossy.webp": known,
        "avif": {**known, "quality": 40},
        "bmp": {"dpi": (300, 300)},
        "gif": {},
        "tif": {"exif": known["exif"], "dpi": (300, 300)},
    }.items():
        stream = io.BytesIO()
        kind = {"jpg": "JPEG", "tif": "TIFF"}.get(name.rpartition(".")[2])
        Image.fromarray(smooth(24, 32)).save(
            stream, kind or name.rpartition(".")[2].upper(), **options
        )
        found[name] = stream.getvalue()
    found["jpg"] = with_iptc(found["jpg"])
    found["deep.png"] = bytes(imagecodecs.png_encode(noise((20, 24, 3), np.uint16)))
    coded = bytes(imagecodecs.jpeg2k_encode(smooth(24, 32), 0, codecformat="jp2", reversible=True))
    at = coded.index(b"jp2c") - 4
    found["jp2"] = coded[:at] + bmff.box(b"uuid", jp2.XMP_UUID + XMP) + coded[at:]
    found["pyramid.tif"] = pyramid()
    found["planes.tif"] = planes()
    try:
        import pillow_heif
    except ImportError:
        return found
    stream = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(smooth(64, 64))).save(stream, quality=40, **known)
    found["heic"] = stream.getvalue()
    return found


def pyramid():
    """A TIFF of tiles, a smaller copy of it, a mask and a second photo."""
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        options = {"photometric": "rgb", "tile": (16, 16), "compression": "zlib"}
        tags = [(700, 1, len(XMP), XMP, True), (34675, 7, len(ADOBE_RGB), ADOBE_RGB, True)]
        writer.write(smooth(32, 48), subifds=1, extratags=tags, **options)
        writer.write(smooth(16, 24), subfiletype=1, **options)
        writer.write(smooth(32, 48)[..., 0] > 99, subfiletype=4, photometric="mask")
        writer.write(noise((12, 14), np.uint16), photometric="minisblack")
    return stream.getvalue()


def planes():
    """A big-endian BigTIFF of planes apart, with opacity and one channel more."""
    stream = io.BytesIO()
    tifffile.imwrite(
        stream,
        noise((5, 20, 24)),
        photometric="rgb",
        planarconfig="separate",
        extrasamples=["unassalpha", "unspecified"],
        bigtiff=True,
        byteorder=">",
        compression="lzw",
    )
    return stream.getvalue()


NUMBERS = [0, 1, 2, 7, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1]


def damaged(data, steps):
    """Return a file after some steps of damage.

    Args:
        data: The file.
        steps: Of (what, where, how much): where as a share of the length.
    """
    changed = bytearray(data)
    for what, where, value in steps:
        at = int(where * max(len(changed) - 1, 0))
        if what == "bit":
            changed[at : at + 1] = bytes([changed[at] ^ (1 << value % 8)]) if changed else b""
        elif what == "byte":
            changed[at : at + 1] = bytes([value % 256])
        elif what == "number":
            order = "<" if value % 2 else ">"
            changed[at : at + 4] = struct.pack(order + "I", NUMBERS[value % len(NUMBERS)])
        elif what == "cut":
            del changed[at:]
        elif what == "remove":
            del changed[at : at + value % 64]
        elif what == "repeat":
            changed[at:at] = changed[at : at + value % 64]
    return bytes(changed)
