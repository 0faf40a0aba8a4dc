"""What cracks, tears, flakes and sticks to a print, and what is written on it.

As in ``wear``, every operation has a ``cover``, and a ``mark``: what people have put there on
purpose or what only lies over the picture is no damage that a repair fills.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from faceren.arrays import Plane, Rgb8
from faceren.checks import Bounds
from faceren.config import Mark
from faceren.degradation.pixels import (
    Colour,
    Length,
    Seed,
    Share,
    blend,
    generator,
    smooth_noise,
    smoothstep,
)
from faceren.degradation.wear import Points, draw_line, stain, wander

Width = Annotated[float, Bounds(0.5, 1000)]
"""Pixels."""
Place = Annotated[float, Bounds(-1, 2)]
"""Share of the width or the height of the image."""
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPRSTVW0123456789"
HANDS = (
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_SIMPLEX,
)
TALLEST = 22.0
"""Pixels of a capital in these fonts at scale 1."""


@dataclass(frozen=True, kw_only=True)
class Cracks:
    """Networks of cracks: a wandering stem of uneven width, from which thinner branches leave."""

    count: Annotated[int, Bounds(0, 200)]
    """Stems."""
    length: Annotated[float, Bounds(0.01, 4)]
    """Mean of a stem, share of the longer side."""
    width: Width
    """Of a stem at its widest, pixels."""
    branching: Share
    """Chance that a branch leaves at one of the stem's eight bends."""
    opacity: Share
    colour: Colour
    seed: Seed

    @property
    def mark(self) -> Mark:
        """What it is to a repair."""
        return Mark.LINE

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the cracked image."""
        return blend(image, self.colour, self.cover(*image.shape[:2]))

    def cover(self, height: int, width: int) -> Plane:
        """Return how much of each pixel the cracks hide, (H, W) in [0, 1]."""
        rng = generator(self.seed)
        mask = np.zeros((height, width), np.uint8)
        longer = max(height, width)
        for _ in range(self.count):
            start = rng.uniform(-0.1, 1.1, 2) * (width, height)
            heading, length = rng.uniform(0, 2 * np.pi), self.length * rng.uniform(0.4, 1.6)
            stem = wander(rng, start, angle=heading, length=length * longer, bend=0.5)
            self._draw(mask, rng, stem, self.width)
            for bend in stem[1:]:
                if rng.random() < self.branching:
                    aside = heading + rng.choice([-1, 1]) * rng.uniform(0.4, 1.4)
                    reach = length * rng.uniform(0.1, 0.5) * longer
                    twig = wander(rng, bend, angle=aside, length=reach, bend=0.5)
                    self._draw(mask, rng, twig, self.width * rng.uniform(0.3, 0.7))
        ragged = smooth_noise(
            height, width, period=max(4.0, 3 * self.width), octaves=3, seed=self.seed
        )
        return mask * np.float32(self.opacity / 255) * smoothstep(ragged, -0.6, -0.4)

    def _draw(
        self, mask: NDArray[np.uint8], rng: np.random.Generator, path: Points, width: float
    ) -> None:
        """Draw a path whose width changes along it, in short straight pieces."""
        pieces = 4 * (len(path) - 1)
        steps = np.linspace(0, len(path) - 1, pieces + 1)
        points = np.stack([np.interp(steps, range(len(path)), axis) for axis in path.T], -1)
        points[1:-1] += rng.uniform(-0.5, 0.5, (pieces - 1, 2)) * width
        for here, there in pairwise(points):
            thickness = max(1, round(width * rng.uniform(0.35, 1.0)))
            draw_line(mask, np.stack([here, there]), level=255, thickness=thickness)


@dataclass(frozen=True, kw_only=True)
class TornCorner:
    """A corner that is torn off, or missing, its edge frayed down to the white paper."""

    corner: Literal[0, 1, 2, 3]
    """Top left, top right, bottom right, bottom left."""
    across: Annotated[float, Bounds(0.001, 1)]
    """What is missing, share of the width."""
    down: Annotated[float, Bounds(0.001, 1)]
    """The same of the height."""
    fray: Length
    """Width of the white edge, pixels."""
    paper: Colour
    """Of the edge."""
    behind: Colour
    """What is seen where the corner was."""
    seed: Seed

    @property
    def mark(self) -> Mark:
        """What it is to a repair."""
        return Mark.LOSS

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the image without its corner."""
        inside = self._inside(*image.shape[:2])
        frayed = blend(image, self.paper, (inside + np.float32(0.5)).clip(0, 1))
        return blend(frayed, self.behind, (inside - np.float32(self.fray)).clip(0, 1))

    def cover(self, height: int, width: int) -> Plane:
        """Return how much of each pixel is gone, (H, W) in [0, 1]."""
        return (self._inside(height, width) + np.float32(0.5)).clip(0, 1)

    def _inside(self, height: int, width: int) -> Plane:
        """Return how many pixels each lies beyond the edge of the tear."""
        y, x = np.ogrid[:height, :width]
        if self.corner in (1, 2):
            x = width - 1 - x
        if self.corner in (2, 3):
            y = height - 1 - y
        across, down = self.across * width, self.down * height
        slope = np.hypot(1 / across, 1 / down)
        away = (1 - x / across - y / down) / slope
        rough = smooth_noise(
            height, width, period=max(across, down, 1.0), octaves=5, seed=self.seed
        )
        return (away + rough * 0.25 * min(across, down)).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Flaking:
    """Islands where the emulsion has come off, in patches."""

    share: Share
    """Of the picture that has come off."""
    size: Length
    """Of an island, pixels."""
    opacity: Share
    colour: Colour
    seed: Seed

    @property
    def mark(self) -> Mark:
        """What it is to a repair."""
        return Mark.LOSS

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the flaked image."""
        return blend(image, self.colour, self.cover(*image.shape[:2]))

    def cover(self, height: int, width: int) -> Plane:
        """Return how much of each pixel has come off, (H, W) in [0, 1]."""
        islands = smooth_noise(height, width, period=2 * self.size, octaves=3, seed=self.seed)
        patches = smooth_noise(height, width, period=12 * self.size, octaves=2, seed=self.seed + 1)
        field = islands + np.float32(0.8) * patches
        level = float(np.quantile(field, 1 - self.share))
        # an island's edge is about a pixel wide: its field rises by one over half its size
        edge = 0.5 / self.size
        loose = smoothstep(field, level, level + edge) if self.share else np.zeros_like(field)
        return loose * np.float32(self.opacity)


@dataclass(frozen=True, kw_only=True)
class Tape:
    """A strip of old adhesive tape: yellowed, see-through, its borders darker."""

    x: Place
    """Centre."""
    y: Place
    angle: Annotated[float, Bounds(-180, 180)]
    """Degrees from the horizontal."""
    length: Annotated[float, Bounds(0.01, 4)]
    """Share of the longer side."""
    width: Length
    opacity: Share
    colour: Colour

    @property
    def mark(self) -> Mark:
        """The picture is still there below it: nothing to fill."""
        return Mark.NONE

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the image with the tape over it."""
        return stain(image, self.colour, self.cover(*image.shape[:2]))

    def cover(self, height: int, width: int) -> Plane:
        """Return how much of its colour lies on each pixel, (H, W) in [0, 1]."""
        turn = np.deg2rad(self.angle)
        down, right = np.ogrid[:height, :width]
        dx, dy = right - self.x * width, down - self.y * height
        along = np.abs(dx * np.cos(turn) + dy * np.sin(turn))
        across = np.abs(dy * np.cos(turn) - dx * np.sin(turn))
        reach = self.length * max(height, width) / 2
        inside = np.minimum(reach - along, self.width / 2 - across)
        border = np.exp(-np.abs(inside) / (0.04 * self.width + 1))
        strength = (inside + 0.5).clip(0, 1) * (0.7 + 0.3 * border) * self.opacity
        return strength.astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """The ridges of a fingertip, in grease."""

    x: Place
    """Centre."""
    y: Place
    size: Length
    """Half of its length, pixels."""
    pitch: Annotated[float, Bounds(2, 1000)]
    """Distance of its ridges, pixels."""
    opacity: Share
    colour: Colour
    seed: Seed

    @property
    def mark(self) -> Mark:
        """The picture is still there below it: nothing to fill."""
        return Mark.NONE

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the image with the print on it."""
        return blend(image, self.colour, self.cover(*image.shape[:2]))

    def cover(self, height: int, width: int) -> Plane:
        """Return how much of each pixel the ridges hide, (H, W) in [0, 1]."""
        rng = generator(self.seed)
        turn = rng.uniform(0, np.pi)
        down, right = np.ogrid[:height, :width]
        dx, dy = right - self.x * width, down - self.y * height
        along = dx * np.cos(turn) + dy * np.sin(turn)
        across = 1.5 * (dy * np.cos(turn) - dx * np.sin(turn))
        away = np.hypot(along, across)
        bent = smooth_noise(height, width, period=self.size, octaves=2, seed=self.seed)
        ridges = np.cos((away + 0.3 * self.size * bent) * (2 * np.pi / self.pitch))
        patchy = smoothstep(bent, -0.6, 0.4)
        tip = ((self.size - away) / (0.3 * self.size)).clip(0, 1)
        return ((0.5 + 0.5 * ridges) * tip * patchy * self.opacity).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Writing:
    """A line of writing, in ink or pencil: somebody's, so it stays."""

    x: Place
    """Where it begins."""
    y: Place
    angle: Annotated[float, Bounds(-180, 180)]
    """Degrees from the horizontal."""
    letters: Annotated[int, Bounds(1, 200)]
    hand: Literal[0, 1, 2, 3]
    """Which script."""
    size: Length
    """Height of a capital, pixels."""
    thickness: Annotated[int, Bounds(1, 100)]
    opacity: Share
    colour: Colour
    seed: Seed

    @property
    def mark(self) -> Mark:
        """No damage."""
        return Mark.NONE

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the inscribed image."""
        return blend(image, self.colour, self.cover(*image.shape[:2]))

    def cover(self, height: int, width: int) -> Plane:
        """Return how much of each pixel the ink hides, (H, W) in [0, 1]."""
        rng = generator(self.seed)
        signs = [LETTERS[int(i)] for i in rng.integers(0, len(LETTERS), self.letters)]
        gaps = rng.random(self.letters) < 0.15
        text = "".join(sign + " " * bool(gap) for sign, gap in zip(signs, gaps, strict=True))
        line = np.zeros((height, width), np.uint8)
        start = (round(self.x * width), round(self.y * height))
        cv2.putText(
            line, text, start, HANDS[self.hand], self.size / TALLEST, 255, self.thickness,
            cv2.LINE_AA,
        )  # fmt: skip
        turned = cv2.getRotationMatrix2D(start, self.angle, 1.0)
        line = cv2.warpAffine(line, turned, (width, height), flags=cv2.INTER_LINEAR)
        return line * np.float32(self.opacity / 255)
