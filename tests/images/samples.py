"""Small files of every kind, made on the spot."""

import io
import struct
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
    known = {"exif": block.tobytes(), "icc_profile": ADOBE_RGB, "dpi": (600, 600)}
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


def _lut8(inputs: int, table) -> bytes:
    """An ICC table (lut8Type, ICC.1:2010 10.9) with straight curves."""
    side, outputs = table.shape[0], table.shape[-1]
    matrix = b"".join(struct.pack(">i", 65536 * (n % 4 == 0)) for n in range(9))
    curve = bytes(range(256))
    head = b"mft1" + bytes(4) + bytes([inputs, outputs, side, 0]) + matrix
    return head + curve * inputs + table.astype(np.uint8).tobytes() + curve * outputs


def ink_profile(side: int = 17) -> bytes:
    """A CMYK profile: inks multiply, in a Lab of which L is the lightness and colours are weak."""
    axis = np.linspace(0, 1, side)
    inks = np.stack(np.meshgrid(*[axis] * 4, indexing="ij"), axis=-1)
    light = (1 - inks[..., :3]) * (1 - inks[..., 3:])
    lab = np.stack([light.mean(-1), light[..., 0] - light[..., 1], light[..., 1] - light[..., 2]])
    forward = np.moveaxis(lab, 0, -1) * [255, 60, 60] + [0, 128, 128]
    lightness, a, b = np.meshgrid(axis, axis, axis, indexing="ij")
    red_green, green_blue = (a * 255 - 128) / 60, (b * 255 - 128) / 60
    green = lightness + (green_blue - red_green) / 3
    rgb = np.stack([green + red_green, green, green - green_blue], axis=-1).clip(0, 1)
    black = (1 - rgb.max(-1, keepdims=True)) * 0.5
    backward = np.concatenate([1 - rgb / np.maximum(1 - black, 1e-6), black], axis=-1).clip(0, 1)
    tables = {b"A2B0": _lut8(4, np.rint(forward)), b"B2A0": _lut8(3, np.rint(backward * 255))}
    tables[b"desc"] = b"desc" + bytes(4) + struct.pack(">I", 5) + b"inks\0" + bytes(79)
    tables[b"wtpt"] = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    place, index, body = 128 + 4 + 12 * len(tables), struct.pack(">I", len(tables)), b""
    for name, table in tables.items():
        index += name + struct.pack(">II", place + len(body), len(table))
        body += table + bytes(-len(table) % 4)
    head = b"lcms" + bytes.fromhex("02400000") + b"prtrCMYKLab " + bytes(12) + b"acsp" + bytes(28)
    white = struct.pack(">3i", 63190, 65536, 54061)
    header = (struct.pack(">I", place + len(body)) + head + white).ljust(128, b"\0")
    return header + index + body
