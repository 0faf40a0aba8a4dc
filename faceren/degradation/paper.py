"""The six tasks of the paper, with the parameter ranges behind its figures.

Lengths are pixels of the image as it is: the ranges were made for faces of 512 x 512.
"""

from collections.abc import Collection

from faceren.degradation.blur import GaussianBlur, MotionBlur, paper_kernel
from faceren.degradation.compression import Jpeg, quality_of
from faceren.degradation.degradation import Operation
from faceren.degradation.dice import Dice
from faceren.degradation.noise import GaussianNoise, LaplacianNoise, PhotonNoise, PoissonNoise
from faceren.degradation.resampling import Filter, Mosaic, Shrink

Compat = Collection[str]

COMPAT = {
    "swapped-jpeg": "JPEG takes red for blue in its colour conversion, as the paper's code did",
    "area": "shrink by averaging areas, as the later port of the paper's code did",
    "offline-once": "damage every photo once: all epochs and copies of it are the same",
    "physical": "shrink with antialiasing; Poisson noise that depends on the signal",
}
"""The switches of ``--compat``, with what each does."""


def sr4x(dice: Dice, compat: Compat) -> Operation:
    """Shrink to a quarter and enlarge back, cubic."""
    return Shrink(scale=0.25, down=_down_filter(compat), up="cubic")


def hallucination(dice: Dice, compat: Compat) -> Operation:
    """Blocks of 16 x 16 pixels."""
    return Mosaic(block=16)


def denoise(dice: Dice, compat: Compat) -> Operation:
    """Gaussian, Laplacian or Poisson noise, each with probability 1/3."""
    kind = dice.integer(0, 2)
    if kind == 0:
        return GaussianNoise(sigma=dice.uniform(20, 40), seed=dice.seed())
    if kind == 1:
        return LaplacianNoise(scale=dice.uniform(20, 40), seed=dice.seed())
    level = dice.uniform(15, 30)
    if "physical" in compat:
        # as strong at middle gray as the other kind is everywhere: +-Poisson has rms^2 = l^2 + l
        photons = 0.5 * 255**2 / (level**2 + level)
        return PhotonNoise(photons=round(photons, 6), seed=dice.seed())
    return PoissonNoise(level=level, seed=dice.seed())


def deblur(dice: Dice, compat: Compat) -> Operation:
    """Motion or Gaussian blur, each with probability 1/2."""
    if dice.chance(0.5):
        side = dice.integer(10, 20)
        return MotionBlur(
            kernel=side if side % 2 else side + 1,
            angle=dice.uniform(0, 360),
            direction=dice.uniform(-1, 1),
        )
    sigma = dice.uniform(3, 8)
    return GaussianBlur(sigma=sigma, kernel=paper_kernel(sigma))


def jpeg(dice: Dice, compat: Compat) -> Operation:
    """JPEG of quality 51 down to 18."""
    return Jpeg(quality=quality_of(dice.integer(50, 84)), swapped="swapped-jpeg" in compat)


def down(dice: Dice, compat: Compat) -> Operation:
    """Shrink to between a quarter and an eighth and enlarge back, cubic."""
    return Shrink(scale=dice.uniform(0.125, 0.25), down=_down_filter(compat), up="cubic")


def full(dice: Dice, compat: Compat) -> list[Operation]:
    """Blur, noise, JPEG and shrinking, all four, in an order drawn uniformly from all 24."""
    return [step(dice, compat) for step in dice.shuffled([deblur, denoise, jpeg, down])]


def _down_filter(compat: Compat) -> Filter:
    if "area" in compat:
        return "area"
    return "antialiased" if "physical" in compat else "cubic"
