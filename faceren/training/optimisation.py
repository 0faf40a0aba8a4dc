"""Optimisers and the learning rate over time."""

import math

from torch import nn
from torch.optim import Adam, AdamW, Optimizer

from faceren.training.recipe import TrainRecipe


def build_optimiser(network: nn.Module, recipe: TrainRecipe, lr: float) -> Optimizer:
    """Return the recipe's optimiser for all weights of a network."""
    kind = AdamW if recipe.optimiser == "adamw" else Adam
    parameters = [p for p in network.parameters() if p.requires_grad]
    return kind(parameters, lr=lr, betas=recipe.betas, weight_decay=recipe.weight_decay)


def progress(recipe: TrainRecipe, step: int, seconds: float) -> float:
    """Return the share of the training that is done, in [0, 1].

    Args:
        recipe: With ``steps``, ``minutes`` or both; then whichever is further counts.
        step: Steps done.
        seconds: Trained so far.
    """
    by_steps = step / recipe.steps if recipe.steps else 0.0
    by_clock = seconds / (60 * recipe.minutes) if recipe.minutes else 0.0
    return min(1.0, max(by_steps, by_clock))


def lr_factor(recipe: TrainRecipe, step: int, done: float) -> float:
    """Return what the learning rates are multiplied with in a step.

    The paper's schedule is ``linear`` with ``hold`` 0.6 and ``stairs`` 20: 31 epochs at the full
    rate, then 19 that fall by a twentieth each.

    Args:
        recipe: The schedule.
        step: Steps done before this one.
        done: Share of the training that is done, in [0, 1].
    """
    warmth = min(1.0, (step + 1) / recipe.warmup) if recipe.warmup else 1.0
    if recipe.schedule == "constant" or done <= recipe.hold:
        return warmth
    fallen = (done - recipe.hold) / (1 - recipe.hold)
    if recipe.stairs:  # a hair more, so that rounding does not lose a stair
        fallen = math.floor(fallen * recipe.stairs + 1e-9) / recipe.stairs
    if recipe.schedule == "linear":
        return warmth * (1 - fallen)
    return warmth * (0.5 + 0.5 * math.cos(math.pi * fallen))


def set_lr(optimiser: Optimizer, lr: float) -> None:
    """Set the learning rate of all weights."""
    for group in optimiser.param_groups:
        group["lr"] = lr
