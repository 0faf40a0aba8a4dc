import dataclasses

import numpy as np
import pytest

from faceren.faces.detection import detect_faces
from faceren.faces.identity import embedding
from faceren.restoration.edit import edit_face, identity_share, scaled, without_cast
from faceren.restoration.options import RestoreOptions
from faceren.restoration.stream import NetworkResult
from tests.restoration.pages import cut_face, photo_of


@pytest.fixture(scope="module")
def crop(astronaut):
    (face,) = detect_faces(astronaut)
    return cut_face(photo_of(astronaut.astype(np.float32) / 255), 0, face)


def made(crop, restored, scale=1, **options):
    """Return what is added, and what is said of it."""
    return edit_face(crop, NetworkResult(restored.copy(), 7.0), RestoreOptions(**options), scale)


def test_a_network_that_changes_nothing_changes_nothing(crop):
    difference, edit = made(crop, crop.pixels)
    assert not difference.any()
    assert (edit.strength, edit.identity_distance, edit.reason) == (1, 0, "")


def test_an_edit_says_where_the_face_is_in_the_file(crop):
    face = dataclasses.replace(crop, page=2)
    _, edit = made(face, crop.pixels, scale=2)
    assert edit.box == tuple(value / 2 for value in crop.face.box)
    np.testing.assert_allclose(edit.landmarks, (crop.face.landmarks + 0.5) / 2 - 0.5)
    assert (edit.score, edit.crop, edit.ms, edit.page) == (crop.face.score, crop.size, 7.0, 2)


def test_a_tint_is_taken_away_in_a_photo_but_not_from_an_aligned_crop(crop):
    tinted = crop.pixels + np.float32([0.1, 0, -0.1])
    assert np.abs(made(crop, tinted)[0]).max() < 1e-5
    whole, _ = made(crop, tinted, aligned=True)
    np.testing.assert_allclose(whole, tinted - crop.pixels, atol=1e-6)


def test_strength_scales_and_is_told(crop):
    restored = np.clip(crop.pixels[::-1], 0, 1)
    (whole, _), (half, edit) = (made(crop, restored, strength=s, grain="off") for s in (1.0, 0.5))
    np.testing.assert_allclose(half, whole / 2, atol=1e-6)
    assert edit.strength == 0.5


@pytest.fixture(scope="module")
def grainy(crop):
    noise = np.random.default_rng(0).normal(0, 6 / 255, crop.pixels.shape[:2])
    return dataclasses.replace(crop, pixels=crop.pixels + np.float32(noise)[..., None])


def test_grain_is_given_back_unless_it_is_switched_off(crop, grainy):
    off, auto = (made(grainy, crop.pixels, grain=grain)[0] for grain in ("off", "auto"))
    np.testing.assert_allclose(grainy.pixels + off, crop.pixels, atol=2 / 255)
    assert np.std(grainy.pixels + auto - crop.pixels) > 4 / 255


def test_luminance_only_stays_gray_with_grain(crop, grainy):
    difference, _ = made(dataclasses.replace(grainy, luminance_only=True), crop.pixels)
    assert difference.any()
    np.testing.assert_allclose(np.ptp(difference, axis=2), 0, atol=1e-6)


def test_the_guard_speaks_of_what_is_pasted(crop):
    restored = np.float32(0.6) * crop.pixels[:, ::-1]
    _, edit = made(crop, restored, strength=0.8, max_identity_distance=0.2)
    assert edit.identity_distance is not None
    assert edit.identity_distance <= 0.2
    assert edit.strength < 0.8
    assert "exceeds 0.2" in edit.reason


def test_strength_scales_the_difference_and_luminance_is_in_all_channels():
    difference = np.float32([[[0.5, 0, -0.5], [0.1, 0.1, 0.1]]])
    half = scaled(difference, 0.5, luminance_only=False)
    np.testing.assert_allclose(half, difference / 2, atol=1e-7)
    gray = scaled(difference, 1, luminance_only=True)
    np.testing.assert_allclose(gray, [[[0.0925] * 3, [0.1] * 3]], atol=1e-6)


@pytest.fixture(scope="module")
def change(crop):
    """To a mirrored, darker face: not quite the same person."""
    return np.float32(0.6) * crop.pixels[:, ::-1] - crop.pixels


def measured(crop, difference, share):
    before, after = (
        embedding(pixels, crop.landmarks)
        for pixels in (crop.pixels, crop.pixels + np.float32(share) * difference)
    )
    return 1 - float(before @ after)


def test_without_a_limit_everything_is_applied_and_measured(crop, change):
    share, identity, reason = identity_share(crop.pixels, change, crop.landmarks, None)
    assert (share, reason) == (1, "")
    assert identity == pytest.approx(measured(crop, change, 1))


def test_a_face_within_the_limit_is_left_to_the_network(crop, change):
    assert identity_share(crop.pixels, change, crop.landmarks, 5.0)[0] == 1


def test_a_face_beyond_the_limit_is_blended_back_until_it_is_within(crop, change):
    full = measured(crop, change, 1)
    limit = full * 0.8
    share, identity, reason = identity_share(crop.pixels, change, crop.landmarks, limit)
    assert 0 < share < 1
    assert identity <= limit
    assert identity == pytest.approx(measured(crop, change, share))
    assert reason == f"blended back: identity distance {full:.3f} exceeds {limit:g}"


def test_a_face_that_could_hardly_be_changed_is_left_alone(crop, change):
    share, identity, reason = identity_share(crop.pixels, change, crop.landmarks, 0.0)
    assert (share, identity) == (0, 0)
    assert reason.startswith("left as it was: identity distance")


def test_what_is_no_aligned_face_is_not_measured():
    for shape in ((32, 32, 3), (100, 80, 3)):
        pixels = np.zeros(shape, np.float32)
        assert identity_share(pixels, pixels + 1, np.zeros((5, 2)), 0.1) == (1, None, "")


def test_a_cast_and_a_gradient_of_light_go():
    y, x = np.mgrid[:64, :64].astype(np.float32) / 63
    cast = np.stack([0.1 + 0.2 * x, 0 * x - 0.05, 0.1 * y - 0.3 * x], axis=2)
    np.testing.assert_allclose(without_cast(cast), 0, atol=1e-6)


def test_it_is_the_least_squares_plane():
    difference = np.random.default_rng(0).normal(size=(16, 16, 3)).astype(np.float32)
    grid = np.mgrid[:16, :16].reshape(2, -1)
    matrix = np.column_stack([np.ones(256), *grid])
    plane = matrix @ np.linalg.lstsq(matrix, difference.reshape(-1, 3), rcond=None)[0]
    expected = difference - plane.reshape(difference.shape)
    np.testing.assert_allclose(without_cast(difference), expected, atol=1e-5)


def test_the_repair_of_a_stain_stays():
    difference = np.zeros((64, 64, 3), np.float32)
    difference[20:36, 24:40] = 0.2
    kept = without_cast(difference)
    assert kept[20:36, 24:40].min() > 0.17
    assert np.abs(kept[:12]).max() < 0.03


def test_what_the_network_made_at_a_smaller_size_is_added_at_the_crops(crop):
    """Detail above the working size stays: a difference that is smooth comes back as it was."""
    small = dataclasses.replace(crop, working_size=128)
    assert small.seen.shape == (128, 128, 3)
    bump = np.outer(np.hanning(128), np.hanning(128)).astype(np.float32)[..., None] * 0.1
    difference, edit = made(small, small.seen + bump, aligned=True, grain="off")
    expected = np.outer(np.hanning(256), np.hanning(256))[..., None] * 0.1
    assert difference.shape == crop.pixels.shape
    np.testing.assert_allclose(difference, np.repeat(expected, 3, 2), atol=0.002)
    assert (edit.crop, edit.working_size) == (256, 128)
