"""WebP files that hold their one picture as the frame of an animation."""

import struct

import numpy as np
import pytest
from PIL import Image

from faceren.images import read_photo
from faceren.images.containers.webp import is_lossless, riff_chunks
from tests.images.changing import box_of, restored, tags
from tests.images.samples import XMP, exif, pil, smooth

PIXELS = (b"ALPH", b"VP8 ", b"VP8L")


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def sides(width, height):
    return struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]


def animated(path, raster, *, at=(0, 0), canvas=None, **options):
    """An animation of one frame, 70 ms long, two times."""
    height, width = raster.shape[:2]
    canvas = canvas or (width, height)
    pil(raster).save(path, exact=True, **options)
    parts = [chunk(n, c) for n, c in riff_chunks(path.read_bytes()) if n in PIXELS]
    place = b"".join(struct.pack("<I", n // 2)[:3] for n in at)
    frame = place + sides(width, height) + struct.pack("<I", 70)[:3] + b"\2" + b"".join(parts)
    flags = 0x02 | 0x08 | 0x04 | 0x10 * (raster.shape[2] == 4)
    whole = b"WEBP" + chunk(b"VP8X", struct.pack("<I", flags) + sides(*canvas))
    whole += chunk(b"ANIM", b"\1\2\3\4\2\0") + chunk(b"ANMF", frame)
    whole += chunk(b"EXIF", exif(1).tobytes()) + chunk(b"XMP ", XMP)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(whole)) + whole)
    return path


@pytest.mark.parametrize("placed", [False, True])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_lossless_frame_stays_lossless(tmp_path, channels, placed):
    raster = smooth(channels=channels)
    options = {"at": (10, 6), "canvas": (90, 70)} if placed else {}
    path = animated(tmp_path / "a.webp", raster, lossless=True, **options)
    assert is_lossless(path.read_bytes())
    page = read_photo(path).pages[0]
    assert page.raster.shape[:2] == ((70, 90) if placed else (48, 64))
    output, said = restored(path)
    assert said == ()
    assert is_lossless(output.read_bytes())
    again = read_photo(output).pages[0]
    x0, y0, x1, y1 = box_of(page)
    outside = np.ones(page.raster.shape[:2], bool)
    outside[y0:y1, x0:x1] = False
    assert np.array_equal(again.raster[outside], page.raster[outside])
    assert not np.array_equal(again.raster, page.raster)


@pytest.mark.parametrize("channels", [3, 4])
def test_a_lossy_frame_stays_lossy_and_its_opacity_exact(tmp_path, channels):
    raster = smooth(channels=channels)
    path = animated(tmp_path / "a.webp", raster, quality=80)
    assert not is_lossless(path.read_bytes())
    output, _ = restored(path)
    assert not is_lossless(output.read_bytes())
    before, after = read_photo(path).pages[0].raster, read_photo(output).pages[0].raster
    assert np.array_equal(after[..., 3:], before[..., 3:])


def test_it_stays_an_animation_of_one_frame(tmp_path):
    path = animated(tmp_path / "a.webp", smooth(), lossless=True)
    output, _ = restored(path)
    before, after = (dict(riff_chunks(p.read_bytes())) for p in (path, output))
    assert after[b"ANIM"] == before[b"ANIM"]
    assert after[b"ANMF"][:16] == before[b"ANMF"][:16]
    assert after[b"VP8X"] == before[b"VP8X"]
    known, was = tags(output), tags(path)
    for name in ("AnimationLoopCount", "BackgroundColor", "Duration", "FrameCount"):
        assert known.get(f"RIFF:{name}") == was.get(f"RIFF:{name}")
    with Image.open(output) as image:
        assert image.n_frames == 1
    _, said = restored(path, tmp_path / "b.png", format="png")
    assert said == ("left out: a chunk ANIM",)
