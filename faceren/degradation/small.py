"""Small faces: what a face of a few dozen pixels has gone through before somebody enlarged it.

Blur happens in front of the film, so it comes first; grain, noise and JPEG act on the small
picture, and the enlarging makes them coarse. Ranges follow blind restorers of faces (GFPGAN,
arXiv:2101.04061, section 4.1), widened downwards because most real faces are damaged less.
"""

from faceren.degradation.blur import GaussianBlur, MotionBlur, whole_kernel
from faceren.degradation.degradation import AtScale, Operation, PlainOperation
from faceren.degradation.noise import GaussianNoise, Grain
from faceren.degradation.resampling import Filter, Jpeg
from faceren.degradation.sampler import Sampler

OCTAVES = (
    *[(1.2, 2.0)] * 2,
    *[(2.0, 4.0)] * 3,
    *[(4.0, 8.0)] * 2,
    (8.0, 12.0),
)
"""Ranges of the shrinking, equally likely: nearly even in the logarithm up to 8, beyond it rare,
because of a face of 256 pixels less than 32 would be left."""
LEAST_LEFT = 16
"""Pixels of the shorter side that the shrinking leaves at least."""


def draw_small(sampler: Sampler, size: int) -> list[Operation]:
    """Return the damage of a small face: blur, AtScale with noise and JPEG, at times a second JPEG.

    Args:
        sampler: Draws the parameters.
        size: Shorter side of the image, pixels; lengths before the shrinking scale with it.
    """
    unit = size / 256
    operations: list[Operation] = []
    if sampler.chance(0.8):
        widest = 6.0 if sampler.chance(0.25) else 3.0
        sigma = sampler.length(0.2, widest, unit)
        if sampler.chance(0.7):
            operations.append(GaussianBlur(sigma=sigma, kernel=whole_kernel(sigma)))
        else:  # a line of 2.6 sigma looks as soft as the bell, in its own direction
            side = max(3, round(2.6 * sigma)) | 1
            angle, direction = sampler.uniform(0, 360), sampler.uniform(-1, 1)
            operations.append(MotionBlur(kernel=side, angle=angle, direction=direction))
    factor = min(sampler.uniform(*sampler.choice(OCTAVES)), max(size / LEAST_LEFT, 1.2))
    down: list[Filter] = ["area", "area", "cubic", "linear", "antialiased"]
    up: list[Filter] = ["cubic", "linear", "lanczos"]
    operations.append(
        AtScale(
            scale=round(1 / factor, 6),
            down=sampler.choice(down),
            up=sampler.choice(up),
            steps=tuple(_in_the_small_picture(sampler)),
        )
    )
    if sampler.chance(0.25):  # scanned, enlarged and saved once more
        operations.append(Jpeg(quality=sampler.integer(60, 95)))
    return operations


def _in_the_small_picture(sampler: Sampler) -> list[PlainOperation]:
    steps: list[PlainOperation] = []
    if sampler.chance(0.8):
        strength = sampler.uniform(0, 16)
        if sampler.chance(0.7):
            gray = sampler.chance(0.5)
            steps.append(GaussianNoise(sigma=strength, seed=sampler.seed(), gray=gray))
        else:
            steps.append(Grain(strength=strength, size=sampler.uniform(0, 1), seed=sampler.seed()))
    if sampler.chance(0.75):
        steps.append(Jpeg(quality=sampler.integer(35, 95)))
    return steps
