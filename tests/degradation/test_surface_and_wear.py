import numpy as np
import pytest

from faceren.degradation.degradation import Operation
from faceren.degradation.surface import Halftone, Mirroring, PaperTexture, Tarnish
from faceren.degradation.wear import Crease, Dust, Foxing, Hairs, Scratches, WaterStain

from .conftest import Pixels, flat

WHITE, BLACK, BROWN = (255.0,) * 3, (0.0,) * 3, (150.0, 100.0, 60.0)


def halftone(**changes: float) -> Halftone:
    values = {"pitch": 6.0, "angle": 45.0, "softness": 0.05, "gain": 0.0} | changes
    return Halftone(**values, ink=BLACK, paper=WHITE)


@pytest.mark.parametrize("level", [32, 96, 128, 200])
def test_a_halftone_covers_as_much_paper_as_the_tone_is_dark(level: int) -> None:
    printed = halftone()(flat(level))
    assert printed.mean() == pytest.approx(level, abs=6)


def test_a_hard_halftone_has_only_ink_and_paper() -> None:
    printed = halftone(softness=0.02)(flat(128))
    assert ((printed < 10) | (printed > 245)).mean() > 0.85


def test_dot_gain_darkens() -> None:
    assert halftone(gain=0.2)(flat(128)).mean() < halftone()(flat(128)).mean() - 25


def test_the_screen_has_its_pitch_and_angle() -> None:
    screen = halftone(pitch=8.0, angle=0.0).screen(64, 64)
    power = np.abs(np.fft.fft2(screen - screen.mean()))
    assert power[0, 8] == pytest.approx(power.max(), rel=0.01)
    turned = halftone(pitch=8.0, angle=45.0).screen(64, 64)
    peak = np.unravel_index(np.abs(np.fft.fft2(turned - turned.mean())).argmax(), (64, 64))
    assert min(peak[0], 64 - peak[0]) == min(peak[1], 64 - peak[1]) == 6  # 8 / sqrt(2)


def test_the_screens_thresholds_are_evenly_spread() -> None:
    screen = halftone(pitch=7.3, angle=20.0).screen(200, 200)
    for share in (0.1, 0.25, 0.5, 0.75, 0.9):
        assert (screen < share).mean() == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("kind", ["fibre", "silk"])
def test_paper_texture_has_the_stated_strength_and_no_cast(kind: str) -> None:
    shaded = PaperTexture(kind=kind, strength=8.0, period=6.0, seed=1)(flat(200)).astype(float)
    assert shaded.std() == pytest.approx(8 * 200 / 255, rel=0.1)
    assert shaded.mean() == pytest.approx(200, abs=0.5)


def test_mirroring_shows_only_in_the_dark_near_the_borders() -> None:
    sheen = Mirroring(strength=0.8, width=0.3, colour=(130.0, 140.0, 155.0), seed=2)
    assert np.array_equal(sheen(flat(200)), flat(200))
    dark = sheen(flat(20))
    assert (dark[60:68, 60:68] == 20).all()
    edge = dark[0].mean(0)
    assert edge[2] > edge[0] > 40


def test_tarnish_turns_the_border_blue_and_leaves_the_centre() -> None:
    plate = Tarnish(strength=0.9, width=0.4, seed=2)(flat(150))
    assert (plate[60:68, 60:68] == 150).all()
    border = plate[0].mean(0)
    assert border[2] > border[0] + 10


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
    halftone(),
    Tarnish(strength=0.9, width=0.4, seed=2),
]


@pytest.mark.parametrize("mark", MARKS, ids=lambda mark: type(mark).__name__)
def test_marks_are_pure_and_take_any_shape(mark: Operation, face: Pixels) -> None:
    before = face.copy()
    assert np.array_equal(mark(face), mark(face))
    assert np.array_equal(face, before)
    thin = mark(flat(90, height=16, width=200))
    assert thin.shape == (16, 200, 3)
    assert thin.dtype == np.uint8


@pytest.mark.parametrize("count", [0])
def test_no_marks_no_change(count: int, face: Pixels) -> None:
    assert np.array_equal(scratches(count=count)(face), face)
    assert np.array_equal(
        Foxing(count=count, size=5.0, opacity=1.0, colour=BROWN, seed=1)(face), face
    )
