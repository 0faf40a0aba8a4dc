import numpy as np
import pytest
from faceren.restoration.identity_guard import as_bytes, guarded
from skimage import data

from faceren.faces.detection import detect_faces
from faceren.faces.identity import embed_aligned
from faceren.restoration.crops import cut


def crop_of(image):
    (face,) = detect_faces(image)
    pixels = image.astype(np.float32) / 255
    return cut(lambda b: pixels[b[1] : b[3], b[0] : b[2]], image.shape[:2], face).pixels


@pytest.fixture(scope="module")
def crop():
    return crop_of(data.astronaut())


@pytest.fixture(scope="module")
def difference(crop):
    """To a mirrored, darker face: not quite the same person."""
    return np.float32(0.6) * crop[:, ::-1] - crop


def measured(crop, difference, share):
    before, after = (
        embed_aligned(as_bytes(pixels)) for pixels in (crop, crop + share * difference)
    )
    return float(np.linalg.norm(before - after))


def test_without_a_limit_everything_is_applied_and_measured(crop, difference):
    result = guarded(crop, difference, None)
    assert result.share == 1
    assert result.reason == ""
    assert result.identity == pytest.approx(measured(crop, difference, np.float32(1)))


def test_a_face_within_the_limit_is_left_to_the_network(crop, difference):
    assert guarded(crop, difference, 5.0).share == 1


def test_a_face_beyond_the_limit_is_blended_back_until_it_is_within(crop, difference):
    full = guarded(crop, difference, None).identity
    limit = full * 0.8
    result = guarded(crop, difference, limit)
    assert 0 < result.share < 1
    assert result.identity <= limit
    assert result.identity == pytest.approx(measured(crop, difference, np.float32(result.share)))
    assert result.reason == f"blended back: identity distance {full:.3f} exceeds {limit:g}"


def test_a_face_that_could_hardly_be_changed_is_left_alone(crop, difference):
    result = guarded(crop, difference, 0.0)
    assert (result.share, result.identity) == (0, 0)
    assert result.reason.startswith("left as it was: identity distance")


def test_what_is_no_aligned_face_is_not_measured():
    for shape in ((32, 32, 3), (100, 80, 3)):
        pixels = np.zeros(shape, np.float32)
        result = guarded(pixels, pixels + 1, 0.1)
        assert (result.share, result.identity) == (1, None)
