"""Draw what to do to an image: from a task, a seed and a size, and from nothing else."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from faceren.checks import nearest
from faceren.degradation import mixture, paper
from faceren.degradation.degradation import Degradation
from faceren.degradation.paper import COMPAT
from faceren.degradation.presets import PRESETS, draw_historic
from faceren.degradation.sampler import Sampler
from faceren.degradation.small import draw_small
from faceren.degradation.worn import draw_worn
from faceren.errors import ConfigError

PAPER_TASKS = ("sr4x", "hallucination", "denoise", "deblur", "jpeg", "full")
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
        tone, damage = mixture.draw_mixture(sampler, unit, compat)
    elif task == "historic" or task in PRESETS:
        tone, damage = draw_historic(sampler, unit, task if task in PRESETS else "")
    elif task == "full":
        tone, damage = [], paper.full(sampler, compat)
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
    "sr4x": paper.sr4x,
    "hallucination": paper.hallucination,
    "denoise": paper.denoise,
    "deblur": paper.deblur,
    "jpeg": paper.jpeg,
}
