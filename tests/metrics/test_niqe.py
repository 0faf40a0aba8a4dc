"""Both kinds of NIQE: known figures, and the parts they are made of."""

import cv2
import numpy as np
import pytest
from skimage import data

from faceren.errors import ImageError, ShapeError
from faceren.metrics.niqe import (
    fit,
    halve,
    load_pristine,
    niqe,
    niqe_legacy,
    normalise,
    patches,
)

ASTRONAUT = data.astronaut()


def test_matlab_niqe_of_the_astronaut():
    assert niqe(ASTRONAUT) == pytest.approx(3.07, abs=0.03)


def test_legacy_niqe_of_the_astronaut():
    assert niqe_legacy(ASTRONAUT) == pytest.approx(7.53, abs=0.03)


def test_the_mosaic_of_the_paper_is_unnatural_to_both():
    small = cv2.resize(ASTRONAUT, (32, 32), interpolation=cv2.INTER_AREA)
    mosaic = cv2.resize(small, (512, 512), interpolation=cv2.INTER_NEAREST)
    assert niqe(mosaic) > 15
    assert niqe_legacy(mosaic) > 20


def test_only_whole_patches_count():
    cropped = np.ascontiguousarray(ASTRONAUT[:480, :480])
    assert niqe(cropped) == niqe(ASTRONAUT)
    assert niqe_legacy(cropped) == niqe_legacy(ASTRONAUT)


def test_legacy_takes_red_for_blue():
    assert niqe_legacy(np.ascontiguousarray(ASTRONAUT[..., ::-1])) != niqe_legacy(ASTRONAUT)


@pytest.mark.parametrize("metric", [niqe, niqe_legacy])
def test_too_small_and_blank_images_are_refused(metric):
    with pytest.raises(ShapeError, match="two patches of 96x96 pixels, got 190x96"):
        metric(ASTRONAUT[:96, :190])
    with pytest.raises(ImageError, match="blank"):
        metric(np.full((192, 192, 3), 90, np.uint8))


@pytest.mark.parametrize(("name", "alpha"), [("normal", 2), ("laplace", 1)])
def test_the_fit_recovers_shape_and_scale(name, alpha):
    random = np.random.default_rng(0)
    values = getattr(random, name)(0, 1, (1, 200_000))
    shape, left, right = fit(values, zeros_right=False)
    assert shape == pytest.approx(alpha, rel=0.03)
    # beta of exp(-(|x|/beta)^alpha): sqrt(2) of a Gaussian, 1 of a Laplacian
    assert left == pytest.approx(2 ** (1 - 1 / alpha), rel=0.03)
    assert right == pytest.approx(left, rel=0.03)


def test_zeros_count_to_the_right_if_asked():
    values = np.array([[-1.0, 0.0, 0.0, 0.0, 1.0]])
    _, left, right = fit(values, zeros_right=True)
    assert right / left == pytest.approx(0.5)
    _, left, right = fit(values, zeros_right=False)
    assert right == left


def test_halving_is_matlabs_cubic():
    step = np.zeros((16, 16))
    step[:, 8:] = 1
    # by hand: the taps are cubic(a=-1/2) at 1/4, 3/4, 5/4, 7/4, halved
    taps = np.array([-0.01171875, -0.03515625, 0.11328125, 0.43359375])
    expected = np.cumsum([*taps, *taps[::-1]])[0::2][:4]
    assert halve(step)[4, 2:6] == pytest.approx(expected)
    assert halve(np.full((8, 8), 7.0)) == pytest.approx(np.full((4, 4), 7.0))


def test_borders_are_repeated_or_black():
    flat = np.full((20, 20), 100.0)
    assert not normalise(flat, legacy=False).any()
    assert np.abs(normalise(flat, legacy=True)[0]).min() > 0.1
    assert np.abs(normalise(flat, legacy=True)[4:-4, 4:-4]).max() < 1e-9


def test_what_is_flat_is_exactly_so_whatever_the_rounding():
    random = np.random.default_rng(0)
    image = np.round(random.normal(128, 20, (192, 192)))
    image[:, :96] = 77
    normalised = normalise(image, legacy=False)
    assert not normalised[:, :93].any()
    nudged = normalise(image + 1e-9 * random.normal(size=image.shape), legacy=False)
    ours, theirs = (fit(n.reshape(1, -1), zeros_right=False) for n in (normalised, nudged))
    assert np.concatenate(ours) == pytest.approx(np.concatenate(theirs), rel=1e-6)


def test_patches_are_blocks():
    blocks = patches(np.arange(16.0).reshape(4, 4), 2)
    assert blocks[0].tolist() == [[0, 1], [4, 5]]
    assert blocks[3].tolist() == [[10, 11], [14, 15]]


def test_the_two_kinds_compare_with_other_statistics():
    matlab, legacy = load_pristine("niqe-matlab"), load_pristine("niqe-legacy")
    assert matlab.covariance.shape == legacy.covariance.shape == (36, 36)
    assert np.abs(matlab.mean - legacy.mean).max() == pytest.approx(0.305, abs=1e-3)
    for model in (matlab, legacy):
        assert np.allclose(model.covariance, model.covariance.T)
