from collections import Counter

import numpy as np
import pytest

from faceren.arrays import Rgb8
from faceren.degradation import PAPER_TASKS, PRESETS, TASKS, Degradation, apply, draw, draw_pair
from faceren.degradation.degradation import Operation
from faceren.degradation.noise import GaussianNoise, LaplacianNoise, PhotonNoise, PoissonNoise
from faceren.degradation.resolution import GaussianBlur, Jpeg, Mosaic, MotionBlur, Shrink
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


DRAWS = 3000


def drawn(task: str, compat: tuple[str, ...] = ()) -> list[Operation]:
    rng = np.random.Generator(np.random.PCG64(2026))
    return [o for _ in range(DRAWS) for o in draw(task, seed=rng, compat=compat).operations]


def uniform(values: list[float], low: float, high: float) -> None:
    """Inside the range, and the mean and the spread of a uniform distribution."""
    array = np.array(values)
    assert low <= array.min()
    assert array.max() <= high
    assert array.mean() == pytest.approx((low + high) / 2, abs=0.05 * (high - low))
    assert array.std() == pytest.approx((high - low) / 12**0.5, rel=0.06)


def test_denoise_is_one_third_each_in_the_papers_ranges() -> None:
    operations = drawn("denoise")
    counts = Counter(type(o) for o in operations)
    for kind in (GaussianNoise, LaplacianNoise, PoissonNoise):
        assert counts[kind] / DRAWS == pytest.approx(1 / 3, abs=0.03)
    uniform([o.sigma for o in operations if isinstance(o, GaussianNoise)], 20, 40)
    uniform([o.scale for o in operations if isinstance(o, LaplacianNoise)], 20, 40)
    uniform([o.level for o in operations if isinstance(o, PoissonNoise)], 15, 30)
    assert (
        len({o.seed for o in operations if isinstance(o, GaussianNoise)}) == counts[GaussianNoise]
    )


def test_deblur_is_half_motion_with_the_papers_odd_kernels() -> None:
    operations = drawn("deblur")
    motion = [o for o in operations if isinstance(o, MotionBlur)]
    assert len(motion) / DRAWS == pytest.approx(0.5, abs=0.03)
    sides = Counter(o.kernel for o in motion)
    assert set(sides) == {11, 13, 15, 17, 19, 21}
    for side in (11, 13, 15, 17, 19):
        assert sides[side] / len(motion) == pytest.approx(2 / 11, abs=0.04)
    assert sides[21] / len(motion) == pytest.approx(1 / 11, abs=0.03)
    uniform([o.angle for o in motion], 0, 360)
    uniform([o.direction for o in motion], -1, 1)
    uniform([o.sigma for o in operations if isinstance(o, GaussianBlur)], 3, 8)


def test_jpeg_qualities_run_from_18_to_51() -> None:
    qualities = [o.quality for o in drawn("jpeg") if isinstance(o, Jpeg)]
    assert (min(qualities), max(qualities)) == (18, 51)
    uniform(list(map(float, qualities)), 17.5, 51.5)


def test_sr4x_and_hallucination_are_always_the_same() -> None:
    assert set(drawn("sr4x")) == {Shrink(scale=0.25, down="cubic", up="cubic")}
    assert set(drawn("hallucination")) == {Mosaic(block=16)}


def test_full_applies_all_four_in_an_order_uniform_over_all_24() -> None:
    groups = {MotionBlur: "b", GaussianBlur: "b", Jpeg: "j", Shrink: "d"}
    rng = np.random.Generator(np.random.PCG64(7))
    orders: Counter[str] = Counter()
    for _ in range(DRAWS):
        operations = draw("full", seed=rng).operations
        orders["".join(groups.get(type(o), "n") for o in operations)] += 1
    assert {"".join(sorted(order)) for order in orders} == {"bdjn"}
    assert len(orders) == 24
    expected = DRAWS / 24
    chi_square = sum((count - expected) ** 2 / expected for count in orders.values())
    assert chi_square < 49.7  # 23 degrees of freedom: exceeded once in 1000


def test_full_shrinks_to_between_a_quarter_and_an_eighth() -> None:
    shrinks = [o for o in drawn("full") if isinstance(o, Shrink)]
    uniform([o.scale for o in shrinks], 0.125, 0.25)
    assert {(o.down, o.up) for o in shrinks} == {("cubic", "cubic")}


def test_compat_switches_change_what_they_say_and_nothing_else() -> None:
    for seed in range(20):
        plain = draw("full", seed=seed).operations
        area = draw("full", seed=seed, compat=["area"]).operations
        assert [o for o in plain if not isinstance(o, Shrink)] == [
            o for o in area if not isinstance(o, Shrink)
        ]
        swapped = draw("full", seed=seed, compat=["swapped-jpeg"]).operations
        assert {o.swapped for o in swapped if isinstance(o, Jpeg)} == {True}
        assert draw("full", seed=seed, compat=["offline-once"]).operations == plain
    assert {o.down for o in drawn("full", ("area",)) if isinstance(o, Shrink)} == {"area"}
    physical = drawn("full", ("physical",))
    assert {o.down for o in physical if isinstance(o, Shrink)} == {"antialiased"}
    assert not [o for o in physical if isinstance(o, PoissonNoise)]


def test_physical_poisson_is_as_strong_at_middle_gray() -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    gray = np.full((128, 128, 3), 127, np.uint8)
    for _ in range(20):
        state = rng.bit_generator.state
        noise = draw("denoise", seed=rng, compat=["physical"]).operations[0]
        if isinstance(noise, PhotonNoise):
            rng.bit_generator.state = state
            plain = draw("denoise", seed=rng).operations[0]
            rms = [float(((o(gray) - 127.0) ** 2).mean() ** 0.5) for o in (noise, plain)]
            assert rms[0] == pytest.approx(rms[1], rel=0.03)
