import numpy as np
import pytest

from faceren.arrays import Rgb8
from faceren.degradation.prints import (
    Curve,
    DyeFading,
    EdgeFading,
    Halftone,
    Mirroring,
    Monochrome,
    PaperTexture,
    Tarnish,
    Toning,
    UnevenExposure,
    Vignette,
)

from .conftest import flat

INK, MIDDLE, PAPER = (40.0, 25.0, 15.0), (150.0, 120.0, 85.0), (245.0, 230.0, 200.0)


def test_monochrome_weighs_the_channels() -> None:
    image = np.array([[[200, 100, 50]]], np.uint8)
    assert Monochrome(red=1.0, green=0.0, blue=0.0)(image).tolist() == [[[200, 200, 200]]]
    assert Monochrome(red=0.1, green=0.1, blue=0.2)(image).tolist() == [[[100, 100, 100]]]


def test_a_curve_maps_black_middle_and_white() -> None:
    curve = Curve(gamma=2.0, black=30.0, white=230.0)
    assert curve(flat(0))[0, 0, 0] == 30
    assert curve(flat(255))[0, 0, 0] == 230
    assert curve(flat(128))[0, 0, 0] == round(30 + 200 * (128 / 255) ** 2)


def test_toning_maps_black_middle_and_white_to_its_colours() -> None:
    toning = Toning(shadow=INK, middle=MIDDLE, highlight=PAPER)
    for level, colour in ((0, INK), (128, MIDDLE), (255, PAPER)):
        assert toning(flat(level))[0, 0].tolist() == list(colour)


def test_toning_forgets_the_colours_of_the_image(face: Rgb8) -> None:
    toning = Toning(shadow=(0.0,) * 3, middle=(128.0,) * 3, highlight=(255.0,) * 3)
    toned = toning(face)
    assert np.array_equal(toned[..., 0], toned[..., 1])
    assert np.array_equal(toned[..., 0], toned[..., 2])


def test_faded_dyes_lose_density_and_cyan_first_turns_gray_red() -> None:
    fading = DyeFading(cyan=0.4, magenta=0.8, yellow=0.7, saturation=1.0, stain=(255.0,) * 3)
    red, green, blue = fading(flat(64))[0, 0].tolist()
    assert red == round(255 * (64 / 255) ** 0.4)
    assert red > blue > green > 64
    assert fading(flat(255))[0, 0].tolist() == [255, 255, 255]


def test_faded_dyes_lose_saturation(face: Rgb8) -> None:
    none = DyeFading(cyan=1.0, magenta=1.0, yellow=1.0, saturation=0.0, stain=(255.0,) * 3)
    assert np.ptp(none(face), axis=-1).max() <= 1
    all_ = DyeFading(cyan=1.0, magenta=1.0, yellow=1.0, saturation=1.0, stain=(255.0,) * 3)
    assert np.abs(all_(face).astype(int) - np.maximum(face, 1)).max() <= 1


def test_uneven_exposure_stays_within_its_strength(gray: Rgb8) -> None:
    uneven = UnevenExposure(strength=0.2, period=80.0, seed=4)(gray).astype(float) / 128
    assert np.abs(uneven - 1).max() <= 0.21
    assert np.ptp(uneven) > 0.1
    assert np.abs(np.diff(uneven[..., 0])).max() < 0.03  # slowly


def test_a_vignette_darkens_or_whitens_corners_only() -> None:
    dark = Vignette(strength=0.5, start=0.7)(flat(200))
    assert dark[64, 64, 0] == 200
    assert 100 <= dark[0, 0, 0] < 125
    light = Vignette(strength=-1.0, start=0.7, paper=PAPER)(flat(100))
    assert light[64, 64, 0] == 100
    assert light[0, 0, 0] > 220


def test_edges_fade_towards_their_colour() -> None:
    faded = EdgeFading(strength=0.5, width=0.3, colour=PAPER, seed=1)(flat(60))
    assert (faded[54:74, 54:74] == 60).all()
    border = np.concatenate([faded[0, :, 0], faded[-1, :, 0]])
    assert border.mean() > 110
    assert faded.max() <= round(60 + 0.5 * (245 - 60))


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
