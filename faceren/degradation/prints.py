"""How old prints look: what emulsions saw, their tone and how it fades; and their surface.

Of the surface: halftone screen, paper texture, mirroring silver, tarnish.
"""

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
    Level,
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
class Monochrome:
    """Turn to gray as an emulsion would: early ones see blue, later ones green, then red too."""

    red: Share
    """Weight of the red channel; the three are divided by their sum."""
    green: Share
    blue: Share

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return gray, in three equal channels."""
        weights = np.array([[self.red, self.green, self.blue]], np.float64)
        gray = cv2.transform(image, weights / max(weights.sum(), 1e-9))
        return cv2.merge([gray] * 3)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Gamma, then contrast between a new black and a new white, the same in all channels."""

    gamma: Annotated[float, Bounds(0.1, 10)] = 1.0
    """Above 1 darkens the middle tones."""
    black: Level = 0.0
    """What 0 becomes."""
    white: Level = 255.0
    """What 255 becomes."""

    def table(self) -> NDArray[np.uint8]:
        """Return what each level becomes, (256,)."""
        level = np.linspace(0, 1, 256) ** self.gamma
        return np.rint(self.black + (self.white - self.black) * level).astype(np.uint8)

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the image with the curve applied."""
        return cv2.LUT(image, self.table())


@dataclass(frozen=True, kw_only=True)
class Toning:
    """Colour the luminance from a shadow over a middle to a highlight colour."""

    shadow: Colour
    """Colour of black."""
    middle: Colour
    """Colour of middle gray."""
    highlight: Colour
    """Colour of white."""

    def table(self) -> NDArray[np.uint8]:
        """Return the colour of each luminance, (256, 3)."""
        stops = np.array([self.shadow, self.middle, self.highlight])
        table = [np.interp(np.arange(256), [0, 128, 255], stops[:, c]) for c in range(3)]
        return np.rint(np.stack(table, -1)).astype(np.uint8)

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the toned image; only the luminance of the input counts."""
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        return cv2.LUT(cv2.merge([gray] * 3), self.table()[None])


@dataclass(frozen=True, kw_only=True)
class DyeFading:
    """Fade the three dyes of a colour print each at its own pace, over a stained base."""

    cyan: Annotated[float, Bounds(0, 2)]
    """Share of the cyan dye's density that is left; its loss turns a print red."""
    magenta: Annotated[float, Bounds(0, 2)]
    yellow: Annotated[float, Bounds(0, 2)]
    saturation: Share
    """What is left of the differences between the channels: dyes bleed and brown."""
    stain: Colour
    """Colour of the paper's white today."""

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the faded print."""
        gray = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        image = cv2.addWeighted(image, self.saturation, gray, 1 - self.saturation, 0)
        transmission = np.maximum(np.arange(256), 1) / 255
        left = (self.cyan, self.magenta, self.yellow)
        table = [self.stain[c] * transmission ** left[c] for c in range(3)]
        return cv2.LUT(image, np.rint(np.stack(table, -1)[None]).astype(np.uint8))


@dataclass(frozen=True, kw_only=True)
class UnevenExposure:
    """Multiply by a slowly varying field: uneven light, coating or development."""

    strength: Share
    """Largest relative change."""
    period: Length
    """Pixels between bright and bright."""
    seed: Seed

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the image under the uneven light."""
        height, width = image.shape[:2]
        field = smooth_noise(height, width, period=self.period, octaves=2, seed=self.seed)
        return scale(image, 1 + np.float32(self.strength) * field)


@dataclass(frozen=True, kw_only=True)
class Vignette:
    """Darken (or, burnt in under a mask, whiten) towards the corners."""

    strength: Annotated[float, Bounds(-1, 1)]
    """Share of light lost in the corners; negative: share of the way to ``paper``."""
    start: Annotated[float, Bounds(0, 1.4)]
    """Where it begins, 0 the centre, 1 the middle of a side, 1.4 a corner."""
    paper: Colour = (255.0, 255.0, 255.0)
    """Colour that a negative vignette fades to."""

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the vignetted image."""
        height, width = image.shape[:2]
        down, across = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        far = np.hypot(across, down).astype(np.float32)
        mask = smoothstep(far, self.start, 1.5) * np.float32(abs(self.strength))
        return mix(image, self.paper if self.strength < 0 else (0.0, 0.0, 0.0), mask)


@dataclass(frozen=True, kw_only=True)
class EdgeFading:
    """Fade towards one colour from the borders inward, raggedly: air and glue at work."""

    strength: Share
    """Share of that colour at the very border."""
    width: Annotated[float, Bounds(0.01, 1)]
    """How far in it reaches, share of half the image."""
    colour: Colour
    seed: Seed

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the image with faded edges."""
        height, width = image.shape[:2]
        ragged = smooth_noise(
            height, width, period=max(height, width) / 3, octaves=4, seed=self.seed
        )
        depth = edge_distance(height, width) + ragged * np.float32(0.5 * self.width)
        mask = (1 - smoothstep(depth, 0, self.width)) * np.float32(self.strength)
        return mix(image, self.colour, mask)


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
