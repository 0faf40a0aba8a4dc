"""What hands and drawers do to a print: scratches, creases, dust, hairs, water, mould.

Every operation here has a ``cover``: how much of each pixel it hides, apart from the relief of a
crease; and a ``mark``: which kind of damage that is to a repair, if any.
"""

from dataclasses import dataclass
from typing import Annotated

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
    mix,
    scale,
    smooth_noise,
    smoothstep,
)

Count = Annotated[int, Bounds(0, 2000)]
Points = NDArray[np.float64]

_SUBPIXEL_BITS = 4
MIDDLE = 128
"""Level that parts bright dust from dark."""


def draw_line(mask: NDArray[np.uint8], points: Points, *, level: int, thickness: int) -> None:
    """Draw a line through (N, 2) points, in place, pixels and their sixteenths."""
    fixed = np.rint(points * 2**_SUBPIXEL_BITS).astype(np.int32)
    cv2.polylines(mask, [fixed], False, level, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)  # noqa: FBT003


def wander(
    rng: np.random.Generator, start: Points, *, angle: float, length: float, bend: float
) -> Points:
    """Return (9, 2) points of a path whose heading changes by up to ``bend`` radians a step."""
    heading = angle + np.cumsum(rng.uniform(-bend, bend, 8))
    steps = np.stack([np.cos(heading), np.sin(heading)], -1) * (length / 8)
    return start + np.concatenate([np.zeros((1, 2)), np.cumsum(steps, 0)])


@dataclass(frozen=True, kw_only=True)
class Scratches:
    """Thin, slightly wavering, here and there interrupted lines of one colour."""

    count: Count
    length: Annotated[float, Bounds(0.01, 4)]
    """Mean, share of the longer side."""
    thickness: Annotated[int, Bounds(1, 1000)]
    """Largest, pixels."""
    opacity: Share
    """Opacity of the strongest one."""
    colour: Colour
    """Paper or plate where the emulsion is gone; black where the negative was scratched."""
    angle: Annotated[float, Bounds(-180, 180)]
    """Preferred direction, degrees from the horizontal."""
    spread: Annotated[float, Bounds(0, 90)]
    """Largest deviation from it, degrees."""
    seed: Seed
    period: Annotated[float, Bounds(0.005, 4)] = 1 / 12
    """From one interruption to the next, share of the longer side."""

    @property
    def mark(self) -> Mark:
        """What it is to a repair."""
        return Mark.LINE

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the scratched image."""
        return blend(image, self.colour, self.cover(*image.shape[:2]))

    def cover(self, height: int, width: int) -> Plane:
        """Return how much of each pixel the scratches hide, (H, W) in [0, 1]."""
        rng = generator(self.seed)
        mask = np.zeros((height, width), np.uint8)
        for _ in range(self.count):
            points = wander(
                rng,
                rng.uniform(-0.1, 1.1, 2) * (width, height),
                angle=np.deg2rad(self.angle + rng.uniform(-self.spread, self.spread)),
                length=self.length * rng.uniform(0.3, 1.7) * max(height, width),
                bend=0.06,
            )
            thickness = int(rng.integers(1, self.thickness + 1))
            draw_line(mask, points, level=int(rng.integers(90, 256)), thickness=thickness)
        cover = mask * np.float32(self.opacity / 255)
        period = max(height, width) * self.period
        skips = smooth_noise(height, width, period=period, octaves=3, seed=self.seed)
        return cover * smoothstep(skips, -0.45, 0.0)


@dataclass(frozen=True, kw_only=True)
class Crease:
    """One fold across the print: a paper-white broken core, a shadow on one side, wear around."""

    x0: Annotated[float, Bounds(-1, 2)]
    """Ends of the fold, shares of width and height."""
    y0: Annotated[float, Bounds(-1, 2)]
    x1: Annotated[float, Bounds(-1, 2)]
    y1: Annotated[float, Bounds(-1, 2)]
    width: Length
    """Width of the core where it is broken open, pixels."""
    strength: Share
    """Share of the fold's length that is broken open."""
    paper: Colour
    """Colour of the core."""
    seed: Seed

    @property
    def mark(self) -> Mark:
        """What it is to a repair."""
        return Mark.CREASE

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the creased image."""
        height, width = image.shape[:2]
        rough = self._rough(height, width)
        across = self._distance(height, width) + rough * np.float32(self.width)
        reach = np.float32(4 * self.width)
        relief = -np.sin((across / reach).clip(-1, 1) * np.float32(np.pi)) * np.float32(0.16)
        return blend(scale(image, 1 + relief), self.paper, self._core(across, rough))

    def cover(self, height: int, width: int) -> Plane:
        """Return how much the broken core hides, (H, W) in [0, 1]; the relief hides nothing."""
        rough = self._rough(height, width)
        return self._core(self._distance(height, width) + rough * np.float32(self.width), rough)

    def _rough(self, height: int, width: int) -> Plane:
        return smooth_noise(height, width, period=10 * self.width, octaves=4, seed=self.seed)

    def _core(self, across: Plane, rough: Plane) -> Plane:
        height, width = across.shape
        fine = smooth_noise(height, width, period=5 * self.width, octaves=3, seed=self.seed + 1)
        open_ = smoothstep(fine + rough, 0.5 - 1.2 * self.strength, 0.9 - 1.2 * self.strength)
        half = np.float32(self.width / 2) * (0.35 + open_)
        core = (half + np.float32(0.5) - np.abs(across)).clip(0, 1)
        return core * (0.35 + 0.6 * open_)

    def _distance(self, height: int, width: int) -> Plane:
        """Return the signed distance of each pixel from the line through both ends, pixels."""
        start = np.array([self.x0 * width, self.y0 * height])
        along = np.array([self.x1 * width, self.y1 * height]) - start
        normal = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-6)
        down, right = np.ogrid[:height, :width]
        return ((right - start[0]) * normal[0] + (down - start[1]) * normal[1]).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Dust:
    """Specks of one colour, mostly tiny, each slightly oblong."""

    count: Count
    size: Length
    """Radius of a large one, pixels; most are far smaller."""
    opacity: Share
    colour: Colour
    seed: Seed

    @property
    def mark(self) -> Mark:
        """What it is to a repair."""
        return Mark.BRIGHT_DUST if sum(self.colour) > 3 * MIDDLE else Mark.DARK_DUST

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the dusty image."""
        return blend(image, self.colour, self.cover(*image.shape[:2]))

    def cover(self, height: int, width: int) -> Plane:
        """Return how much of each pixel the specks hide, (H, W) in [0, 1]."""
        rng = generator(self.seed)
        mask = np.zeros((height, width), np.uint8)
        one = 2**_SUBPIXEL_BITS  # a pixel, in fixed point
        for _ in range(self.count):
            x, y = rng.uniform(0, 1, 2) * (width, height)
            long = 0.35 + self.size * rng.uniform() ** 3
            axes = (round(long * one), round(long * rng.uniform(0.5, 1.0) * one))
            outline = cv2.ellipse2Poly((0, 0), axes, int(rng.uniform(0, 180)), 0, 360, 45)
            outline = (outline + np.array((round(x * one), round(y * one)))).astype(np.int32)
            cv2.fillPoly(mask, [outline], 255, cv2.LINE_AA, _SUBPIXEL_BITS)
        return mask * np.float32(self.opacity / 255)


@dataclass(frozen=True, kw_only=True)
class Hairs:
    """Curled hairs and fibres that lay on the print or the scanner's glass."""

    count: Count
    length: Annotated[float, Bounds(0.005, 2)]
    """Mean, share of the longer side."""
    opacity: Share
    colour: Colour
    seed: Seed

    @property
    def mark(self) -> Mark:
        """What it is to a repair."""
        return Mark.LINE

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the image with hairs on it."""
        return blend(image, self.colour, self.cover(*image.shape[:2]))

    def cover(self, height: int, width: int) -> Plane:
        """Return how much of each pixel the hairs hide, (H, W) in [0, 1]."""
        rng = generator(self.seed)
        mask = np.zeros((height, width), np.uint8)
        for _ in range(self.count):
            curl = rng.uniform(-0.3, 0.3)
            heading = rng.uniform(0, 2 * np.pi) + np.cumsum(curl + rng.uniform(-0.3, 0.3, 12))
            step = self.length * rng.uniform(0.4, 1.6) * max(height, width) / 12
            steps = np.stack([np.cos(heading), np.sin(heading)], -1) * step
            points = rng.uniform(0, 1, 2) * (width, height) + np.cumsum(steps, 0)
            draw_line(mask, points, level=int(rng.integers(140, 256)), thickness=1)
        return mask * np.float32(self.opacity / 255)


@dataclass(frozen=True, kw_only=True)
class WaterStain:
    """One dried puddle: an irregular patch, faintly toned inside, with a dark tide line."""

    x: Annotated[float, Bounds(-1, 2)]
    """Centre, shares of width and height."""
    y: Annotated[float, Bounds(-1, 2)]
    radius: Annotated[float, Bounds(0.005, 2)]
    """Mean, share of the longer side."""
    strength: Share
    """Opacity of the tide line."""
    colour: Colour
    seed: Seed

    @property
    def mark(self) -> Mark:
        """A stain is toned, not lost: no repair of marks."""
        return Mark.NONE

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the stained image."""
        return stain(image, self.colour, self.cover(*image.shape[:2]))

    def cover(self, height: int, width: int) -> Plane:
        """Return how much of its colour lies on each pixel, (H, W) in [0, 1]."""
        radius = self.radius * max(height, width)
        down, across = np.ogrid[:height, :width]
        away = np.hypot(across - self.x * width, down - self.y * height).astype(np.float32)
        rough = smooth_noise(height, width, period=radius, octaves=5, seed=self.seed)
        inside = 1 - away / np.float32(radius) + 0.45 * rough  # 0 on the tide line
        tide = np.exp(-((inside / 0.035) ** 2)) * 0.8 + np.exp(-inside.clip(0, 9) / 0.12) * 0.35
        mask = np.where(inside > -0.03, tide + 0.18, 0) * np.float32(self.strength)
        return mask.clip(0, 1)


@dataclass(frozen=True, kw_only=True)
class Foxing:
    """Rust-brown, soft, ragged spots that mould and iron leave in paper."""

    count: Count
    size: Length
    """Radius of a large one, pixels."""
    opacity: Share
    colour: Colour
    seed: Seed

    @property
    def mark(self) -> Mark:
        """A stain is toned, not lost: no repair of marks."""
        return Mark.NONE

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the foxed image; stains multiply, so black stays black."""
        return stain(image, self.colour, self.cover(*image.shape[:2]))

    def cover(self, height: int, width: int) -> Plane:
        """Return how much of its colour lies on each pixel, (H, W) in [0, 1]."""
        rng = generator(self.seed)
        spots = np.zeros((height, width), np.float32)
        for _ in range(self.count):
            x, y = rng.uniform(0, 1, 2) * (width, height)
            radius = self.size * (0.2 + 0.8 * rng.uniform() ** 2)
            peak = rng.uniform(0.4, 1.0)
            reach = int(3 * radius) + 1
            top, left = max(0, int(y) - reach), max(0, int(x) - reach)
            window = spots[top : int(y) + reach, left : int(x) + reach]
            down, across = np.ogrid[: window.shape[0], : window.shape[1]]
            square = ((across + left - x) ** 2 + (down + top - y) ** 2) / radius**2
            window += (peak * np.exp(-square * np.float32(0.7))).astype(np.float32)
        ragged = 1 + 0.6 * smooth_noise(height, width, period=self.size, octaves=3, seed=self.seed)
        return (spots * ragged).clip(0, 1) * np.float32(self.opacity)


def stain(image: Rgb8, colour: Colour, mask: Plane) -> Rgb8:
    """Lay a transparent colour over the image: it multiplies.

    Args:
        image: (H, W, 3) RGB.
        colour: What white becomes.
        mask: (H, W), how much of it, in [0, 1].
    """
    dyed: NDArray[np.float32] = image.astype(np.float32)
    dyed *= np.array(colour, np.float32) / 255
    return mix(image, dyed, mask)
