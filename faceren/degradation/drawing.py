"""Draw what to do to an image, from a task, a seed and a size alone: also what training draws.

Training draws from everything from almost clean to the paper's ``full``. Real photographs are
mostly damaged far less than ``full``; a network that sees only that invents where it should copy.
And most of their faces are small: what has happened to them happened to the small picture. So two
pairs in five are small faces, and one in three is mild to moderate, or an old photograph. The
paper's other tasks are there because each shows one kind of damage bare: strong noise that no blur
has softened since, or a face of sixteen pixels.

Small faces, of a few dozen pixels before somebody enlarged them: blur happens in front of the film,
so it comes first; grain, noise and JPEG act on the small picture, and the enlarging makes them
coarse. Ranges follow blind restorers of faces (GFPGAN, arXiv:2101.04061, section 4.1), widened
downwards because most real faces are damaged less.

The six tasks of the paper have the parameter ranges behind its figures. Lengths are pixels of the
image as it is: the paper's ranges were made for faces of 512 x 512.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from faceren.checks import nearest
from faceren.degradation import ageing, presets
from faceren.degradation.ageing import Operations
from faceren.degradation.degradation import AtScale, Degradation, Operation, PlainOperation
from faceren.degradation.noise import (
    GaussianNoise,
    Grain,
    LaplacianNoise,
    PhotonNoise,
    PoissonNoise,
)
from faceren.degradation.pixels import Sampler
from faceren.degradation.presets import PRESETS, draw_historic
from faceren.degradation.prints import Curve, Toning
from faceren.degradation.resolution import (
    Filter,
    GaussianBlur,
    Jpeg,
    Mosaic,
    MotionBlur,
    Sharpen,
    Shrink,
    paper_kernel,
    quality_of,
    whole_kernel,
)
from faceren.degradation.worn import draw_worn
from faceren.errors import ConfigError

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


SHARE_SMALL = 0.4
"""Share of pairs that are small faces, the largest: of 90 faces in real photographs 85 had under
256 pixels."""
SHARE_FULL = 0.2
"""Share of pairs with the paper's ``full`` damage. It is what figures are compared on, so it is not
rare; but hardly a real photograph is hurt so, so small faces come twice as often."""
SHARE_SINGLE = 0.08
"""Share of pairs with one of the paper's other tasks: each is seen bare in one or two pairs of a
hundred, which is enough, as its kind of damage is in most of the other pairs, too."""
SINGLE = (sr4x, hallucination, denoise, denoise, deblur, jpeg)
"""These tasks; noise twice, because it comes in three kinds."""
SHARE_HISTORIC = 0.08
"""Share of pairs that are an old photograph with all that belongs to one. There are eight kinds, so
each comes once in a hundred pairs; their tones come in the other pairs, too."""
SHARE_COLOUR = 0.42
"""Share of the other pairs that keep their colours: old photographs are mostly gray or toned, but
the network has to know colour under damage nearly as well."""
TONES = (
    presets.albumen,
    presets.sepia,
    presets.cyanotype,
    presets.gelatin,
    presets.daguerreotype,
)
"""Processes whose tone a pair may have without the damage that goes with it."""
EMULSIONS = (presets.panchromatic, presets.panchromatic, presets.orthochromatic)
"""What turns the others gray: mostly film as it has been since the 1930s."""


def draw_mixture(
    sampler: Sampler, unit: float, compat: Collection[str]
) -> tuple[Operations, Operations]:
    """Return the tone and the damage of one training pair; ``unit`` is the size over 512."""
    kind = sampler.uniform(0, 1)
    if kind < SHARE_HISTORIC:
        return draw_historic(sampler, unit)
    tone = _tone(sampler, unit)
    kind -= SHARE_HISTORIC
    if kind < SHARE_SMALL:
        return tone, [*_wear(sampler, unit), *draw_small(sampler, round(unit * 512))]
    kind -= SHARE_SMALL
    if kind < SHARE_FULL:
        return tone, full(sampler, compat)
    if kind < SHARE_FULL + SHARE_SINGLE:
        return tone, [sampler.choice(SINGLE)(sampler, compat)]
    return tone, _moderate(sampler, unit, gray=bool(tone))


def _tone(sampler: Sampler, unit: float) -> Operations:
    """Return nothing (colour), or a gray, sometimes steeper, flatter or toned photograph."""
    if sampler.chance(SHARE_COLOUR):
        return []
    if sampler.chance(0.25):
        return sampler.choice(TONES)(sampler, unit)
    tone: Operations = [sampler.choice(EMULSIONS)(sampler)]
    if sampler.chance(0.75):
        black, white = (0.0, 255.0)
        if sampler.chance(0.6):
            black, white = sampler.uniform(0, 60), sampler.uniform(190, 255)
        tone.append(Curve(gamma=sampler.uniform(0.7, 1.4), black=black, white=white))
    if sampler.chance(0.1):
        # any colour at all, so that no hue is a sign of anything
        shadow = sampler.uniform(0, 60), sampler.uniform(0, 60), sampler.uniform(0, 60)
        light = sampler.uniform(190, 255), sampler.uniform(190, 255), sampler.uniform(190, 255)
        red, green, blue = (round((a + b) / 2, 6) for a, b in zip(shadow, light, strict=True))
        tone.append(Toning(shadow=shadow, middle=(red, green, blue), highlight=light))
    return tone


def _moderate(sampler: Sampler, unit: float, *, gray: bool) -> Operations:
    """Return wear, then some of blur, shrinking, noise, JPEG and sharpening in random order.

    One number, how hard, sets the upper ends of all ranges, so that light damage of every kind
    comes together and almost clean images occur. Each kind is left out in a quarter of the pairs,
    so that none is a sign of another. The hardest reaches into the ranges of ``full``.
    """
    hard = sampler.uniform(0, 1) ** 1.3  # the power makes light damage the more frequent
    steps: list[Operation] = []
    if sampler.chance(0.75):
        widest = 0.5 + 3 * hard
        if sampler.chance(0.6):
            sigma = sampler.uniform(0.3, widest)
            steps.append(GaussianBlur(sigma=sigma, kernel=whole_kernel(sigma)))
        else:
            side = sampler.integer(3, max(4, int(2.6 * widest))) | 1
            angle, direction = sampler.uniform(0, 360), sampler.uniform(-1, 1)
            steps.append(MotionBlur(kernel=side, angle=angle, direction=direction))
    if sampler.chance(0.75):
        filters: list[Filter] = ["area", "cubic", "linear"]
        scale = round(1 / sampler.uniform(1, 1 + 4 * hard), 6)
        down, up = sampler.choice(filters), sampler.choice(filters[1:])
        steps.append(Shrink(scale=scale, down=down, up=up))
    if sampler.chance(0.75):
        sigma, one = sampler.uniform(0, 3 + 27 * hard), gray or sampler.chance(0.4)
        kind = sampler.integer(0, 3)
        if kind == 0:
            steps.append(GaussianNoise(sigma=sigma, seed=sampler.seed(), gray=one))
        elif kind == 1:
            mean = round(sigma * 0.7, 6)
            steps.append(LaplacianNoise(scale=mean, seed=sampler.seed(), gray=one))
        else:
            size = sampler.uniform(0, 1.2)
            steps.append(Grain(strength=sigma, size=size, seed=sampler.seed()))
    if sampler.chance(0.7):
        steps.append(Jpeg(quality=sampler.integer(int(85 - 65 * hard), 95)))
    if sampler.chance(0.15):
        steps.append(Sharpen(sigma=sampler.uniform(0.5, 1.5), amount=sampler.uniform(0.1, 1.0)))
    return [*_wear(sampler, unit), *sampler.shuffled(steps)]


def _wear(sampler: Sampler, unit: float) -> Operations:
    """Return nothing in about two of three pairs, else a little of what hands do to a print."""
    wear: Operations = []
    if sampler.chance(0.18):
        level = sampler.choice([sampler.uniform(200, 255), sampler.uniform(0, 60)])
        wear += ageing.scratches(sampler, unit, most=5, colour=(level, level, level))
    if sampler.chance(0.18):
        wear += ageing.dust(sampler, unit, most=50)
    if sampler.chance(0.04):
        wear += ageing.crease(sampler, unit, ageing.WHITE)
    return wear


SINGLE_TASKS = ("sr4x", "hallucination", "denoise", "deblur", "jpeg")
"""Those of the paper that do one thing to a face."""
PAPER_TASKS = (*SINGLE_TASKS, "full")
"""The six of the paper."""
TASKS = (*PAPER_TASKS, "small", "historic", *PRESETS, "worn", "mixed")
"""Everything that can be drawn: the paper's, ours, single presets, the mixture for training."""

NATIVE_SIZE = 512
"""Side of the faces for which lengths were chosen, pixels."""


@dataclass(frozen=True)
class Pair:
    """How to make a training pair: ``target = apply(clean, tone)``, input = apply(target, damage).

    A network that is trained so undoes damage and leaves the colours of a photo alone.
    """

    tone: Degradation
    damage: Degradation


def draw(
    task: str,
    *,
    seed: int | np.random.Generator,
    size: int = NATIVE_SIZE,
    compat: Collection[str] = (),
) -> Degradation:
    """Draw a degradation, tone and damage in one.

    Args:
        task: One of ``TASKS``.
        seed: A seed (see ``item_seed``), or a generator to continue.
        size: Shorter side of the image, pixels. Lengths of old photographs scale with it; those
            of the paper's tasks do not.
        compat: Any of ``COMPAT``.

    Raises:
        ConfigError: If the task or a switch is unknown, or the size is below 1.
    """
    pair = draw_pair(task, seed=seed, size=size, compat=compat)
    return Degradation(task, pair.tone.operations + pair.damage.operations)


def draw_pair(
    task: str,
    *,
    seed: int | np.random.Generator,
    size: int = NATIVE_SIZE,
    compat: Collection[str] = (),
) -> Pair:
    """Draw a degradation, with the tone that the clean target shares apart from the damage.

    Args and errors are those of ``draw``. The paper's tasks have no tone.
    """
    check_task(task, compat)
    if size < 1:
        raise ConfigError(f"size: expected at least 1 pixel, got {size}")
    sampler, unit = Sampler(seed), size / NATIVE_SIZE
    if task == "mixed":
        tone, damage = draw_mixture(sampler, unit, compat)
    elif task == "historic" or task in PRESETS:
        tone, damage = draw_historic(sampler, unit, task if task in PRESETS else "")
    elif task == "full":
        tone, damage = [], full(sampler, compat)
    elif task == "small":
        tone, damage = [], draw_small(sampler, size)
    elif task == "worn":
        tone, damage = draw_worn(sampler, unit)
    else:
        tone, damage = [], [_SINGLE[task](sampler, compat)]
    return Pair(Degradation(task, tuple(tone)), Degradation(task, tuple(damage)))


def check_task(task: str, compat: Collection[str] = ()) -> None:
    """Raise ConfigError unless the task and every compatibility switch is known."""
    if task not in TASKS:
        raise ConfigError(f"unknown task {task!r}{nearest(task, TASKS)}")
    for name in compat:
        if name not in COMPAT:
            raise ConfigError(f"--compat: unknown switch {name!r}{nearest(name, COMPAT)}")
    if {"area", "physical"} <= set(compat):
        raise ConfigError("--compat: 'area' and 'physical' shrink differently; give one of them")


_SINGLE = {
    "sr4x": sr4x,
    "hallucination": hallucination,
    "denoise": denoise,
    "deblur": deblur,
    "jpeg": jpeg,
}
