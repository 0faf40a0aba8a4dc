"""Small faces: blurred first, then damaged in the small picture, at times saved once more."""

import numpy as np
import pytest

from faceren.degradation import draw
from faceren.degradation.degradation import AtScale, Operation
from faceren.degradation.noise import GaussianNoise, Grain
from faceren.degradation.resolution import GaussianBlur, Jpeg, MotionBlur

DRAWS = 1500
KINDS = {GaussianBlur: "b", MotionBlur: "b", AtScale: "s", Jpeg: "j"}


def drawn(size: int = 256) -> list[tuple[Operation, ...]]:
    rng = np.random.Generator(np.random.PCG64(5))
    return [draw("small", seed=rng, size=size).operations for _ in range(DRAWS)]


def test_blur_comes_first_and_another_jpeg_last() -> None:
    orders = ["".join(KINDS[type(o)] for o in operations) for operations in drawn()]
    assert set(orders) == {"s", "bs", "sj", "bsj"}
    assert sum("b" in order for order in orders) / DRAWS == pytest.approx(0.8, abs=0.03)
    assert sum("j" in order for order in orders) / DRAWS == pytest.approx(0.25, abs=0.03)


def test_the_small_picture_has_noise_or_grain_then_jpeg() -> None:
    small = [o for operations in drawn() for o in operations if isinstance(o, AtScale)]
    assert len(small) == DRAWS
    noises = [step for o in small for step in o.steps if not isinstance(step, Jpeg)]
    assert {type(noise) for noise in noises} == {GaussianNoise, Grain}
    assert len(noises) / DRAWS == pytest.approx(0.8, abs=0.03)
    jpegs = [step for o in small for step in o.steps if isinstance(step, Jpeg)]
    assert len(jpegs) / DRAWS == pytest.approx(0.75, abs=0.03)
    assert (min(j.quality for j in jpegs), max(j.quality for j in jpegs)) == (35, 95)
    assert all(isinstance(o.steps[-1], Jpeg) for o in small if len(o.steps) == 2)


@pytest.mark.parametrize(("size", "largest"), [(512, 12.0), (128, 8.0), (64, 4.0), (16, 1.2)])
def test_sixteen_pixels_are_left_at_least(size: int, largest: float) -> None:
    scales = [o.scale for operations in drawn(size) for o in operations if isinstance(o, AtScale)]
    assert 1 / min(scales) == pytest.approx(largest, rel=0.01)
