import struct
from io import BytesIO

import pytest
from PIL import Image

from faceren.errors import ImageError
from faceren.images.metadata.exif import (
    MOVABLE,
    NOTES_GONE,
    exif_block,
    exif_of_tiff,
    numbers_in,
    oriented,
    values_of,
)
from faceren.images.page import orientation_of
from tests.images.changing import restored
from tests.images.samples import exif, full_tiff, pil, smooth

BLOCK = exif(6).tobytes().removeprefix(b"Exif\0\0")


def read(block):
    known = Image.Exif()
    known.load(b"Exif\0\0" + block)
    return known


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_set_and_all_else_stays(orientation):
    turned = oriented(BLOCK, orientation)
    assert orientation_of(turned) == orientation
    known = read(turned)
    assert (known[0x0112], known[0x010F]) == (orientation, "Zeiss")
    assert known.get_ifd(0x8769)[0x9003] == "1931:05:04 00:00:00"
    assert known.get_ifd(0x8825)[1] == "N"


def test_what_is_right_already_is_not_touched():
    assert oriented(BLOCK, 6) is BLOCK
    assert oriented(b"", 1) == b""
    assert orientation_of(oriented(b"", 8)) == 8


def test_a_block_taken_apart_and_put_together_says_the_same():
    known = read(exif_block(*values_of(BytesIO(BLOCK))))
    assert known[0x010F] == "Zeiss"
    assert known.get_ifd(0x8769)[0x9003] == "1931:05:04 00:00:00"


def test_numbers_are_found_as_fractions_too():
    block = Image.Exif()
    block[282], block[296] = 300.5, 2
    found = numbers_in(block.tobytes().removeprefix(b"Exif\0\0"), 282, 296, 283)
    assert found == [300.5, 2, None]
    assert numbers_in(b"nonsense", 282) == [None]


def test_of_a_tiff_what_describes_its_pixels_is_left_out(tmp_path):
    block, lost = exif_of_tiff(full_tiff(tmp_path / "a.tif"))
    assert lost == ()
    _, values = values_of(BytesIO(block))
    tags = {tag for tag, _ in values}
    assert 0x010F in tags
    assert not tags & {256, 257, 258, 259, 262, 273, 279, 700, 34675}


def noted(start):
    """An EXIF block with a maker's note that says where in the block it stands."""
    block = exif(6)
    block.get_ifd(0x8769)[0x927C] = start + b"here:0000" + b"a maker's values" * 3
    data = block.tobytes().removeprefix(b"Exif\0\0")
    at = data.index(start)
    return data.replace(b"here:0000", b"here:" + struct.pack(">I", at)), at


def assert_points_at_itself(block, at, start):
    assert block[at : at + len(start) + 9] == start + b"here:" + struct.pack(">I", at)
    place = read(block).get_ifd(0x8769)[0x927C]
    assert place.startswith(start + b"here:" + struct.pack(">I", at))


def test_a_makers_note_stays_where_it_is_when_the_photo_is_turned():
    block, at = noted(b"SIGMA\0\0\0")
    assert_points_at_itself(oriented(block, 3), at, b"SIGMA\0\0\0")
    assert orientation_of(oriented(block, 3)) == 3


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_a_makers_note_is_where_it_was_in_a_tiff_and_is_left_out_of_another(tmp_path, suffix):
    block, at = noted(b"SIGMA\0\0\0")
    path = tmp_path / f"a.{suffix}"
    pil(smooth()).save(path, exif=b"Exif\0\0" + block)
    tiff, said = restored(path, tmp_path / "b.tif", format="tiff")
    assert said == ()
    assert_points_at_itself(tiff.read_bytes(), at, b"SIGMA\0\0\0")
    output, said = restored(tiff, tmp_path / f"c.{suffix}", format=suffix)
    assert said == (f"left out: {NOTES_GONE}",)
    with Image.open(output) as image:
        known = image.getexif().get_ifd(0x8769)
    assert known[0x9003] == "1931:05:04 00:00:00"
    assert 0x927C not in known
    kept, said = restored(tiff)
    assert said == ()
    assert_points_at_itself(kept.read_bytes(), at, b"SIGMA\0\0\0")


@pytest.mark.parametrize("start", MOVABLE)
def test_a_makers_note_that_counts_from_its_own_start_moves(tmp_path, start):
    path = tmp_path / "a.jpg"
    block, _ = noted(start)
    pil(smooth()).save(path, exif=b"Exif\0\0" + block)
    tiff, _ = restored(path, tmp_path / "b.tif", format="tiff")
    output, said = restored(tiff, tmp_path / "c.png", format="png")
    assert said == ()
    with Image.open(output) as image:
        assert image.getexif().get_ifd(0x8769)[0x927C].startswith(start + b"here:")


@pytest.mark.parametrize("block", [b"", b"II*\0", b"XX*\0\x08\0\0\0", b"II*\0\xff\xff\xff\xff"])
def test_a_damaged_block_is_said(block):
    with pytest.raises(ImageError, match="its EXIF is damaged; only --format keep"):
        values_of(BytesIO(block))


def test_a_directory_in_itself_ends():
    entry = struct.pack("<HHII", 0x8769, 4, 1, 8)
    block = b"II*\0\x08\0\0\0\x01\0" + entry + bytes(4)
    _, values = values_of(BytesIO(block))
    depth = 0
    while isinstance(values, list) and values:
        values, depth = values[0][1], depth + 1
    assert depth == 4


def test_a_value_of_a_type_that_nobody_knows_is_skipped():
    big = b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2)
    big += struct.pack("<HHQQ", 0x010F, 2, 5, int.from_bytes(b"Zeiss", "little"))
    big += struct.pack("<HHQQ", 0x9999, 55397, 2**63, 0) + bytes(8)
    turned = oriented(big, 6)
    assert orientation_of(turned) == 6
    assert read(turned)[0x010F] == "Zeiss"
    assert 0x9999 not in read(turned)
