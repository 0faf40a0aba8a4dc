"""Each photographic process has its own colours; they are known from what survives of them."""

import numpy as np
import pytest

from faceren.arrays import Rgb8
from faceren.degradation import Degradation, apply, processes
from faceren.degradation.sampler import Sampler

from .conftest import flat


def printed(process: str, image: Rgb8, seed: int) -> np.ndarray:
    """Return the mean colour of the print, (3,)."""
    steps = getattr(processes, process)(Sampler(seed), 1.0)
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
        gray = getattr(processes, emulsion)(Sampler(seed))
        dark, light = (gray(np.array([[colour]], np.uint8))[0, 0] for colour in (darker, lighter))
        assert light[0] > dark[0] + 20
        assert len(set(light.tolist())) == 1
