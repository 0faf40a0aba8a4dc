import cv2
import numpy as np
import pytest

from faceren.errors import FaceError
from faceren.faces.alignment import TEMPLATE
from faceren.faces.face import Face
from faceren.restoration.crops import (
    LARGEST,
    SMALLEST,
    STEP,
    choose,
    crop_size,
    detail_size,
    is_monochrome,
    scaled_face,
    spectrum,
    whole,
    working_size,
)
from faceren.restoration.options import RestoreOptions
from tests.restoration.pages import cut_face, face_at, noise, photo_of


def face(side):
    """A sharp picture, (S, S, 3), with detail down to the pixel."""
    rng = np.random.default_rng(0)
    luma = cv2.GaussianBlur(rng.standard_normal((side, side)), (0, 0), 0.6)
    coarse = cv2.GaussianBlur(rng.standard_normal((side, side)), (0, 0), side / 20) * side / 10
    picture = 0.5 + 0.15 * (luma + coarse)
    return np.repeat(picture[..., None], 3, axis=2).clip(0, 1).astype(np.float32)


def enlarged(held, side):
    """A picture of ``side`` pixels that holds ``held``."""
    large = cv2.resize(face(held), (side, side), interpolation=cv2.INTER_LANCZOS4)
    return large.clip(0, 1)


def test_a_sharp_picture_holds_all_its_pixels():
    assert detail_size(face(256)) > 240
    assert working_size(face(256)) == 256


@pytest.mark.parametrize("held", [64, 96, 128, 192])
def test_an_enlarged_picture_holds_what_it_was_enlarged_from(held):
    assert detail_size(enlarged(held, 512)) == pytest.approx(held, rel=0.25)


@pytest.mark.parametrize("shape", [(16, 16), (15, 15), (12, 17), (9, 20)])
def test_the_spectrum_holds_every_wave_once(shape):
    """Half of the waves are computed; all of them, by NumPy's full transform, are the same."""
    luma = np.random.default_rng(0).random(shape)
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in shape))
    mean = (luma * window).sum() / window.sum()
    power = np.abs(np.fft.fft2((luma - mean) * window)) ** 2 / (luma.size * (window**2).sum())
    sides = (np.abs(np.fft.fftfreq(side)) for side in shape)
    higher = np.maximum.outer(*sides)
    frequency, found, count = spectrum(luma)
    assert (np.diff(frequency) < 0).all()
    assert count.sum() == luma.size
    np.testing.assert_allclose(found, [power[higher == f].sum() for f in frequency], atol=1e-12)
    np.testing.assert_array_equal(count, [(higher == f).sum() for f in frequency])


def test_a_wave_has_the_detail_of_its_frequency():
    """40 cycles over 256 pixels need 80 pixels; one level of 255 would go unnoticed."""
    x = np.arange(256)
    for amplitude, detail in ((8.0, 80), (1.2, 0)):
        wave = 128 + amplitude * np.sin(2 * np.pi * 40 * x / 256)
        crop = np.repeat(np.tile(wave, (256, 1))[..., None], 3, axis=2).astype(np.float32) / 255
        assert detail_size(crop) == pytest.approx(detail, abs=3)


def test_faint_noise_is_no_detail_and_strong_noise_is():
    rng = np.random.default_rng(1)
    plain = enlarged(64, 512)
    noise = rng.standard_normal((512, 512, 1)).astype(np.float32) / 255
    assert working_size((plain + 2 * noise).clip(0, 1)) <= 256
    assert working_size((plain + 12 * noise).clip(0, 1)) == 512


def test_sizes_are_multiples_of_the_stride_from_the_smallest_up_to_the_crop():
    sizes = [working_size(enlarged(held, 512)) for held in (16, 32, 48, 64, 80, 96, 128, 192)]
    assert sizes[0] == SMALLEST
    assert sizes == sorted(sizes)
    assert all(size % STEP == 0 for size in sizes)
    assert working_size(enlarged(16, 128)) == 128  # never more than the crop has


@pytest.mark.parametrize("side", [512, 640, 1024])
def test_a_large_sharp_picture_is_seen_no_larger_than_the_largest(side):
    assert detail_size(face(side)) > 0.9 * side
    assert working_size(face(side)) == LARGEST


def test_a_flat_picture_needs_the_smallest_size():
    assert working_size(np.full((256, 256, 3), 0.5, np.float32)) == SMALLEST
    assert detail_size(np.full((256, 256, 3), 0.5, np.float32)) == 0


def test_an_oblong_picture_is_judged_by_its_shorter_side():
    assert working_size(face(256)[:200]) == 200


def test_crop_size_is_the_nearest_by_ratio():
    assert [crop_size(side) for side in (40, 256, 360, 365, 512, 640, 3000)] == [
        256, 256, 256, 512, 512, 768, 1024,
    ]  # fmt: skip


def test_faces_are_chosen_by_size_place_and_width():
    faces = [face_at(10, 10, 200), face_at(180, 130, 60), face_at(300, 200, 50)]

    def chosen(**options):
        return choose(faces, (300, 400), RestoreOptions(**options))

    assert chosen() == faces
    assert chosen(faces="largest") == faces[:1]
    assert chosen(faces="center") == faces[1:2]
    assert chosen(min_face=faces[1].width) == faces[:2]
    assert chosen(min_face=1000) == []


def test_cutting_a_crop_of_the_template_returns_the_photo_itself():
    image = noise(512, 512)
    crop = cut_face(photo_of(image), 0, Face((0, 0, 512, 512), TEMPLATE, 1.0))
    assert crop.size == 512
    assert crop.box == (0, 0, 512, 512)
    np.testing.assert_allclose(crop.matrix, np.eye(2, 3), atol=1e-9)
    np.testing.assert_allclose(crop.pixels, image, atol=1e-3)


def test_a_crop_knows_its_page_and_what_may_change():
    photo = photo_of(noise(seed=0), noise(seed=1))
    face = face_at(100, 50, 256)
    crop = cut_face(photo, 1, face, luminance_only=True)
    assert (crop.page, crop.luminance_only, crop.face) == (1, True, face)
    np.testing.assert_allclose(crop.pixels[:240], photo.pages[1].image[50:290, 100:356], atol=1e-3)


def test_a_face_beyond_the_border_is_refused_and_one_across_it_is_mirrored():
    image = noise()
    with pytest.raises(FaceError, match="outside the photo"):
        cut_face(photo_of(image), 0, face_at(2000, 50, 150))
    crop = cut_face(photo_of(image), 0, face_at(-64, 20, 256))
    assert crop.box[0] == 0
    np.testing.assert_allclose(crop.pixels[9:200, 64], image[29:220, 0], atol=1e-3)
    np.testing.assert_allclose(crop.pixels[9:200, 63], image[29:220, 1], atol=1e-3)


def test_an_aligned_page_is_one_crop_of_its_own_size():
    image = noise(96, 128)
    crop = whole(photo_of(image), 0)
    np.testing.assert_array_equal(crop.pixels, image)
    np.testing.assert_array_equal(crop.matrix, [[1, 0, 0], [0, 1, 0]])
    assert crop.box == crop.face.box == (0, 0, 128, 96)
    x, y = crop.face.landmarks[2]  # the nose tip, 256.63 and 314.02 in 512 pixels
    assert (x, y) == (pytest.approx(257.134 / 4 - 0.5, abs=1e-3), pytest.approx(58.472, abs=1e-3))


def test_a_face_grows_with_its_photo_about_the_corner_of_the_first_pixel():
    face = Face((10.0, 20.0, 30.0, 40.0), np.array([[0.0, 0.5]] * 5), 0.9)
    grown = scaled_face(face, 2)
    assert grown.box == (20, 40, 60, 80)
    np.testing.assert_allclose(grown.landmarks, [[0.5, 1.5]] * 5)
    np.testing.assert_allclose(scaled_face(grown, 1 / 2).landmarks, face.landmarks)


@pytest.mark.parametrize("tint", [(1, 1, 1), (1.0, 0.87, 0.68), (0.6, 0.8, 1)])
def test_gray_and_toned_photos_are_monochrome(tint):
    gray = noise(128, 128).mean(2, keepdims=True)
    assert is_monochrome((0.1 + 0.9 * gray * np.float32(tint)).astype(np.float32))


def test_colour_photos_are_not_monochrome(astronaut):
    assert not is_monochrome(astronaut.astype(np.float32) / 255)


def test_the_network_sees_an_enlarged_picture_small_and_a_sharp_one_as_it_is():
    rng = np.random.default_rng(2)
    sharp = rng.random((512, 512, 3), dtype=np.float32)
    soft = cv2.GaussianBlur(sharp, (0, 0), 12)
    assert whole(photo_of(sharp), 0).seen.shape == (512, 512, 3)
    assert whole(photo_of(soft), 0).seen.shape == (160, 160, 3)
    asked = whole(photo_of(sharp), 0, RestoreOptions(working_size=256))
    assert asked.seen.shape == (256, 256, 3)
    np.testing.assert_allclose(asked.seen[3, 5], sharp[6:8, 10:12].mean((0, 1)), atol=1e-6)
    assert whole(photo_of(sharp), 0, RestoreOptions(working_size=2000)).seen.shape == (512, 512, 3)
