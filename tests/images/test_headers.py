"""What a header says is what a decoder finds."""

import pytest

from faceren.images import decoded_bytes, read_photo
from faceren.images.headers import header_of
from tests.images.seeds import seeds

SEEDS = seeds()


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_the_size_is_known_before_anything_is_decoded(tmp_path, name):
    path = tmp_path / f"a.{name}"
    path.write_bytes(SEEDS[name])
    photo = read_photo(path)
    rasters = [page.raster for page in photo.pages]
    assert decoded_bytes(path) >= sum(raster.nbytes for raster in rasters)
    if photo.kind != "tiff":
        header = header_of(photo.kind, SEEDS[name])
        height, width = rasters[0].shape[:2]
        assert (header.width, header.height, header.frames) == (width, height, 1)
        assert (header.bits > 8) == (rasters[0].dtype.itemsize == 2)
