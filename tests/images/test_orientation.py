import numpy as np
import pytest
from PIL import Image, ImageOps

from faceren.images.orientation import orientation_of, stored_box, stored_raster, upright_view
from tests.images.samples import exif, noise

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
