import cv2
import numpy as np
import pytest

from faceren.restoration.working_size import SMALLEST, STEP, detail_size, working_size


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


def test_a_flat_picture_needs_the_smallest_size():
    assert working_size(np.full((256, 256, 3), 0.5, np.float32)) == SMALLEST
    assert detail_size(np.full((256, 256, 3), 0.5, np.float32)) == 0


def test_an_oblong_picture_is_judged_by_its_shorter_side():
    assert working_size(face(256)[:200]) == 200
