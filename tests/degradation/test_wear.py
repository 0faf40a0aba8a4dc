import numpy as np
import pytest

from faceren.arrays import Rgb8
from faceren.degradation.degradation import Operation
from faceren.degradation.wear import Crease, Dust, Foxing, Hairs, Scratches, WaterStain

from .conftest import flat

WHITE, BLACK, BROWN = (255.0,) * 3, (0.0,) * 3, (150.0, 100.0, 60.0)


def scratches(**changes: object) -> Scratches:
    values = {"count": 6, "length": 0.6, "thickness": 2, "opacity": 1.0, "colour": WHITE}
    values |= {"angle": 90.0, "spread": 5.0, "seed": 3} | changes
    return Scratches(**values)


def test_scratches_are_thin_lines_in_their_direction_and_colour() -> None:
    hurt = scratches()(flat(50)).astype(int)[..., 0]
    assert 0.005 < (hurt > 60).mean() < 0.15
    assert hurt.min() == 50
    across = np.abs(np.diff(hurt, axis=1)).sum()
    along = np.abs(np.diff(hurt, axis=0)).sum()
    assert across > 2 * along


def test_a_scratch_goes_on_from_one_interruption_to_the_next() -> None:
    ends = []
    for period in (1 / 12, 1 / 2):
        cover = scratches(count=40, length=4.0, spread=0.0, period=period).cover(192, 192) > 0
        ends.append((cover[1:] != cover[:-1]).sum() / cover.sum())
    assert ends[1] < 0.6 * ends[0]


def crease(**changes: float) -> Crease:
    values = {"x0": 0.0, "y0": 0.5, "x1": 1.0, "y1": 0.5, "width": 3.0, "strength": 0.9}
    return Crease(**(values | changes), paper=WHITE, seed=5)


def test_a_crease_has_a_paper_white_core_on_its_line_and_shading_beside_it() -> None:
    folded = crease()(flat(100)).astype(int)[..., 0]
    assert folded[60:69].max() > 200
    assert np.array_equal(folded[:40], np.full((40, 128), 100))
    above, below = folded[50:61].mean(), folded[68:79].mean()
    assert above != pytest.approx(below, abs=2)


def test_a_weaker_crease_is_less_broken_open() -> None:
    strong = (crease(strength=0.95)(flat(100)) > 180).mean()
    weak = (crease(strength=0.1)(flat(100)) > 180).mean()
    assert weak < 0.5 * strong


def test_specks_and_hairs_are_few_and_of_their_colour() -> None:
    for mark in (
        Dust(count=30, size=2.0, opacity=1.0, colour=BLACK, seed=1),
        Hairs(count=4, length=0.2, opacity=1.0, colour=BLACK, seed=1),
    ):
        marked = mark(flat(120))
        assert 0.001 < (marked < 100).mean() < 0.1
        assert marked.max() == 120


def test_stains_multiply_so_that_black_stays_black() -> None:
    for stain in (
        WaterStain(x=0.5, y=0.5, radius=0.4, strength=0.8, colour=BROWN, seed=1),
        Foxing(count=20, size=8.0, opacity=0.8, colour=BROWN, seed=1),
    ):
        assert not stain(flat(0)).any()
        stained = stain(flat(200))
        changed = stained[(stained != 200).any(-1)].astype(int)
        assert len(changed) > 100
        assert (changed[:, 0] >= changed[:, 2]).all()  # brown


def test_a_puddle_is_darkest_on_its_tide_line_and_ends_there() -> None:
    stain = WaterStain(x=0.5, y=0.5, radius=0.25, strength=0.8, colour=BROWN, seed=1)
    stained = stain(flat(220)).astype(int)[..., 2]
    assert (stained[:8] == 220).all()
    assert stained.min() < stained[60:68, 60:68].mean() - 20 < 215


MARKS: list[Operation] = [
    scratches(),
    crease(),
    Dust(count=9, size=2.0, opacity=0.7, colour=WHITE, seed=1),
    Hairs(count=2, length=0.2, opacity=0.7, colour=WHITE, seed=1),
    WaterStain(x=1.1, y=-0.1, radius=0.4, strength=0.8, colour=BROWN, seed=1),
    Foxing(count=9, size=30.0, opacity=0.8, colour=BROWN, seed=1),
]


@pytest.mark.parametrize("mark", MARKS, ids=lambda mark: type(mark).__name__)
def test_marks_are_pure_and_take_any_shape(mark: Operation, face: Rgb8) -> None:
    before = face.copy()
    assert np.array_equal(mark(face), mark(face))
    assert np.array_equal(face, before)
    thin = mark(flat(90, height=16, width=200))
    assert thin.shape == (16, 200, 3)
    assert thin.dtype == np.uint8


def test_no_marks_no_change(face: Rgb8) -> None:
    foxing = Foxing(count=0, size=5.0, opacity=1.0, colour=BROWN, seed=1)
    assert np.array_equal(scratches(count=0)(face), face)
    assert np.array_equal(foxing(face), face)
