"""The six tasks of the paper, with the parameter ranges behind its figures.

Lengths are pixels of the image as it is: the ranges were made for faces of 512 x 512.
"""

from collections.abc import Collection

from faceren.degradation.degradation import Operation
from faceren.degradation.noise import GaussianNoise, LaplacianNoise, PhotonNoise, PoissonNoise
from faceren.degradation.pixels import Sampler
from faceren.degradation.resolution import (
    Filter,
    GaussianBlur,
    Jpeg,
    Mosaic,
    MotionBlur,
    Shrink,
    paper_kernel,
    quality_of,
)

Compat = Collection[str]

COMPAT = {
    "swapped-jpeg": "JPEG takes red for blue in its colour conversion, as the paper's code did",
    "area": "shrink by averaging areas, as the later port of the paper's code did",
    "offline-once": "damage every photo once: all epochs and copies of it are the same",
    "physical": "shrink with antialiasing; Poisson noise that depends on the signal",
}
"""The switches of ``--compat``, with what each does."""


def sr4x(sampler: Sampler, compat: Compat) -> Operation:
    """Shrink to a quarter and enlarge back, cubic."""
    return Shrink(scale=0.25, down=_down_filter(compat), up="cubic")


def hallucination(sampler: Sampler, compat: Compat) -> Operation:
    """Blocks of 16 x 16 pixels."""
    return Mosaic(block=16)


def denoise(sampler: Sampler, compat: Compat) -> Operation:
    """Gaussian, Laplacian or Poisson noise, each with probability 1/3."""
    kind = sampler.integer(0, 2)
    if kind == 0:
        return GaussianNoise(sigma=sampler.uniform(20, 40), seed=sampler.seed())
    if kind == 1:
        return LaplacianNoise(scale=sampler.uniform(20, 40), seed=sampler.seed())
    level = sampler.uniform(15, 30)
    if "physical" in compat:
        # as strong at middle gray as the other kind is everywhere: +-Poisson has rms^2 = l^2 + l
        photons = 0.5 * 255**2 / (level**2 + level)
        return PhotonNoise(photons=round(photons, 6), seed=sampler.seed())
    return PoissonNoise(level=level, seed=sampler.seed())


def deblur(sampler: Sampler, compat: Compat) -> Operation:
    """Motion or Gaussian blur, each with probability 1/2."""
    if sampler.chance(0.5):
        side = sampler.integer(10, 20)
        return MotionBlur(
            kernel=side if side % 2 else side + 1,
            angle=sampler.uniform(0, 360),
            direction=sampler.uniform(-1, 1),
        )
    sigma = sampler.uniform(3, 8)
    return GaussianBlur(sigma=sigma, kernel=paper_kernel(sigma))


def jpeg(sampler: Sampler, compat: Compat) -> Operation:
    """JPEG of quality 51 down to 18."""
    return Jpeg(quality=quality_of(sampler.integer(50, 84)), swapped="swapped-jpeg" in compat)


def down(sampler: Sampler, compat: Compat) -> Operation:
    """Shrink to between a quarter and an eighth and enlarge back, cubic."""
    return Shrink(scale=sampler.uniform(0.125, 0.25), down=_down_filter(compat), up="cubic")


def full(sampler: Sampler, compat: Compat) -> list[Operation]:
    """Blur, noise, JPEG and shrinking, all four, in an order drawn uniformly from all 24."""
    return [step(sampler, compat) for step in sampler.shuffled([deblur, denoise, jpeg, down])]


def _down_filter(compat: Compat) -> Filter:
    if "area" in compat:
        return "area"
    return "antialiased" if "physical" in compat else "cubic"
