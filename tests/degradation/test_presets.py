"""What each kind of old photograph has that the others lack."""

import pytest

from faceren.degradation import PRESETS, draw_pair
from faceren.degradation.degradation import Operation
from faceren.degradation.noise import Grain
from faceren.degradation.resampling import Jpeg
from faceren.degradation.surface import Halftone, Tarnish
from faceren.degradation.tone import DyeFading, Monochrome
from faceren.degradation.wear import Dust


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
