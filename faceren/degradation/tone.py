"""Colour and contrast of old processes: what emulsions saw, how prints look, how they fade."""

from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray

from faceren.arrays import Rgb8
from faceren.checks import Bounds
from faceren.degradation.pixels import (
    Colour,
    Length,
    Level,
    Seed,
    Share,
    edge_distance,
    mix,
    scale,
    smooth_noise,
    smoothstep,
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
