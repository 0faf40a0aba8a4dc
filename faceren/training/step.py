"""One training step: restore a batch, move the generator, then the discriminator, then the average.

Shape letters: N batch (of this process), S side of the training image in pixels.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from faceren.errors import MachineError
from faceren.networks.generator import Generator
from faceren.networks.mirrored import mirrored_mean
from faceren.training.objective import Objective, judgement_loss
from faceren.training.optimisation import lr_factor, set_lr
from faceren.training.recipe import Recipe
from faceren.training.state import TrainingState, follow
from faceren.training.views import Views, phase_of

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer


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
    teacher: Generator | None = None
    """Whose restorations are the target, if there is one."""

    def take(
        self, damaged: Tensor, clean: Tensor, *, done: float, whole: Tensor | None = None
    ) -> "StepResult":
        """Take one step, unless the gradient is not finite; count either in the state.

        Args:
            damaged: (N, 3, S, S) in [0, 1].
            clean: The same shape.
            done: Share of the training that is done, in [0, 1].
            whole: (N,) bool, which images show a whole face, aligned; all if not given.
        """
        train, counters = self.recipe.train, self.state.counters
        if self.teacher is not None:
            clean = self._taught(self.teacher, damaged)
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
    ) -> tuple[Views, "StepResult"]:
        output = self._restored(damaged)
        with self.fabric.autocast():
            phase = phase_of(self.state.counters.step)
            views = self.objective.views(output, damaged, clean, whole=whole, phase=phase)
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

    @torch.no_grad()
    def _taught(self, teacher: Generator, damaged: Tensor) -> Tensor:
        with self.fabric.autocast():
            return mirrored_mean(teacher, damaged).float().clamp(0, 1)

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

    def _discriminator_step(self, views: Views, lr: float, result: "StepResult") -> "StepResult":
        """Judge the output that the generator has just been corrected for, and the clean images."""
        if self.discriminator is None or self.discriminator_optimiser is None:
            return result
        images = self.objective.shown(views.detached())
        with self.fabric.autocast():
            loss = judgement_loss(self.discriminator, *images)
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
        """Fill the gradients of a network, clip them, and return their length before that."""
        optimiser.zero_grad()
        self.fabric.backward(loss)
        longest = self.recipe.train.clip or math.inf
        norm = self.fabric.clip_gradients(
            network, optimiser, max_norm=longest, error_if_nonfinite=False
        )
        return loss.new_zeros(()) if norm is None else norm

    def _averaged(self, values: list[Tensor]) -> list[float]:
        """Return scalars averaged over the processes, so that all of them decide alike."""
        stacked = torch.stack([value.detach().float() for value in values])
        if self.fabric.world_size > 1:
            stacked = self.fabric.all_reduce(stacked, reduce_op="mean")  # type: ignore[assignment]
        numbers: list[float] = stacked.tolist()
        return numbers


@dataclass(frozen=True)
class StepResult:
    """What a step saw."""

    loss: float
    """Weighted sum of the generator's losses."""
    parts: dict[str, float]
    """Each loss by its recipe name, unweighted; ``discriminator`` too."""
    gradient: float
    """Length of the generator's gradient before clipping."""
    lr: float
    """Of the generator."""
    good: bool
    """Whether every loss and gradient was finite; otherwise the weights concerned stayed."""
