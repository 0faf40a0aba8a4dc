import numpy as np
import pytest

from faceren.arrays import Rgb8
from faceren.degradation.surface import Halftone, Mirroring, PaperTexture, Tarnish

from .conftest import flat

WHITE, BLACK = (255.0,) * 3, (0.0,) * 3


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


@pytest.mark.parametrize("print_", [halftone(), Tarnish(strength=0.9, width=0.4, seed=2)])
def test_surfaces_are_pure_and_take_any_shape(print_: Halftone | Tarnish, face: Rgb8) -> None:
    before = face.copy()
    assert np.array_equal(print_(face), print_(face))
    assert np.array_equal(face, before)
    thin = print_(flat(90, height=16, width=200))
    assert (thin.shape, thin.dtype) == ((16, 200, 3), np.uint8)
