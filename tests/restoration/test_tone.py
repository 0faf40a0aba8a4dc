import numpy as np
from faceren.restoration.tone import without_cast


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
