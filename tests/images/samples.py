"""Small files of every kind, made on the spot."""

import io
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="image/x"/></rdf:RDF></x:xmpmeta>'
)
ADOBE_RGB = bytes(imagecodecs.cms_profile("adobergb"))
GAMMA_GRAY = bytes(imagecodecs.cms_profile("gray", gamma=1.8))
CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}


def noise(shape, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def smooth(height=48, width=64, channels=3):
    """A picture that survives JPEG."""
    y, x = np.mgrid[:height, :width]
    waves = [128 + 60 * np.sin(x / 9 + c) + 50 * np.cos(y / 7 - c) for c in range(channels)]
    return np.stack(waves, axis=2).astype(np.uint8)


def pil(raster, mode="RGB"):
    if mode == "CMYK":
        size = (raster.shape[1], raster.shape[0])
        return Image.frombytes("CMYK", size, np.ascontiguousarray(raster).tobytes())
    return Image.fromarray(raster[..., 0] if raster.shape[2] == 1 else raster)


def exif(orientation=6):
    block = Image.Exif()
    block[0x0112] = orientation
    block[0x010F] = "Zeiss"
    block.get_ifd(0x8769)[0x9003] = "1931:05:04 00:00:00"
    block.get_ifd(0x8825)[1] = "N"
    return block


def with_iptc(jpeg: bytes) -> bytes:
    """Put an IPTC caption into a JPEG, as Photoshop does."""
    caption = b"\x1c\x02\x78" + len(b"Grandmother").to_bytes(2, "big") + b"Grandmother"
    resource = b"8BIM\x04\x04\0\0" + len(caption).to_bytes(4, "big") + caption
    content = b"Photoshop 3.0\0" + resource + b"\0" * (len(resource) % 2)
    return jpeg[:2] + b"\xff\xed" + (len(content) + 2).to_bytes(2, "big") + content + jpeg[2:]


def full_jpeg(path: Path, orientation=6, **options) -> Path:
    """A JPEG with everything: EXIF, ICC, XMP, IPTC, a comment and a resolution."""
    stream = io.BytesIO()
    known = {
        "exif": exif(orientation),
        "icc_profile": ADOBE_RGB,
        "xmp": XMP,
        "comment": b"from the attic",
        "dpi": (300, 300),
        "quality": 90,
    }
    pil(smooth()).save(stream, "JPEG", **(known | options))
    path.write_bytes(with_iptc(stream.getvalue()))
    return path


def full_tiff(path: Path, raster=None, mode="RGB", **options) -> Path:
    """A TIFF with EXIF, GPS, ICC, XMP and a resolution."""
    raster = smooth() if raster is None else raster
    block = exif()
    block[700] = XMP
    known = {"exif": block, "icc_profile": ADOBE_RGB, "dpi": (600, 600)}
    pil(raster, mode).save(path, "TIFF", **(known | options))
    return path


def lossless(path: Path, raster, orientation=1) -> Path:
    """Write a raster, of any depth and 1 to 4 channels, with an Orientation."""
    if path.suffix == ".png":
        plain = raster[..., 0] if raster.shape[2] == 1 else raster
        data = bytes(imagecodecs.png_encode(np.ascontiguousarray(plain)))
        block = exif(orientation).tobytes().removeprefix(b"Exif\0\0")
        chunk = b"eXIf" + block
        crc = imagecodecs.zlib_crc32(chunk).to_bytes(4, "big")
        path.write_bytes(data[:33] + len(block).to_bytes(4, "big") + chunk + crc + data[33:])
        return path
    if path.suffix == ".webp":
        pil(raster).save(path, "WEBP", lossless=True, exact=True, exif=exif(orientation))
        return path
    samples = raster.shape[2]
    tifffile.imwrite(
        path,
        raster if samples > 1 else raster[..., 0],
        photometric="rgb" if samples > 2 else "minisblack",
        extrasamples=["unassalpha"] if samples in (2, 4) else None,
        planarconfig="contig" if samples > 1 else None,
        extratags=[(274, 3, 1, orientation, True)],
        compression="zlib",
        rowsperstrip=5,
    )
    return path
