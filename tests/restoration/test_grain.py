import cv2
import numpy as np
import pytest

from faceren.restoration.edit import (
    ByTone,
    along,
    block_means,
    by_tone,
    choices,
    flat_blocks,
    octaves,
    shares_of,
    with_grain,
)


@pytest.fixture(scope="module")
def face(astronaut):
    """An aligned-like crop without grain, (256, 256, 3)."""
    crop = np.ascontiguousarray(astronaut[20:276, 90:346])
    smooth = cv2.bilateralFilter(crop, 9, 40, 5).astype(np.float32) / 255
    return cv2.GaussianBlur(smooth, (0, 0), 0.8)


def grainy(face, spread, size=1.0, seed=0):
    noise = np.random.default_rng(seed).standard_normal(face.shape[:2], np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), size) if size else noise
    return face + np.float32(spread) * (noise / noise.std())[..., None]


def spreads(image, structure):
    """Standard deviation of each octave in flat places, in levels."""
    flat = flat_blocks(octaves(structure.mean(2))[0])
    bands, _ = octaves(image.mean(2))
    return np.array([255 * np.sqrt(np.median(block_means(b * b)[flat])) for b in bands])


@pytest.mark.parametrize("size", [0, 1.0, 2.0])
def test_a_face_without_grain_gets_the_grain_of_its_photo(face, size):
    crop = grainy(face, 6 / 255, size)
    result = with_grain(crop, face)
    expected, found = spreads(crop, face), spreads(result, face)
    strong = expected > 1
    assert strong.any()
    np.testing.assert_allclose(found[strong], expected[strong], rtol=0.25)


def test_grain_is_new_and_not_the_photo_s_own(face):
    crop = grainy(face, 6 / 255)
    old, new = (crop - face)[..., 0].ravel(), (with_grain(crop, face) - face)[..., 0].ravel()
    assert abs(np.corrcoef(old, new)[0, 1]) < 0.2


def test_nothing_is_added_where_nothing_was_removed(face):
    crop = grainy(face, 6 / 255)
    np.testing.assert_allclose(with_grain(crop, crop), crop, atol=1e-6)
    assert np.abs(with_grain(face, face) - face).max() < 1e-6


def test_a_face_that_has_become_sharper_gets_no_grain(face):
    blurred = cv2.GaussianBlur(face, (0, 0), 2)
    assert np.abs(with_grain(blurred, face) - face).mean() < 0.3 / 255


@pytest.mark.parametrize(("spread", "size"), [(80 / 255, 0), (30 / 255, 1.0), (30 / 255, 2.0)])
def test_what_is_coarser_than_grain_is_not_brought_back(face, spread, size):
    had, added = grainy(face, spread, size), with_grain(grainy(face, spread, size), face)
    assert (spreads(added, face) - spreads(face, face) < 0.02 * spreads(had, face)).all()


def test_from_grain_to_what_is_none_there_is_no_jump(face):
    bare = spreads(face, face)
    added = [
        (spreads(with_grain(grainy(face, spread / 255, 1.0), face), face) - bare).max()
        for spread in np.arange(6, 30, 0.5)
    ]
    assert max(added) > 3
    assert added[-1] < 0.1 * max(added)
    assert np.abs(np.diff(added)).max() < 0.5 * max(added)


def test_grain_depends_on_the_crop_alone(face):
    crop = grainy(face, 6 / 255)
    np.testing.assert_array_equal(with_grain(crop, face), with_grain(crop.copy(), face.copy()))
    other = with_grain(grainy(face, 6 / 255, seed=1), face)
    assert np.abs(with_grain(crop, face) - other).mean() > 1 / 255


def test_lines_that_the_network_smoothed_away_come_back(face):
    crop = face.copy()
    crop[128:130, 60:200] -= 0.3
    result = with_grain(crop, face)
    line = (slice(128, 130), slice(70, 190))
    assert (face[line] - result[line]).mean() > 0.5 * (face[line] - crop[line]).mean()


def test_grain_follows_brightness():
    """Medians of three groups, a straight line between, and nothing below nothing."""
    tones = np.float32([0.9, 0.1, 0.5, 0.1, 0.5, 0.9, 0.5, 0.1, 0.9])
    powers = np.float32([[-1, 0, 4, 0, 4, -1, 99, 0, 99]])
    measured = by_tone(powers, tones)
    np.testing.assert_allclose(measured.tones, [0.1, 0.5, 0.9], atol=1e-6)
    where = np.float32([[0.0, 0.3, 0.5, 0.7, 1.0]])
    found = along(measured.values[:, 0], measured.between(where))
    np.testing.assert_allclose(found, [[0, 2, 4, 2, 0]], atol=1e-5)


@pytest.mark.parametrize("tones", [(0.1, 0.5, 0.9), (0.3, 0.3, 0.9), (0.3, 0.3, 0.3)])
def test_between_tones_values_lie_on_straight_lines(tones):
    where = np.linspace(0, 1, 999, dtype=np.float32)[None]  # none of them is a tone
    measured = ByTone(np.array(tones), np.array([[3.0], [1.0], [7.0]]))
    found = along(measured.values[:, 0], measured.between(where))
    np.testing.assert_allclose(found, np.interp(where, tones, [3, 1, 7]), atol=1e-5)


def test_octaves_add_up_to_all_that_is_not_coarse():
    image = np.random.default_rng(0).random((64, 64), np.float32)
    bands, coarse = octaves(image)
    np.testing.assert_array_equal(coarse, cv2.GaussianBlur(image, (0, 0), 5.6))
    np.testing.assert_allclose(image - np.sum(bands, axis=0), coarse, atol=1e-6)


def test_shares_are_the_least_squares_without_negative_ones():
    from scipy.optimize import nnls

    rng = np.random.default_rng(0)
    mixture = rng.random((4, 4))
    for _ in range(50):
        power = rng.normal(size=4)
        np.testing.assert_allclose(
            shares_of(power, choices(mixture), mixture),
            nnls(mixture, power)[0],
            rtol=1e-9,
            atol=1e-12,
        )
