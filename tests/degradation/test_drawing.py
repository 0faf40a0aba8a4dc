import numpy as np
import pytest

from faceren.arrays import Rgb8
from faceren.degradation import PAPER_TASKS, PRESETS, TASKS, Degradation, apply, draw, draw_pair
from faceren.degradation.resolution import GaussianBlur
from faceren.errors import ConfigError


def test_a_known_draw() -> None:
    """Fixed for all platforms; a change here makes old seeds mean something else: say so."""
    assert draw("full", seed=1).to_json() == KNOWN


KNOWN = [
    {"op": "MotionBlur", "kernel": 19, "angle": 112.259323, "direction": -0.153347},
    {"op": "PoissonNoise", "level": 27.415539, "seed": 3685738156144967, "gray": False},
    {"op": "Jpeg", "quality": 29, "swapped": False},
    {"op": "Shrink", "scale": 0.128445, "down": "cubic", "up": "cubic"},
]


def test_the_same_seed_draws_the_same_and_a_generator_goes_on() -> None:
    for task in TASKS:
        assert draw(task, seed=5) == draw(task, seed=5)
    rng = np.random.Generator(np.random.PCG64(5))
    first, second = draw("full", seed=rng), draw("full", seed=rng)
    assert first == draw("full", seed=5)
    assert second != first


def test_lengths_of_old_photographs_scale_with_the_size_and_the_papers_do_not() -> None:
    small, large = draw("snapshot-1940", seed=3, size=256), draw("snapshot-1940", seed=3, size=512)
    blurs = [next(o for o in d.operations if isinstance(o, GaussianBlur)) for d in (small, large)]
    assert blurs[1].sigma == pytest.approx(2 * blurs[0].sigma, abs=1e-5)
    assert draw("full", seed=3, size=256) == draw("full", seed=3, size=512)


@pytest.mark.parametrize(
    ("task", "compat", "message"),
    [
        ("ful", (), "unknown task 'ful'; did you mean 'full'"),
        ("full", ("aera",), "--compat: unknown switch 'aera'; did you mean 'area'"),
        ("full", ("area", "physical"), "shrink differently; give one of them"),
    ],
)
def test_unknown_names_are_refused(task: str, compat: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        draw(task, seed=1, compat=compat)


def test_a_size_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="size: expected at least 1 pixel, got 0"):
        draw("full", seed=1, size=0)


@pytest.mark.parametrize("task", TASKS)
def test_a_pair_is_the_whole_in_two_parts(task: str, face: Rgb8) -> None:
    pair, whole = draw_pair(task, seed=4, size=96), draw(task, seed=4, size=96)
    assert pair.tone.operations + pair.damage.operations == whole.operations
    assert np.array_equal(apply(apply(face, pair.tone), pair.damage), apply(face, whole))


def test_the_papers_tasks_have_no_tone_and_old_photographs_do() -> None:
    assert not any(
        draw_pair(task, seed=s).tone.operations for task in PAPER_TASKS for s in range(9)
    )
    assert all(draw_pair(task, seed=s).tone.operations for task in PRESETS for s in range(9))


@pytest.mark.parametrize("size", [1, 64, 1024, 30_000])
def test_whatever_the_size_all_parameters_are_in_their_bounds(size: int) -> None:
    rng = np.random.Generator(np.random.PCG64(size))
    for task in TASKS:
        for _ in range(60):
            drawn = draw(task, seed=rng, size=size)
            assert Degradation.from_json(task, drawn.to_json()) == drawn
