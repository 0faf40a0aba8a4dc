import numpy as np
import pytest
from PIL import Image, ImageOps

from faceren.errors import ShapeError
from faceren.images.page import Page, orientation_of, stored_box, stored_raster, upright_view
from tests.images.samples import ADOBE_RGB, CHANNELS, GAMMA_GRAY, exif, noise

ALL = range(1, 9)


@pytest.mark.parametrize("orientation", ALL)
def test_the_upright_view_is_what_pillow_shows(orientation):
    raster = noise((5, 7, 3))
    image = Image.fromarray(raster)
    image.getexif()[0x0112] = orientation
    assert np.array_equal(upright_view(raster, orientation), ImageOps.exif_transpose(image))


@pytest.mark.parametrize("orientation", ALL)
def test_the_stored_raster_is_turned_back_by_the_upright_view(orientation):
    upright = noise((5, 7, 3))
    assert np.array_equal(upright_view(stored_raster(upright, orientation), orientation), upright)


@pytest.mark.parametrize("orientation", ALL)
def test_writing_into_the_view_writes_the_stored_box(orientation):
    raster = np.zeros((5, 7), np.uint8)
    upright_view(raster, orientation)[1:3, 2:5] = 1
    x0, y0, x1, y1 = stored_box((2, 1, 5, 3), orientation, raster.shape)
    assert raster[y0:y1, x0:x1].all()
    assert raster.sum() == 6


@pytest.mark.parametrize("orientation", ALL)
def test_the_orientation_is_read_from_exif(orientation):
    assert orientation_of(exif(orientation).tobytes()) == orientation


def test_big_endian_exif_without_prefix_is_read():
    assert orientation_of(b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x05\0\0") == 5


@pytest.mark.parametrize(
    "block", [b"", b"Exif\0\0", b"II*\0\xff\xff\xff\x7f", b"MM\0*\0\0\0\x08\0\x09"]
)
def test_damaged_exif_means_upright(block):
    assert orientation_of(block) == 1


def test_an_impossible_orientation_means_upright():
    assert orientation_of(exif(9).tobytes()) == 1


SPACES = {"L": "gray", "LA": "gray", "RGB": "rgb", "RGBA": "rgb", "CMYK": "cmyk"}
BOX = (2, 1, 9, 6)


def change(seed=0):
    """What to add to ``BOX``: something in its middle, exactly zero around it."""
    add = np.zeros((5, 7, 3), np.float32)
    add[1:4, 2:5] = np.random.default_rng(seed).uniform(-0.3, 0.3, (3, 3, 3))
    return add


def page(mode, dtype=np.uint8, orientation=1, **options):
    return Page(noise((11, 13, CHANNELS[mode]), dtype), SPACES[mode], orientation, **options)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("mode", list(CHANNELS))
@pytest.mark.parametrize("icc", [b"", ADOBE_RGB, GAMMA_GRAY], ids=["plain", "rgb", "gray"])
def test_nothing_changes_where_nothing_is_added(mode, dtype, orientation, icc):
    before = page(mode, dtype, orientation, icc=icc)
    after = before.merged([(BOX, change())])
    differs = upright_view((before.raster != after.raster).any(axis=2), orientation)
    assert differs[2:5, 4:7].any()
    differs[2:5, 4:7] = False
    assert not differs.any()
    assert after.raster.dtype == dtype
    alpha = CHANNELS[mode] in (2, 4) and mode != "CMYK"
    if alpha:
        assert np.array_equal(after.raster[..., -1], before.raster[..., -1])


@pytest.mark.parametrize("icc", [b"", ADOBE_RGB], ids=["plain", "profile"])
@pytest.mark.parametrize(("dtype", "levels"), [(np.uint8, 2), (np.uint16, 60)])
def test_what_is_added_is_seen(icc, dtype, levels):
    raster = np.random.default_rng(1).integers(90, 150, (11, 13, 3))
    top = np.iinfo(dtype).max
    before = Page((raster * (top // 255)).astype(dtype), "rgb", 6, icc)
    after = before.merged([(BOX, change())])
    seen = after.upright_region(BOX).astype(np.float64)
    assert np.abs(seen - before.upright_region(BOX) - change()).max() <= levels / top + 1e-6


def test_gray_takes_the_luminance_of_what_is_added():
    before = Page(np.full((4, 4, 1), 100, np.uint8), "gray")
    add = np.zeros((4, 4, 3), np.float32)
    add[..., 1] = 0.2
    after = before.merged([((0, 0, 4, 4), add)])
    assert np.unique(after.raster).tolist() == [round(100 + 0.2 * 0.587 * 255)]


def test_an_inverted_page_gets_darker_values_when_light_is_added():
    before = Page(np.full((4, 4, 1), 100, np.uint8), "gray", inverted=True)
    after = before.merged([((0, 0, 4, 4), np.full((4, 4, 3), 0.1, np.float32))])
    assert np.unique(after.raster).tolist() == [round(100 - 25.5)]
    assert int(before.upright_uint8()[0, 0, 0]) == 155


@pytest.mark.parametrize("value", [0.4, -0.4])
def test_inks_without_a_profile_become_what_was_asked(value):
    before = Page(noise((6, 6, 4)) // 2 + 20, "cmyk")
    add = np.full((6, 6, 3), value, np.float32)
    seen = before.upright_region((0, 0, 6, 6))
    after = before.merged([((0, 0, 6, 6), add)]).upright_region((0, 0, 6, 6))
    assert np.abs(after - np.clip(seen + add, 0, 1)).max() < 2 / 255


def test_values_are_clipped_not_wrapped():
    white = Page(np.full((2, 2, 3), 250, np.uint8), "rgb")
    assert (white.merged([((0, 0, 2, 2), np.ones((2, 2, 3), np.float32))]).raster == 255).all()


def test_the_original_is_left_alone():
    before = page("RGB")
    raster = before.raster.copy()
    before.merged([(BOX, change())])
    assert np.array_equal(before.raster, raster)


def test_without_a_copy_its_raster_is_written():
    before, expected = page("RGB"), page("RGB").merged([(BOX, change())])
    after = before.merged([(BOX, change())], copy=False)
    assert after.raster is before.raster
    assert np.array_equal(after.raster, expected.raster)


def test_what_was_touched_is_known_in_stored_pixels():
    after = page("RGB", orientation=6).merged([(BOX, change())])
    ((x0, y0, x1, y1),) = after.touched
    rows, columns = np.nonzero((after.raster != page("RGB").raster).any(axis=2))
    assert y0 <= rows.min() <= rows.max() < y1
    assert x0 <= columns.min() <= columns.max() < x1


def test_what_is_seen_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        page("RGB").upright_uint8()[0, 0] = 0


@pytest.mark.parametrize("box", [(-1, 0, 6, 5), (7, 0, 14, 5), (3, 2, 3, 7)])
def test_a_box_outside_is_refused(box):
    with pytest.raises(ShapeError, match="leaves the photo of 13×11 pixels"):
        page("RGB").merged([(box, change())])


@pytest.mark.parametrize("add", [np.zeros((5, 7)), np.full((5, 7, 3), np.nan)])
def test_a_change_that_fits_no_box_or_is_no_number_is_refused(add):
    with pytest.raises(ShapeError, match=r"finite change of \(5, 7, 3\)"):
        page("RGB").merged([(BOX, add.astype(np.float32))])
