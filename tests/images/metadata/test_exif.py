import struct
from io import BytesIO

import pytest
from PIL import Image

from faceren.errors import ImageError
from faceren.images.metadata.exif import exif_block, exif_of_tiff, numbers_in, oriented, values_of
from faceren.images.page import orientation_of
from tests.images.samples import exif, full_tiff

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
    block = exif_of_tiff(full_tiff(tmp_path / "a.tif"))
    _, values = values_of(BytesIO(block))
    tags = {tag for tag, _ in values}
    assert 0x010F in tags
    assert not tags & {256, 257, 258, 259, 262, 273, 279, 700, 34675}


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
