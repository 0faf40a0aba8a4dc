import io

import numpy as np
import pytest
import skimage.data
from PIL import Image

from faceren.errors import ImageError
from faceren.images.decode import gathered, spread
from faceren.images.encode import BAND, _shared, encode_jpeg, encode_png, encode_webp, fitted
from faceren.images.page import Page
from tests.images.samples import ADOBE_RGB, GAMMA_GRAY, noise, smooth

PHOTO = skimage.data.astronaut()


def jpeg(raster, **options):
    stream = io.BytesIO()
    Image.fromarray(raster).save(stream, "JPEG", **options)
    return stream.getvalue()


def pixels(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


@pytest.mark.parametrize("quality", [76, 85, 92])
@pytest.mark.parametrize(("subsampling", "share"), [(0, 0.98), (1, 0.97), (2, 0.96)])
def test_nearly_all_pixels_stay_equal(subsampling, share, quality):
    source = jpeg(PHOTO, quality=quality, subsampling=subsampling)
    before = pixels(source)
    after = pixels(encode_jpeg(Page(before, "rgb"), quality=50, source=source))
    assert (after == before).mean() > share
    assert np.abs(after.astype(int) - before).max() <= 8


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_a_change_is_seen_and_stays_where_it_is(subsampling):
    source = jpeg(PHOTO, quality=88, subsampling=subsampling)
    before = pixels(source)
    changed = before.copy()
    changed[100:180, 200:280] = np.clip(changed[100:180, 200:280].astype(int) + 30, 0, 255)
    after = pixels(encode_jpeg(Page(changed, "rgb"), quality=50, source=source)).astype(int)
    inside = after[108:172, 208:272] - before[108:172, 208:272]
    assert 25 < np.median(inside) < 35
    outside = np.ones(before.shape[:2], bool)
    outside[80:200, 180:300] = False
    assert (after[outside] == before[outside]).mean() > 0.96


@pytest.mark.parametrize("size", [(16, 16), (17, 33), (1, 1), (BAND + 40, 24), (BAND * 2, 9)])
def test_every_size_has_its_pixels(size):
    raster = np.resize(PHOTO, (*size, 3))
    source = jpeg(raster, quality=90, subsampling=2)
    before = pixels(source)
    after = pixels(encode_jpeg(Page(before, "rgb"), quality=50, source=source))
    assert after.shape == before.shape
    assert np.abs(after.astype(int) - before).mean() < 2


def test_bands_leave_no_seam():
    raster = np.concatenate([PHOTO] * 3)
    source = jpeg(raster, quality=85, subsampling=2)
    before = pixels(source)
    after = pixels(encode_jpeg(Page(before, "rgb"), quality=50, source=source)).astype(int)
    rows = np.abs(after - before).mean(axis=(1, 2))
    assert rows[BAND - 4 : BAND + 4].max() <= rows.max()
    assert rows[BAND - 4 : BAND + 4].mean() < 4 * rows.mean() + 0.05


def test_a_picture_of_another_size_is_encoded_afresh():
    source = jpeg(PHOTO, quality=85)
    large = PHOTO.repeat(2, axis=0).repeat(2, axis=1)
    after = pixels(encode_jpeg(Page(large, "rgb"), quality=50, source=source))
    assert after.shape == large.shape
    assert np.abs(after.astype(int) - large).mean() < 6


@pytest.mark.parametrize("cell", [(1, 2), (2, 2)])
def test_what_a_decoder_smoothed_is_found_again(cell):
    """Triangles over shared values, as libjpeg's h2v1 and h2v2 upsampling are."""
    shared = np.random.default_rng(1).integers(40, 216, (20, 24)).astype(np.float64)

    def doubled(values):
        wide = np.pad(values, ((0, 0), (1, 1)), mode="edge")
        left = (3 * wide[:, 1:-1] + wide[:, :-2]) / 4
        right = (3 * wide[:, 1:-1] + wide[:, 2:]) / 4
        return np.stack([left, right], axis=2).reshape(len(values), -1)

    plane = doubled(shared)
    plane = doubled(plane.T).T if cell[0] == 2 else plane
    found = _shared(np.rint(plane).astype(np.uint8), cell)
    expected = shared.repeat(cell[0], axis=0).repeat(2, axis=1)
    assert np.abs(found - expected).max() <= 4
    assert np.abs(found - expected).mean() < 1


def test_gray_and_inks_are_encoded_as_they_are():
    for mode in ("L", "CMYK"):
        image = Image.fromarray(PHOTO).convert(mode)
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=88)
        before = pixels(stream.getvalue())
        raster = before.reshape(*before.shape[:2], -1)
        page = Page(raster, "gray" if mode == "L" else "cmyk")
        after = pixels(encode_jpeg(page, quality=50, source=stream.getvalue()))
        assert (after == before).mean() > 0.97


@pytest.mark.parametrize("bits", [9, 10, 12, 14])
def test_samples_that_are_spread_can_be_gathered_again(bits):
    every = np.arange(2**bits, dtype=np.uint16).reshape(1, -1, 1)
    wide = spread(every, bits)
    assert (wide[0, 0, 0], wide[0, -1, 0]) == (0, 65535)
    assert np.array_equal(gathered(wide, bits), every)


def test_a_sample_of_too_many_bits_is_damage():
    with pytest.raises(ImageError, match="a sample of more than 10 bits"):
        spread(np.full((1, 1, 3), 1024, np.uint16), 10)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "bmp"])
def test_an_inverted_page_is_turned_over(kind):
    page, lost = fitted(Page(np.full((2, 3, 1), 55, np.uint8), "gray", inverted=True), kind)
    assert page.raster.tolist() == [[[200]] * 3] * 2
    assert not page.inverted
    assert lost == ()


def test_sixteen_bits_become_eight_with_a_word():
    page, lost = fitted(Page(np.full((2, 3, 3), 257 * 99, np.uint16), "rgb"), "jpeg")
    assert page.raster.tolist() == [[[99] * 3] * 3] * 2
    assert lost == ("the bits of a sample beyond 8, of 16",)
    assert fitted(Page(noise((2, 3, 3), np.uint16), "rgb"), "png")[1] == ()


def test_inks_become_colours_with_a_word():
    raster = np.zeros((1, 2, 4), np.uint8)
    raster[0, 1] = [0, 255, 255, 0]
    page, lost = fitted(Page(raster, "cmyk"), "png")
    assert page.raster.tolist() == [[[255, 255, 255], [255, 0, 0]]]
    assert lost == ("inks (CMYK became sRGB)",)
    assert fitted(Page(raster, "cmyk"), "jpeg")[0].space == "cmyk"


def test_gray_with_a_profile_becomes_colour_where_gray_has_none():
    page, _ = fitted(Page(smooth(channels=1), "gray", icc=GAMMA_GRAY), "webp")
    assert (page.space, page.icc) == ("rgb", b"")
    page, _ = fitted(Page(smooth(), "rgb", icc=ADOBE_RGB), "webp")
    assert (page.space, page.icc) == ("rgb", ADOBE_RGB)


def test_transparency_is_refused_for_a_jpeg():
    with pytest.raises(ImageError, match="a JPEG cannot hold"):
        fitted(Page(noise((4, 4, 4)), "rgb"), "jpeg")


@pytest.mark.parametrize("quality", [76, 85, 95])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_a_good_jpeg_is_encoded_as_its_source(quality, subsampling):
    stream = io.BytesIO()
    Image.fromarray(smooth()).save(stream, "JPEG", quality=quality, subsampling=subsampling)
    coded = encode_jpeg(Page(smooth(), "rgb"), quality=50, source=stream.getvalue())
    with Image.open(stream) as old, Image.open(io.BytesIO(coded)) as new:
        steps = [[image.quantization[part[3]] for part in image.layer] for image in (old, new)]
        assert steps[0] == steps[1]
        assert [part[1:3] for part in new.layer] == [part[1:3] for part in old.layer]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_png_holds_every_value(channels, dtype):
    raster = noise((9, 8, channels), dtype)
    data = encode_png(Page(raster, "gray" if channels < 3 else "rgb"))
    if dtype == np.uint8:
        with Image.open(io.BytesIO(data)) as image:
            assert np.array_equal(np.asarray(image).reshape(raster.shape), raster)
    else:
        from faceren.images.decode import decoded

        assert np.array_equal(decoded("png", data).raster, raster)


def test_a_lossless_webp_holds_what_nobody_sees():
    raster = noise((9, 8, 4))
    raster[..., 3] = 0
    data = encode_webp(Page(raster, "rgb"), quality=100, lossless=True)
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(np.asarray(image), raster)
