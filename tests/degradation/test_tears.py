import numpy as np
import pytest

from faceren.arrays import Rgb8
from faceren.config import Mark
from faceren.degradation.degradation import Operation
from faceren.degradation.tears import (
    Cracks,
    Fingerprint,
    Flaking,
    Tape,
    TornCorner,
    Writing,
)
from faceren.degradation.wear import Crease, Dust, Foxing, Hairs, Scratches, WaterStain

from .conftest import flat

WHITE, BLACK, BROWN = (255.0,) * 3, (0.0,) * 3, (150.0, 100.0, 60.0)


def cracks(**changes: object) -> Cracks:
    values = {"count": 2, "length": 0.8, "width": 6.0, "branching": 0.5, "opacity": 1.0}
    return Cracks(**(values | {"colour": WHITE, "seed": 4} | changes))


def corner(**changes: object) -> TornCorner:
    values = {"corner": 0, "across": 0.3, "down": 0.3, "fray": 2.0, "paper": WHITE}
    return TornCorner(**(values | {"behind": BLACK, "seed": 1} | changes))


CRACKS, CORNER = cracks(), corner()
FLAKES = Flaking(share=0.1, size=5.0, opacity=1.0, colour=WHITE, seed=2)
TAPE = Tape(x=0.5, y=0.5, angle=20.0, length=0.6, width=30.0, opacity=0.8, colour=BROWN)
PRINT = Fingerprint(x=0.5, y=0.5, size=40.0, pitch=6.0, opacity=0.4, colour=WHITE, seed=3)
WRITING = Writing(
    x=0.1, y=0.5, angle=5.0, letters=8, hand=0, size=18.0, thickness=1, opacity=1.0,
    colour=BLACK, seed=7,
)  # fmt: skip
WEAR = [
    Scratches(
        count=6, length=0.6, thickness=12, opacity=1.0, colour=WHITE, angle=90.0, spread=5.0, seed=3
    ),
    Crease(x0=0.0, y0=0.5, x1=1.0, y1=0.5, width=3.0, strength=0.9, paper=WHITE, seed=5),
    Dust(count=9, size=2.0, opacity=0.7, colour=WHITE, seed=1),
    Dust(count=9, size=2.0, opacity=0.7, colour=BLACK, seed=1),
    Hairs(count=2, length=0.2, opacity=0.7, colour=WHITE, seed=1),
    WaterStain(x=1.1, y=-0.1, radius=0.4, strength=0.8, colour=BROWN, seed=1),
    Foxing(count=9, size=30.0, opacity=0.8, colour=BROWN, seed=1),
    CRACKS, CORNER, FLAKES, TAPE, PRINT, WRITING,
]  # fmt: skip


@pytest.mark.parametrize("wear", WEAR, ids=lambda wear: type(wear).__name__)
def test_outside_its_cover_nothing_changes_and_under_it_something_does(wear: Operation) -> None:
    gray = flat(120, height=96)
    cover = wear.cover(96, 128)
    assert cover.shape == (96, 128)
    assert cover.dtype == np.float32
    assert 0 <= cover.min() < cover.max() <= 1
    changed = (wear(gray) != gray).any(-1)
    if not isinstance(wear, Crease):  # its relief lies beside what it covers
        assert not changed[cover == 0].any()
    assert changed[cover > 0.6 * cover.max()].mean() > 0.95


def test_the_covers_of_old_kinds_are_what_they_blend_in() -> None:
    """By hand: black gets the colour times the cover."""
    for wear in WEAR[:1] + WEAR[2:3] + WEAR[4:5]:
        by_hand = np.rint(np.float32(255) * wear.cover(96, 128))
        hurt = wear(flat(0, height=96)).astype(float)
        assert np.array_equal(hurt, np.repeat(by_hand[..., None], 3, 2))


def test_kinds_say_what_they_are_to_a_repair() -> None:
    marks = [wear.mark for wear in WEAR]
    assert marks == [
        Mark.LINE, Mark.CREASE, Mark.BRIGHT_DUST, Mark.DARK_DUST, Mark.LINE, Mark.NONE, Mark.NONE,
        Mark.LINE, Mark.LOSS, Mark.LOSS, Mark.NONE, Mark.NONE, Mark.NONE,
    ]  # fmt: skip


def test_cracks_are_as_wide_as_they_say_and_branch() -> None:
    def area(**changes: object) -> float:
        return sum(float(cracks(seed=seed, **changes).cover(400, 400).sum()) for seed in range(8))

    assert 3 < area(width=12.0, branching=0.0) / area(width=2.0, branching=0.0) < 12
    assert area(branching=1.0) > 1.5 * area(branching=0.0)
    assert not cracks(count=0).cover(50, 50).any()


@pytest.mark.parametrize(("number", "place"), list(enumerate([(0, 0), (0, -1), (-1, -1), (-1, 0)])))
def test_the_corner_that_is_named_is_gone(number: int, place: tuple[int, int]) -> None:
    torn = corner(corner=number)(flat(120))
    assert torn[place].max() == 0
    for other in {(0, 0), (0, -1), (-1, -1), (-1, 0)} - {place}:
        assert torn[other].min() == 120
    assert (torn == 255).any()  # the frayed edge


@pytest.mark.parametrize("share", [0.0, 0.02, 0.2])
def test_flakes_cover_the_share_that_they_say(share: float) -> None:
    flakes = Flaking(share=share, size=4.0, opacity=1.0, colour=WHITE, seed=2)
    assert (flakes.cover(300, 300) > 0).mean() == pytest.approx(share, abs=0.01)


def test_fingerprints_have_ridges_of_their_pitch() -> None:
    row = PRINT.cover(129, 129)[64, 40:90]
    peaks = ((row[1:-1] > row[:-2]) & (row[1:-1] >= row[2:])).sum()
    assert 50 / 6 * 0.6 < peaks < 50 / 6 * 1.8


def test_tape_multiplies_and_writing_is_thin() -> None:
    assert not TAPE(flat(0)).any()
    assert 0.005 < (WRITING(flat(200)) < 100).mean() < 0.1


@pytest.mark.parametrize("wear", WEAR[7:], ids=lambda wear: type(wear).__name__)
def test_new_kinds_are_pure_and_take_any_shape(wear: Operation, face: Rgb8) -> None:
    before = face.copy()
    assert np.array_equal(wear(face), wear(face))
    assert np.array_equal(face, before)
    assert wear(flat(90, height=16, width=200)).shape == (16, 200, 3)
