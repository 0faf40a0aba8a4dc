import numpy as np
import pytest

from faceren.errors import FaceError
from faceren.faces.alignment import (
    TEMPLATE,
    crop_box,
    crop_corners,
    crop_transform,
    cut_crop,
    inverse,
    laid_back,
    native_side,
    similarity,
    turning,
    warp,
)


def turned(points, degrees, scale, shift):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return scale * points @ np.array([[c, s], [-s, c]]) + shift


def test_similarity_recovers_a_known_turn_scale_and_shift():
    matrix = similarity(TEMPLATE, turned(TEMPLATE, 30, 0.5, [7, -3]))
    expected = 0.5 * np.array([[np.cos(np.pi / 6), -0.5], [0.5, np.cos(np.pi / 6)]])
    np.testing.assert_allclose(matrix[:, :2], expected, atol=1e-12)
    np.testing.assert_allclose(matrix[:, 2], [7, -3], atol=1e-9)


def test_similarity_is_the_least_squares_solution():
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(5, 2)), rng.normal(size=(5, 2))
    rows = np.concatenate([[[x, -y, 1, 0], [y, x, 0, 1]] for x, y in source])
    a, b, tx, ty = np.linalg.lstsq(rows, target.ravel(), rcond=None)[0]
    np.testing.assert_allclose(similarity(source, target), [[a, -b, tx], [b, a, ty]], atol=1e-9)


def test_landmarks_on_the_template_give_the_identity():
    np.testing.assert_allclose(crop_transform(TEMPLATE, 512), [[1, 0, 0], [0, 1, 0]], atol=1e-9)
    assert native_side(TEMPLATE) == pytest.approx(512)


def test_half_size_crop_keeps_the_image_where_it_was():
    """Outer corners, not pixel centres, must agree, or crops of two sizes shift by half a pixel."""
    np.testing.assert_allclose(
        crop_corners(crop_transform(TEMPLATE, 256), 256),
        crop_corners(crop_transform(TEMPLATE, 512), 512),
        atol=1e-9,
    )


def test_native_side_follows_the_scale():
    assert native_side(turned(TEMPLATE, 77, 0.3, [50, 60])) == pytest.approx(0.3 * 512)


def test_coinciding_landmarks_are_refused():
    with pytest.raises(FaceError, match="coincide"):
        crop_transform(np.ones((5, 2)), 256)


def test_inverse_undoes():
    matrix = similarity(TEMPLATE, turned(TEMPLATE, 12, 1.7, [1, 2]))
    back = inverse(matrix)
    points = TEMPLATE @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(points @ back[:, :2].T + back[:, 2], TEMPLATE, atol=1e-9)


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.2, 2.0])
def test_warp_keeps_a_ramp_where_it_belongs(scale):
    """A linear ramp survives any resampling; what it reads at a pixel says where that pixel is."""
    ramp = np.tile(np.arange(200, dtype=np.float32), (200, 1))
    matrix = np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2]])
    size = int(200 * scale)
    result = warp(ramp, matrix, (size, size))
    x = (np.arange(size) + 0.5) / scale - 0.5
    inner = slice(size // 4, -size // 4)
    np.testing.assert_allclose(result[size // 2, inner], x[inner], atol=0.05)


def test_warp_averages_when_it_shrinks():
    stripes = np.tile(np.float32([0, 1]), (256, 128))
    matrix = np.array([[0.25, 0, -0.375], [0, 0.25, -0.375]])
    result = warp(stripes, matrix, (64, 64))
    np.testing.assert_allclose(result[8:-8, 8:-8], 0.5, atol=0.02)


def as_turned(turns, landmarks, photo, size):
    """Return the crop of a turned photo, and what is laid back of it, turned upright again."""
    there = turning(turns, *photo.shape[:2])
    turned = np.ascontiguousarray(np.rot90(photo, turns))
    matrix = crop_transform(landmarks @ there[:, :2].T + there[:, 2], size)
    x0, y0, x1, y1 = box = crop_box(matrix, size, turned.shape[:2])
    crop = cut_crop(lambda b: turned[b[1] : b[3], b[0] : b[2]], box, matrix, size)
    back = inverse(matrix)
    back[:, 2] -= [x0, y0]
    laid = np.zeros_like(turned)
    laid[y0:y1, x0:x1] = laid_back(crop - 0.5, back, (y1 - y0, x1 - x0))
    return crop, np.rot90(laid, -turns)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_photo_has_the_same_crop_and_gets_the_same_back(turns):
    photo = np.random.default_rng(0).random((90, 130, 3)).astype(np.float32)
    landmarks = np.array([[50.3, 40.1], [70.2, 42.4], [60.7, 52.9], [52.6, 62.2], [69.5, 64.8]])
    upright, turned = (as_turned(n, landmarks, photo, 64) for n in (0, turns))
    np.testing.assert_allclose(turned[0], upright[0], atol=1e-5)
    np.testing.assert_allclose(turned[1], upright[1], atol=1e-5)


@pytest.mark.parametrize("turns", [-3, 0, 1, 2, 3, 5])
def test_turning_says_where_numpy_puts_a_pixel(turns):
    image = np.zeros((4, 7), np.uint8)
    image[1, 5] = 1
    ((y, x),) = np.argwhere(np.rot90(image, turns))
    np.testing.assert_array_equal(turning(turns, 4, 7) @ [5, 1, 1], [x, y])
