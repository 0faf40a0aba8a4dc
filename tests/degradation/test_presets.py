"""What each kind of old photograph has that the others lack."""

import numpy as np
import pytest

from faceren.arrays import Rgb8
from faceren.degradation import PRESETS, Degradation, apply, draw_pair, presets
from faceren.degradation.degradation import Operation
from faceren.degradation.noise import Grain
from faceren.degradation.pixels import Sampler
from faceren.degradation.prints import DyeFading, Halftone, Monochrome, Tarnish
from faceren.degradation.resolution import Jpeg
from faceren.degradation.wear import Dust

from .conftest import flat


def printed(process: str, image: Rgb8, seed: int) -> np.ndarray:
    """Return the mean colour of the print, (3,)."""
    steps = getattr(presets, process)(Sampler(seed), 1.0)
    return apply(image, Degradation(process, tuple(steps))).reshape(-1, 3).mean(0)


@pytest.mark.parametrize("seed", range(8))
def test_middle_gray_turns_blue_brown_or_stays_gray(seed: int) -> None:
    red, green, blue = printed("cyanotype", flat(128), seed)
    assert blue > green > red
    for brown in ("sepia", "albumen"):
        red, green, blue = printed(brown, flat(128), seed)
        assert red > green > blue
    assert np.ptp(printed("press", flat(128), seed)) < 1
    assert np.ptp(printed("daguerreotype", flat(128), seed)) < 35


@pytest.mark.parametrize("seed", range(8))
def test_a_colour_print_of_the_1970s_turns_warm(seed: int) -> None:
    red, _, blue = printed("chromogenic", flat(128), seed)
    assert red > blue + 10


@pytest.mark.parametrize(
    ("emulsion", "darker", "lighter"),
    [
        ("blue_sensitive", (200, 60, 60), (60, 60, 200)),
        ("orthochromatic", (200, 60, 60), (60, 200, 60)),
        ("panchromatic", (60, 60, 200), (60, 200, 60)),
    ],
)
def test_emulsions_see_the_colours_of_their_time(
    emulsion: str, darker: tuple[int, ...], lighter: tuple[int, ...]
) -> None:
    for seed in range(8):
        gray = getattr(presets, emulsion)(Sampler(seed))
        dark, light = (gray(np.array([[colour]], np.uint8))[0, 0] for colour in (darker, lighter))
        assert light[0] > dark[0] + 20
        assert len(set(light.tolist())) == 1


def parts(task: str, seed: int) -> tuple[tuple[Operation, ...], tuple[Operation, ...]]:
    pair = draw_pair(task, seed=seed)
    return pair.tone.operations, pair.damage.operations


@pytest.mark.parametrize("task", PRESETS)
def test_tone_first_makes_gray_but_for_the_colour_print(task: str) -> None:
    for seed in range(20):
        tone, _ = parts(task, seed)
        if task == "faded-colour-1970":
            assert any(isinstance(o, DyeFading) for o in tone)
            assert not any(isinstance(o, Monochrome) for o in tone)
        else:
            assert isinstance(tone[0], Monochrome)


@pytest.mark.parametrize(
    ("kind", "task"), [(Tarnish, "daguerreotype-1850"), (Halftone, "newsprint-1920")]
)
def test_plates_tarnish_and_newspapers_have_a_screen(kind: type, task: str) -> None:
    for name in PRESETS:
        found = [any(isinstance(o, kind) for o in parts(name, seed)[1]) for seed in range(20)]
        assert set(found) == {name == task}


@pytest.mark.parametrize("task", PRESETS)
def test_all_are_dusty_and_mostly_scanned_to_a_jpeg(task: str) -> None:
    damages = [parts(task, seed)[1] for seed in range(200)]
    assert all(any(isinstance(o, Dust) for o in damage) for damage in damages)
    share = sum(isinstance(damage[-1], Jpeg) for damage in damages) / 200
    assert share == pytest.approx(0.9, abs=0.07)
    grainy = {any(isinstance(o, Grain) for o in damage) for damage in damages}
    assert grainy == {task != "newsprint-1920"}
