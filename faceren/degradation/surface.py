"""The surface of a print: halftone screen, paper texture, mirroring silver, tarnish."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from faceren.arrays import Plane, Rgb8
from faceren.checks import Bounds
from faceren.degradation.pixels import (
    Colour,
    Length,
    Seed,
    Share,
    edge_distance,
    luminance,
    mix,
    saturate,
    scale,
    smooth_noise,
    smoothstep,
    white_noise,
)


@dataclass(frozen=True, kw_only=True)
class Halftone:
    """Print with one ink through a round-dot screen; the share of ink follows the tone."""

    pitch: Annotated[float, Bounds(1.5, 10_000)]
    """Distance of the dots, pixels."""
    angle: Annotated[float, Bounds(-180, 180)]
    """Angle of the screen, degrees."""
    softness: Annotated[float, Bounds(0.02, 2)]
    """Width of a dot's edge as a share of the tone scale; 0.02 is hard."""
    gain: Annotated[float, Bounds(-0.5, 0.5)]
    """Ink added to middle tones as the dots spread."""
    ink: Colour
    paper: Colour

    def screen(self, height: int, width: int) -> Plane:
        """Return the (H, W) thresholds; their values are spread evenly over [0, 1]."""
        turn = np.deg2rad(self.angle)
        down, across = np.mgrid[:height, :width].astype(np.float32)
        step = np.float32(2 * np.pi / self.pitch)
        u = np.cos((across * np.cos(turn) + down * np.sin(turn)) * step)
        v = np.cos((down * np.cos(turn) - across * np.sin(turn)) * step)
        heights, ranks = _dot_ranks()
        return np.interp(u + v, heights, ranks).astype(np.float32)

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the screened image; only the luminance of the input counts."""
        dark = 1 - luminance(image) / 255
        dark += np.float32(4 * self.gain) * dark * (1 - dark)
        edge = np.float32(1 / self.softness)
        height, width = image.shape[:2]
        ink = ((dark - self.screen(height, width)) * edge + dark).clip(0, 1)[..., None]
        paper = np.array(self.paper, np.float32)
        return saturate(paper + (np.array(self.ink, np.float32) - paper) * ink)


@lru_cache(maxsize=1)
def _dot_ranks() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the distribution of cos + cos over one period: sorted values and their ranks."""
    wave = np.cos(np.linspace(0, 2 * np.pi, 128, endpoint=False))
    heights = np.sort((wave[:, None] + wave[None, :]).ravel())[::64]
    return heights, np.linspace(0, 1, len(heights))


@dataclass(frozen=True, kw_only=True)
class PaperTexture:
    """Shade the image by the relief of its paper, lit from the upper left."""

    kind: Literal["fibre", "silk"]
    """Matted fibres, or the embossed honeycomb of the 1970s."""
    strength: Annotated[float, Bounds(0, 100)]
    """Standard deviation of the shading, levels at white."""
    period: Length
    """Size of fibres or cells, pixels."""
    seed: Seed

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the shaded image."""
        relief = self._relief(*image.shape[:2])
        shade = relief - np.roll(relief, (1, 1), (0, 1))
        shade *= np.float32(self.strength / 255 / max(float(shade.std()), 1e-6))
        return scale(image, 1 + shade)

    def _relief(self, height: int, width: int) -> Plane:
        if self.kind == "fibre":
            return smooth_noise(height, width, period=self.period, octaves=3, seed=self.seed)
        down, across = np.mgrid[:height, :width].astype(np.float32)
        waves = [
            np.cos((across * np.cos(turn) + down * np.sin(turn)) * (2 * np.pi / self.period))
            for turn in (0.2, 0.2 + np.pi / 3, 0.2 + 2 * np.pi / 3)
        ]
        return (waves[0] + waves[1] + waves[2]).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Mirroring:
    """Lay a bluish sheen over the dark parts near the borders, where silver has migrated."""

    strength: Share
    """Share of the sheen in black at the border."""
    width: Annotated[float, Bounds(0.01, 1)]
    """How far in it reaches, share of half the image."""
    colour: Colour
    """Colour of the sheen."""
    seed: Seed

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the image with its sheen."""
        height, width = image.shape[:2]
        cloud = smooth_noise(
            height, width, period=max(height, width) / 3, octaves=5, seed=self.seed
        )
        near = 1 - smoothstep(edge_distance(height, width) + cloud * 0.15, 0, self.width)
        dark = 1 - smoothstep(luminance(image), 20, 150)
        mask = near * dark * (0.7 + 0.3 * cloud) * np.float32(self.strength)
        return mix(image, self.colour, mask)


@dataclass(frozen=True, kw_only=True)
class Tarnish:
    """Tint a silver plate from its borders inward: straw, brown, then blue, as films thicken."""

    strength: Share
    """Opacity of the film at the border."""
    width: Annotated[float, Bounds(0.01, 1)]
    """How far in it reaches, share of half the image."""
    seed: Seed

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the tarnished image."""
        height, width = image.shape[:2]
        cloud = smooth_noise(
            height, width, period=max(height, width) / 4, octaves=5, seed=self.seed
        )
        film = 1 - ((edge_distance(height, width) + cloud * 0.12) / np.float32(self.width)).clip(
            0, 1
        )
        fine = 1 + 0.15 * cv2.GaussianBlur(white_noise(height, width, self.seed), (0, 0), 1.5)
        mask = (film**1.3 * np.float32(self.strength) * fine).clip(0, 1)
        stops = [0.0, 0.35, 0.7, 1.0]
        tints = np.array([(205, 180, 130), (130, 92, 62), (52, 62, 88), (95, 118, 135)])
        tint = np.stack([np.interp(film, stops, tints[:, c]) for c in range(3)], -1)
        # a film colours what the plate still reflects, and hides part of it
        seen = tint * (0.35 + 0.65 * luminance(image)[..., None] / 255)
        return mix(image, seen.astype(np.float32), mask)
