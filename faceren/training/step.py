"""One training step: restore a batch, move the generator, then the discriminator, then the average.

Shape letters: N batch (of this process), S side of the training image in pixels.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer

from faceren.errors import MachineError
from faceren.networks.baselines.baseline import Baseline, with_guide
from faceren.networks.generator import Generator, mirrored_mean
from faceren.training.objective import Objective, Views
from faceren.training.recipe import Recipe, TrainRecipe
from faceren.training.state import TrainingState, follow

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer


@dataclass(frozen=True)
class StepResult:
    """What a step saw."""

    loss: float
    """Weighted sum of the generator's losses."""
    parts: dict[str, float]
    """Each loss by its recipe name, unweighted; ``discriminator`` too."""
    gradient: float
    """Norm of the generator's gradient before clipping."""
    lr: float
    """Learning rate of the generator."""
    good: bool
    """Whether every loss and gradient was finite; otherwise the weights concerned stayed."""


@dataclass(frozen=True)
class Stepper:
    """What a step needs, on its device; ``state`` holds the same weights without wrappers."""

    fabric: "Fabric"
    recipe: Recipe
    state: TrainingState
    objective: Objective
    generator: "_FabricModule"
    optimiser: "_FabricOptimizer"
    discriminator: "_FabricModule | None"
    discriminator_optimiser: "_FabricOptimizer | None"
    teacher: Generator | Baseline | None = None
    """Whose restorations are the target, if there is one."""

    def take(
        self, damaged: Tensor, clean: Tensor, *, done: float, whole: Tensor | None = None
    ) -> StepResult:
        """Take one step, unless the gradient is not finite; count either in the state.

        Args:
            damaged: (N, 3, S, S) in [0, 1].
            clean: The same shape.
            done: Share of the training that is done, in [0, 1].
            whole: (N,) bool, which images show a whole face, aligned; all if not given.
        """
        train, counters = self.recipe.train, self.state.counters
        if self.teacher is not None:
            with torch.no_grad(), self.fabric.autocast():
                clean = mirrored_mean(self.teacher, damaged).float().clamp(0, 1)
        factor = lr_factor(train, counters.step, done)
        views, result = self._generator_step(damaged, clean, whole, factor * train.lr)
        if self.discriminator is not None:
            lr = factor * train.lr_discriminator
            result = self._discriminator_step(views, lr, result)
        counters.step += 1
        counters.images_seen += len(damaged) * self.fabric.world_size
        counters.bad_in_a_row = 0 if result.good else counters.bad_in_a_row + 1
        counters.skipped_steps += not result.good
        return result

    def _generator_step(
        self, damaged: Tensor, clean: Tensor, whole: Tensor | None, lr: float
    ) -> tuple[Views, StepResult]:
        output = self._restored(with_guide(self.state.generator, damaged, clean))
        with self.fabric.autocast():
            step = self.state.counters.step
            views = self.objective.views(output, damaged, clean, whole=whole, step=step)
            parts = self.objective.parts(views, self.state.discriminator)
            total = self.objective.total(parts)
        norm = self._backward(total, self.generator, self.optimiser)
        values = self._averaged([total, norm, *parts.values()])
        result = StepResult(
            loss=values[0],
            parts=dict(zip(parts, values[2:], strict=True)),
            gradient=values[1],
            lr=lr,
            good=math.isfinite(values[0]) and math.isfinite(values[1]),
        )
        if result.good:
            set_lr(self.state.optimiser, lr)
            self.optimiser.step()
            decay, step = self.recipe.train.ema, self.state.counters.step + 1
            follow(self.state.average, self.state.generator, decay=decay, step=step)
        return views, result

    def _restored(self, damaged: Tensor) -> Tensor:
        try:
            output: Tensor = self.generator(damaged)
        except RuntimeError as error:
            if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
                raise
            raise MachineError(
                f"train.compile: torch cannot compile here ({str(error).splitlines()[0]}); "
                f"install a C++ compiler and Python's headers, or set train.compile to false"
            ) from error
        return output

    def _discriminator_step(self, views: Views, lr: float, result: StepResult) -> StepResult:
        """Learn from the output that the generator has just been corrected for, and the clean."""
        if self.discriminator is None or self.discriminator_optimiser is None:
            return result
        with self.fabric.autocast():
            loss = self.objective.discriminator_loss(views, self.discriminator)
        norm = self._backward(loss, self.discriminator, self.discriminator_optimiser)
        values = self._averaged([loss, norm])
        good = math.isfinite(values[0]) and math.isfinite(values[1])
        if good and self.state.discriminator_optimiser is not None:
            set_lr(self.state.discriminator_optimiser, lr)
            self.discriminator_optimiser.step()
        parts = {**result.parts, "discriminator": values[0]}
        return StepResult(result.loss, parts, result.gradient, result.lr, result.good and good)

    def _backward(
        self, loss: Tensor, network: "_FabricModule", optimiser: "_FabricOptimizer"
    ) -> Tensor:
        """Fill the gradients of a network, clip them, and return their norm before that."""
        optimiser.zero_grad()
        self.fabric.backward(loss)
        largest = self.recipe.train.clip or math.inf
        norm = self.fabric.clip_gradients(
            network, optimiser, max_norm=largest, error_if_nonfinite=False
        )
        return loss.new_zeros(()) if norm is None else norm

    def _averaged(self, values: list[Tensor]) -> list[float]:
        """Return scalars averaged over the processes, so that all of them decide alike."""
        stacked = torch.stack([value.detach().float() for value in values])
        if self.fabric.world_size > 1:
            stacked = self.fabric.all_reduce(stacked, reduce_op="mean")  # type: ignore[assignment]
        numbers: list[float] = stacked.tolist()
        return numbers


def build_optimiser(network: nn.Module, recipe: TrainRecipe, lr: float) -> Optimizer:
    """Return the recipe's optimiser for all weights of a network."""
    kind = AdamW if recipe.optimiser == "adamw" else Adam
    parameters = [p for p in network.parameters() if p.requires_grad]
    decay = recipe.weight_decay
    return kind(parameters, lr=lr, betas=recipe.betas, weight_decay=decay, fused=True)


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

    The paper's step schedule is ``linear`` with ``hold`` 0.6 and ``lr_steps`` 20: 31 epochs at the
    full rate, then 19 that fall by a twentieth each.

    Args:
        recipe: The schedule.
        step: Steps done before this one.
        done: Share of the training that is done, in [0, 1].
    """
    warmth = min(1.0, (step + 1) / recipe.warmup) if recipe.warmup else 1.0
    if recipe.schedule == "constant" or done <= recipe.hold:
        return warmth
    fallen = (done - recipe.hold) / (1 - recipe.hold)
    if recipe.lr_steps:  # a hair more, so that rounding does not lose a step
        fallen = math.floor(fallen * recipe.lr_steps + 1e-9) / recipe.lr_steps
    if recipe.schedule == "linear":
        return warmth * (1 - fallen)
    return warmth * (0.5 + 0.5 * math.cos(math.pi * fallen))


def set_lr(optimiser: Optimizer, lr: float) -> None:
    """Set the learning rate of all weights."""
    for group in optimiser.param_groups:
        group["lr"] = lr
