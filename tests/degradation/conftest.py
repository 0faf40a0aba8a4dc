"""Images to damage: gray, a ramp, and a smooth one that looks a little like a face."""

import numpy as np
import pytest

from faceren.arrays import Rgb8


def flat(level: int, *, height: int = 128, width: int = 128) -> Rgb8:
    return np.full((height, width, 3), level, np.uint8)


@pytest.fixture
def gray() -> Rgb8:
    return flat(128, height=256, width=256)


@pytest.fixture
def face() -> Rgb8:
    down, across = np.mgrid[-1:1:96j, -1:1:128j]
    oval = np.exp(-(down**2 + (1.4 * across) ** 2) * 2)
    wave = 0.1 * np.sin(across * 40) * np.cos(down * 31)
    planes = [oval * level + wave + 0.15 for level in (0.8, 0.6, 0.5)]
    return (np.stack(planes, -1) * 255).clip(0, 255).astype(np.uint8)
