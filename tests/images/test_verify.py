"""Outputs that are not what they should be are never let through."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from faceren.errors import ImageError
from faceren.images import read_photo, write_photo
from faceren.images.verify import check_written
from tests.images.changing import restored
from tests.images.samples import full_jpeg, noise, pil, smooth


def written(tmp_path, suffix, raster, **options):
    path = tmp_path / f"out.{suffix}"
    pil(raster).save(path, **options)
    return path


def source(tmp_path, raster):
    path = tmp_path / "in.png"
    pil(raster).save(path)
    return read_photo(path).pages


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_the_photo_itself_passes(tmp_path, suffix):
    pages = source(tmp_path, smooth())
    check_written(written(tmp_path, suffix, smooth()), {"jpg": "jpeg"}.get(suffix, suffix), pages)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (255 - smooth(), "look different|other values"),
        (smooth()[..., ::-1], "look different|other values"),
        (smooth(50, 64), "64×50 pixels"),
    ],
)
def test_another_picture_does_not(tmp_path, suffix, other, reason):
    pages = source(tmp_path, smooth())
    path = written(tmp_path, suffix, np.ascontiguousarray(other))
    with pytest.raises(ImageError, match=f"cannot be read back .*({reason})"):
        check_written(path, {"jpg": "jpeg"}.get(suffix, suffix), pages)


@pytest.mark.parametrize(("suffix", "kind"), [("jpg", "jpeg"), ("webp", "webp")])
def test_colours_of_noise_that_were_stored_at_half_the_size_pass(tmp_path, suffix, kind):
    raster = np.where(noise((24, 32, 3)) > 127, np.uint8(255), np.uint8(26))
    pages = source(tmp_path, raster)
    options = {"quality": 95, "subsampling": 2} if suffix == "jpg" else {"quality": 95}
    check_written(written(tmp_path, suffix, raster, **options), kind, pages)


def test_a_single_level_is_noticed_where_nothing_may_be_lost(tmp_path):
    pages = source(tmp_path, smooth())
    other = smooth()
    other[20, 30, 1] += 1
    with pytest.raises(ImageError, match="other values"):
        check_written(written(tmp_path, "png", other), "png", pages)


def test_a_cut_file_does_not_pass(tmp_path):
    pages = source(tmp_path, smooth())
    for suffix, kind in (("png", "png"), ("jpg", "jpeg"), ("webp", "webp")):
        path = written(tmp_path, suffix, smooth())
        path.write_bytes(path.read_bytes()[:-200])
        with pytest.raises(ImageError, match="cannot be read back"):
            check_written(path, kind, pages)


def test_another_format_does_not_pass(tmp_path):
    with pytest.raises(ImageError, match="it is a png"):
        check_written(written(tmp_path, "png", smooth()), "webp", source(tmp_path, smooth()))


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_wrong_strip_of_a_tiff_is_noticed(tmp_path, compression):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise((40, 50)), rowsperstrip=4, compression=compression)
    photo = read_photo(path).merged([((0, 0, 50, 40), np.full((40, 50, 3), 0.1, np.float32))])
    with pytest.raises(ImageError, match="strip or tile 0 has other values"):
        check_written(path, "tiff", photo.pages)


def test_nothing_is_replaced_by_what_cannot_be_read(tmp_path, monkeypatch):
    path = full_jpeg(tmp_path / "a.jpg")
    output, _ = restored(path)
    before = output.read_bytes()
    monkeypatch.setattr("faceren.images.write.encode_jpeg", lambda *_, **__: before[:900])
    with pytest.raises(ImageError, match=r"a\.jpg: .*(read back|no scan)"):
        write_photo(output, read_photo(path))
    assert output.read_bytes() == before
    assert [item.name for item in output.parent.iterdir()] == ["a.jpg"]
    with Image.open(output) as image:
        image.load()
