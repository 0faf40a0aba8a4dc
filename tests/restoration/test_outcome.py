import dataclasses

import numpy as np
import pytest
from faceren.restoration.outcome import outcome
from skimage import data

from faceren.faces.detection import detect_faces
from faceren.restoration.crops import cut
from faceren.restoration.options import RestoreOptions


@pytest.fixture(scope="module")
def crop():
    image = data.astronaut()
    pixels = image.astype(np.float32) / 255
    (face,) = detect_faces(image)
    return cut(lambda b: pixels[b[1] : b[3], b[0] : b[2]], image.shape[:2], face)


def made(crop, restored, luminance_only=False, **options):
    return outcome(crop, restored.copy(), RestoreOptions(**options), luminance_only=luminance_only)


def test_a_network_that_changes_nothing_changes_nothing(crop):
    result = made(crop, crop.pixels)
    assert not result.difference.any()
    assert (result.strength, result.identity, result.reason) == (1, 0, "")


def test_a_tint_is_taken_away_in_a_photo_but_not_from_an_aligned_crop(crop):
    tinted = crop.pixels + np.float32([0.1, 0, -0.1])
    assert np.abs(made(crop, tinted).difference).max() < 1e-5
    np.testing.assert_allclose(
        made(crop, tinted, aligned=True).difference, tinted - crop.pixels, atol=1e-6
    )


def test_strength_scales_and_is_told(crop):
    restored = np.clip(crop.pixels[::-1], 0, 1)
    whole, half = (made(crop, restored, strength=s, grain="off") for s in (1.0, 0.5))
    np.testing.assert_allclose(half.difference, whole.difference / 2, atol=1e-6)
    assert half.strength == 0.5


@pytest.fixture(scope="module")
def grainy(crop):
    noise = np.random.default_rng(0).normal(0, 6 / 255, crop.pixels.shape[:2])
    return dataclasses.replace(crop, pixels=crop.pixels + np.float32(noise)[..., None])


def test_grain_is_given_back_unless_it_is_switched_off(crop, grainy):
    off, auto = (made(grainy, crop.pixels, grain=grain).difference for grain in ("off", "auto"))
    np.testing.assert_allclose(grainy.pixels + off, crop.pixels, atol=2 / 255)
    assert np.std(grainy.pixels + auto - crop.pixels) > 4 / 255


def test_luminance_only_stays_gray_with_grain(crop, grainy):
    result = made(grainy, crop.pixels, luminance_only=True)
    assert result.difference.any()
    np.testing.assert_allclose(np.ptp(result.difference, axis=2), 0, atol=1e-6)


def test_the_guard_speaks_of_what_is_pasted(crop):
    result = made(crop, np.float32(0.6) * crop.pixels[:, ::-1], strength=0.8, min_identity=0.2)
    assert result.identity is not None
    assert result.identity <= 0.2
    assert result.strength < 0.8
    assert "exceeds 0.2" in result.reason
