from functools import cache

import numpy as np
import pytest

from faceren.arrays import Rgb8
from faceren.degradation import apply, draw_pair
from faceren.degradation.degradation import AtScale
from faceren.degradation.drawing import Pair
from faceren.degradation.resolution import Shrink

DRAWS = 1500


@cache
def pairs(count: int = DRAWS) -> list[Pair]:
    rng = np.random.Generator(np.random.PCG64(11))
    return [draw_pair("mixed", seed=rng, size=256) for _ in range(count)]


def is_full(pair: Pair) -> bool:
    shrinks = [o for o in pair.damage.operations if isinstance(o, Shrink)]
    return len(pair.damage.operations) == 4 and any(
        o.down == "cubic" and o.up == "cubic" and 0.125 <= o.scale <= 0.25 for o in shrinks
    )


def scales(pair: Pair) -> list[float]:
    return [o.scale for o in pair.damage.operations if isinstance(o, AtScale)]


def test_two_in_five_are_small_faces_from_nearly_whole_to_a_twelfth() -> None:
    found = [scales(pair) for pair in pairs()]
    assert sum(map(bool, found)) / DRAWS == pytest.approx(0.4, abs=0.05)
    factors = [1 / scale for one in found for scale in one]
    assert 1.2 <= min(factors) < 1.3
    assert 11 < max(factors) <= 12.001
    assert np.median(factors) == pytest.approx(3.3, abs=0.4)


def test_a_fifth_is_the_papers_full() -> None:
    share = sum(map(is_full, pairs())) / DRAWS
    assert share == pytest.approx(0.2, abs=0.05)


def test_less_than_half_keeps_its_colours() -> None:
    share = sum(not pair.tone.operations for pair in pairs()) / DRAWS
    assert share == pytest.approx(0.39, abs=0.05)


def error(pair: Pair, face: Rgb8) -> float:
    target = apply(face, pair.tone)
    return float(np.abs(apply(target, pair.damage).astype(float) - target).mean())


def test_it_reaches_from_almost_clean_to_full(face: Rgb8) -> None:
    errors = np.array([error(pair, face) for pair in pairs(250)])
    assert np.quantile(errors, 0.05) < 3
    assert np.quantile(errors, 0.5) < 12
    assert np.quantile(errors, 0.9) > 12


def test_damage_never_changes_the_colour_of_a_photo_much(face: Rgb8) -> None:
    """A gray target has an input that is gray on average: nothing to learn colours from."""
    casts = []
    for pair in pairs(250):
        target = apply(face, pair.tone)
        if target.std(-1).max() < 2:  # a gray photo
            mean = apply(target, pair.damage).reshape(-1, 3).mean(0)
            casts.append(np.ptp(mean))
    assert len(casts) > 60
    assert np.quantile(casts, 0.9) < 3
