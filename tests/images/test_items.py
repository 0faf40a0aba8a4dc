"""HEIC and AVIF whose pictures are cut and turned, or whose first brand names neither."""

import itertools
import struct
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from faceren.errors import ImageError
from faceren.images import read_photo
from faceren.images.containers import bmff
from faceren.images.page import upright_view
from tests.images.changing import restored, tags
from tests.images.samples import smooth

heif = pytest.importorskip("pillow_heif")
TURNS = [(b"irot", n) for n in range(4)] + [(b"imir", n) for n in range(2)]
CLEAN = struct.pack(">4IiIiI", 100, 1, 60, 1, 8, 1, -4, 1)
"""100×60 pixels of 128×96, whose middle lies 8 to the right of the picture's and 4 above it."""
CUT = slice(14, 74), slice(22, 122)


def coded(path, raster=None, **options):
    image = Image.fromarray(smooth(96, 128) if raster is None else raster)
    options = {"quality": 90} | options
    if path.suffix == ".avif":
        image.save(path, **options)
    else:
        heif.from_pillow(image).save(path, **options)
    return path


def describe(path, *properties):
    """Let properties apply to the photo, behind its own."""
    whole = bmff.parse(path.read_bytes())
    first, known = len(whole.properties), [*whole.properties, *properties]
    mine = [*whole.picture.properties, *((n, True) for n in range(first, len(known)))]
    items = whole.items | {whole.primary: replace(whole.picture, properties=mine)}
    path.write_bytes(bmff.joined(replace(whole, items=items, properties=known)))
    return path


def turned(raster, name, number):
    if name == b"irot":
        return np.rot90(raster, number)
    return raster[::-1] if number == 0 else raster[:, ::-1]


@pytest.mark.parametrize("kind", ["heic", "avif"])
def test_turns_apply_in_their_order(tmp_path, kind):
    path = coded(tmp_path / f"a.{kind}")
    stored, plain = read_photo(path).pages[0].raster, path.read_bytes()
    for count in (1, 2):
        for turns in itertools.product(TURNS, repeat=count):
            path.write_bytes(plain)
            describe(path, *((name, bytes([number])) for name, number in turns))
            seen = stored
            for name, number in turns:
                seen = turned(seen, name, number)
            page = read_photo(path).pages[0]
            assert np.array_equal(upright_view(page.raster, page.orientation), seen), turns
            assert np.array_equal(page.raster, stored), turns


@pytest.mark.parametrize("turns", [(b"imir", b"irot"), (b"irot", b"imir")])
@pytest.mark.parametrize("kind", ["heic", "avif"])
def test_a_turned_photo_stays_turned(tmp_path, kind, turns):
    path = coded(tmp_path / f"a.{kind}")
    describe(path, *((name, b"\1") for name in turns))
    output, said = restored(path)
    assert said == ()
    before, after = read_photo(path), read_photo(output)
    assert after.pages[0].orientation == before.pages[0].orientation
    difference = after.upright_uint8()[:, :30].astype(int) - before.upright_uint8()[:, :30]
    assert np.abs(difference).mean() < 2


@pytest.mark.parametrize("turns", [(), ((b"irot", b"\1"),)])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("kind", ["heic", "avif"])
def test_what_is_cut_off_stays_unseen(tmp_path, kind, channels, turns):
    raster = smooth(96, 128, channels)
    path = coded(tmp_path / f"a.{kind}", raster)
    whole = read_photo(path).pages[0].raster
    describe(path, (b"clap", CLEAN), *turns)
    page = read_photo(path).pages[0]
    assert page.raster.shape[:2] == (60, 100)
    difference = np.abs(page.raster[..., :3].astype(int) - whole[CUT][..., :3])
    # libheif cuts before it spreads the colours, which along the cut become others
    assert difference[2:-2, 2:-2].max() == 0
    output, said = restored(path)
    assert said == ()
    again = read_photo(output).pages[0]
    assert again.raster.shape == page.raster.shape
    assert np.abs(again.raster[:15].astype(int) - page.raster[:15]).mean() < 3
    if kind == "avif":
        assert np.array_equal(again.raster[..., 3:], whole[CUT][..., 3:])
    for target in ("png", "jpg") if channels == 3 else ("png",):
        other, _ = restored(path, tmp_path / f"b.{target}", format=target)
        assert read_photo(other).pages[0].raster.shape == page.raster.shape


@pytest.mark.parametrize("kind", ["heic", "avif"])
@pytest.mark.parametrize(
    ("clean", "turn", "why"),
    [
        ((100, 1, 60, 1, 20, 1, 0, 1), b"", "cut outside of itself"),
        ((100, 0, 60, 1, 0, 1, 0, 1), b"", "cut to nothing"),
        ((0, 1, 60, 1, 0, 1, 0, 1), b"", "cut outside of itself"),
        ((60, 1, 60, 1, 0, 1, 0, 1), b"\1", "cut after it was turned"),
    ],
)
def test_a_cut_that_cannot_be_is_one_line(tmp_path, kind, clean, turn, why):
    path = coded(tmp_path / f"a.{kind}")
    cut = (b"clap", struct.pack(">4IiIiI", *clean))
    describe(path, *([(b"irot", turn), cut] if turn else [cut]))
    with pytest.raises(ImageError, match=why):
        read_photo(path)


@pytest.mark.parametrize("kind", ["heic", "avif"])
def test_what_codes_the_photo_tells_the_format_where_the_brand_does_not(tmp_path, kind):
    path = coded(tmp_path / f"a.{kind}")
    data = path.read_bytes()
    expected = read_photo(path).pages[0].raster
    path.write_bytes(data[:8] + b"mif1" + data[12:])
    photo = read_photo(path)
    assert photo.kind == {"heic": "heif", "avif": "avif"}[kind]
    assert np.array_equal(photo.pages[0].raster, expected)
    output, said = restored(path)
    assert said == ()
    assert tags(output)["File:MIMEType"] in ("image/heif", f"image/{kind}")
    assert output.read_bytes()[8:12] == b"mif1"


def test_a_brand_of_any_coding_on_a_damaged_file_is_one_line(tmp_path):
    path = coded(tmp_path / "a.avif")
    path.write_bytes(path.read_bytes()[:8] + b"mif1" + bytes(40))
    with pytest.raises(ImageError, match=r"a\.avif: damaged file: it describes no picture"):
        read_photo(path)
