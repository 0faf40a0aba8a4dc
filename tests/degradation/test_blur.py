from statistics import NormalDist

import numpy as np
import pytest

from faceren.arrays import Rgb8
from faceren.degradation.blur import (
    EdgeSoftness,
    GaussianBlur,
    MotionBlur,
    SoftFocus,
    paper_kernel,
    whole_kernel,
)

from .conftest import flat


@pytest.mark.parametrize(
    ("sigma", "side"), [(3.0, 9), (4.0, 11), (4.99, 15), (5.0, 13), (6.0, 15), (8.0, 21)]
)
def test_the_papers_kernel_sides(sigma: float, side: int) -> None:
    assert paper_kernel(sigma) == side


def test_gaussian_blur_turns_an_edge_into_the_bells_integral() -> None:
    image = flat(0, height=65, width=64)
    image[:, 32:] = 200
    profile = GaussianBlur(sigma=2.0, kernel=whole_kernel(2.0))(image)[32, :, 0]
    expected = [200 * NormalDist(31.5, 2.0).cdf(x) for x in range(64)]
    assert np.abs(profile - np.array(expected)).max() < 1.5


def test_the_papers_kernel_is_cut_off_so_it_blurs_less_than_its_sigma(face: Rgb8) -> None:
    cut = GaussianBlur(sigma=5.0, kernel=paper_kernel(5.0))(face).astype(int)
    whole = GaussianBlur(sigma=5.0, kernel=whole_kernel(5.0))(face).astype(int)
    assert np.abs(np.diff(cut, axis=1)).sum() > np.abs(np.diff(whole, axis=1)).sum()


@pytest.mark.parametrize("angle", [0.0, 37.0, 90.0, 211.0])
def test_motion_weights_sum_to_one_and_lie_on_a_line(angle: float) -> None:
    weights = MotionBlur(kernel=15, angle=angle, direction=0.0).weights()
    assert weights.sum() == pytest.approx(1, abs=1e-6)
    down, across = np.mgrid[-7:8, -7:8]
    # the line is vertical at 0 degrees and turns counter-clockwise
    turn = np.deg2rad(angle)
    off = across * np.cos(turn) - down * np.sin(turn)
    assert (weights * off**2).sum() < 0.5


def test_motion_direction_moves_the_weight_to_one_end() -> None:
    even = MotionBlur(kernel=11, angle=0.0, direction=0.0).weights().sum(1)
    assert np.allclose(even, 1 / 11)
    one = MotionBlur(kernel=11, angle=0.0, direction=1.0).weights().sum(1)
    other = MotionBlur(kernel=11, angle=0.0, direction=-1.0).weights().sum(1)
    assert one[0] > 0.15
    assert one[-1] == 0
    assert np.allclose(one, other[::-1], atol=0.002)


def test_motion_blur_smears_only_along_the_line() -> None:
    image = flat(0, height=41, width=41)
    image[20, 20] = 255
    smeared = MotionBlur(kernel=11, angle=0.0, direction=0.0)(image)[..., 0]
    assert (smeared[15:26, 20] == 23).all()  # 255 / 11, rounded
    assert smeared.sum() == 23 * 11


def test_blurs_keep_a_flat_image() -> None:
    for blur in (
        GaussianBlur(sigma=3.0, kernel=9),
        MotionBlur(kernel=15, angle=30.0, direction=0.3),
        SoftFocus(sigma=4.0, amount=0.5),
        EdgeSoftness(sigma=4.0, x=0.5, y=0.5, radius=0.5),
    ):
        assert np.array_equal(blur(flat(77)), flat(77))


def test_soft_focus_is_the_stated_mixture(face: Rgb8) -> None:
    assert np.array_equal(SoftFocus(sigma=3.0, amount=0.0)(face), face)
    half = SoftFocus(sigma=3.0, amount=0.5)(face).astype(int)
    whole = SoftFocus(sigma=3.0, amount=1.0)(face).astype(int)
    assert np.abs(half - (face + whole) / 2).max() <= 1


def test_edge_softness_leaves_the_centre_alone(face: Rgb8) -> None:
    soft = EdgeSoftness(sigma=4.0, x=0.5, y=0.5, radius=0.5)(face)
    assert np.array_equal(soft[40:56, 50:78], face[40:56, 50:78])
    assert not np.array_equal(soft[:10], face[:10])
