"""One training step: restore a batch, move the generator, then the discriminator, then the average.

A step may be divided: among processes, and each process's images into several passes, as memory
allows. Gradients add up to those of the whole batch.

Shape letters: N images of a pass, S side of the training image in pixels.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized
from torch.optim import Adam, AdamW, Optimizer

from faceren.errors import MachineError
from faceren.networks.baselines.baseline import Baseline, with_guide
from faceren.networks.generator import Generator
from faceren.training.muon import Muon
from faceren.training.objective import Objective, Parts, Views
from faceren.training.processes import Portion, numbered
from faceren.training.recipe import OptimiserKind, Recipe, TrainRecipe
from faceren.training.state import TrainingState, follow

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer


@dataclass(frozen=True)
class Pass:
    """Images of a step that go through the networks together."""

    damaged: Tensor
    """(N, 3, S, S) in [0, 1]."""
    clean: Tensor
    """The same shape."""
    whole: Tensor
    """(N,) bool, which images show a whole face, aligned."""
    portion: Portion
    """Which of the step's images these are."""


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
    teachers: Sequence[Generator | Baseline] = ()
    """Whose restorations are the target, if there are any: one or two."""

    def take(self, passes: Sequence[Pass], *, done: float) -> StepResult:
        """Take one step, unless the gradient is not finite; count either in the state.

        Args:
            passes: The images of this process; all processes make equally many passes.
            done: Share of the training that is done, in [0, 1].
        """
        train, counters = self.recipe.train, self.state.counters
        factor = lr_factor(train, counters.step, done)
        views, result = self._generator_step(passes, factor * train.lr)
        if self.discriminator is not None:
            lr = factor * train.lr_discriminator
            result = self._discriminator_step(views, lr, result)
        counters.step += 1
        counters.images_seen += passes[0].portion.total * self.recipe.data.views
        counters.bad_in_a_row = 0 if result.good else counters.bad_in_a_row + 1
        counters.skipped_steps += not result.good
        return result

    def _generator_step(self, passes: Sequence[Pass], lr: float) -> tuple[list[Views], StepResult]:
        """Move the generator; return what the discriminator will look at, pass by pass."""
        seen, sums = [], []
        self.optimiser.zero_grad()
        whole = self._gathered([int(each.whole.sum()) for each in passes])
        faces = numbered(whole, self.fabric.global_rank)
        with moved_norms(self.generator):
            for number, (each, which) in enumerate(zip(passes, faces, strict=True), 1):
                with self.fabric.no_backward_sync(self.generator, enabled=number < len(passes)):
                    views, parts = self._looked_at(each, which)
                    total = self.objective.total(parts)
                    self._backward(total)
                seen.append(views.detached())
                sums.append([total, *parts.values()])
        norm = self._clipped(self.generator, self.optimiser)
        loss, *values = self._summed(sums)
        result = StepResult(
            loss=loss,
            parts=dict(zip(parts, values, strict=True)),
            gradient=norm,
            lr=lr,
            good=math.isfinite(loss) and math.isfinite(norm),
        )
        if result.good:
            set_lr(self.state.optimiser, lr)
            self.optimiser.step()
            decay, step = self.recipe.train.ema, self.state.counters.step + 1
            follow(self.state.average, self.state.generator, decay=decay, step=step)
        return seen, result

    def _looked_at(self, each: Pass, faces: Portion) -> tuple[Views, Parts]:
        """Return the images of a pass, restored, and what they add to each loss."""
        damaged, clean = each.damaged, each.clean
        if self.teachers:
            clean = self._taught(damaged)
        output = self._restored(with_guide(self.state.generator, damaged, clean))
        with self.fabric.autocast():
            views = self.objective.views(
                output,
                damaged,
                clean,
                whole=each.whole,
                step=self.state.counters.step,
                images=each.portion,
                faces=faces,
            )
            return views, self.objective.parts(views, self.state.discriminator)

    def _taught(self, damaged: Tensor) -> Tensor:
        """Return the mean of a teacher's restoration and one's of the mirror image, in [0, 1]."""
        first, last = self.teachers[0], self.teachers[-1]
        if self.state.counters.step % 2:
            first, last = last, first
        with torch.no_grad(), self.fabric.autocast():
            mirrored = last(damaged.flip(-1)).flip(-1)
            return ((first(damaged) + mirrored) / 2).float().clamp(0, 1)

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

    def _discriminator_step(
        self, seen: Sequence[Views], lr: float, result: StepResult
    ) -> StepResult:
        """Learn from the output that the generator has just been corrected for, and the clean."""
        if self.discriminator is None or self.discriminator_optimiser is None:
            return result
        sums = []
        self.discriminator_optimiser.zero_grad()
        with moved_norms(self.discriminator):
            for number, views in enumerate(seen, 1):
                with self.fabric.no_backward_sync(self.discriminator, enabled=number < len(seen)):
                    with self.fabric.autocast():
                        loss = self.objective.discriminator_loss(views, self.discriminator)
                    self._backward(loss)
                sums.append([loss])
        norm = self._clipped(self.discriminator, self.discriminator_optimiser)
        (total,) = self._summed(sums)
        good = math.isfinite(total) and math.isfinite(norm)
        if good and self.state.discriminator_optimiser is not None:
            set_lr(self.state.discriminator_optimiser, lr)
            self.discriminator_optimiser.step()
        parts = {**result.parts, "discriminator": total}
        return StepResult(result.loss, parts, result.gradient, result.lr, result.good and good)

    def _gathered(self, counts: list[int]) -> list[list[int]]:
        """Return the counts of all processes."""
        if self.fabric.world_size == 1:
            return [counts]
        everyone = torch.zeros(self.fabric.world_size, len(counts), device=self.fabric.device)
        everyone[self.fabric.global_rank] = torch.tensor(counts).to(everyone)
        summed = self.fabric.all_reduce(everyone, reduce_op="sum").long()  # type: ignore[union-attr]
        numbers: list[list[int]] = summed.tolist()
        return numbers

    def _backward(self, loss: Tensor) -> None:
        """Add to the gradients; exchanging them takes their mean over processes, not the sum."""
        self.fabric.backward(loss * self.fabric.world_size)

    def _clipped(self, network: "_FabricModule", optimiser: "_FabricOptimizer") -> float:
        """Clip the gradients of a network, and return their norm before that, alike everywhere."""
        largest = self.recipe.train.clip or math.inf
        norm = self.fabric.clip_gradients(
            network, optimiser, max_norm=largest, error_if_nonfinite=False
        )
        return 0.0 if norm is None else float(norm)

    def _summed(self, sums: Sequence[Sequence[Tensor]]) -> list[float]:
        """Return scalars summed over passes and processes, so that all of these decide alike."""
        stacked = torch.stack([torch.stack([x.detach().float() for x in row]) for row in sums])
        total = stacked.sum(0)
        if self.fabric.world_size > 1:
            total = self.fabric.all_reduce(total, reduce_op="sum")  # type: ignore[assignment]
        numbers: list[float] = total.tolist()
        return numbers


@contextmanager
def moved_norms(network: nn.Module) -> Iterator[None]:
    """Move the spectral norms of a network on, once, and keep them so while it is used.

    So they move on in every step, in all processes alike, whatever part of the network a pass
    needs.
    """
    found = (getattr(module, "parametrizations", None) for module in network.modules())
    kept = [module for module in found if isinstance(module, nn.Module)]
    with torch.no_grad():
        for module in network.modules():
            if is_parametrized(module, "weight"):
                _ = module.weight  # to ask for it moves its norm
    learning = [module.training for module in kept]
    for module in kept:
        module.eval()
    try:
        yield
    finally:
        for module, was in zip(kept, learning, strict=True):
            module.train(was)


def build_optimiser(
    network: nn.Module, recipe: TrainRecipe, lr: float, *, kind: OptimiserKind
) -> Optimizer:
    """Return an optimiser for all weights of a network, of the recipe's decays."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    betas, decay = recipe.betas, recipe.weight_decay
    if kind == "muon":
        return Muon(parameters, lr=lr, betas=betas, weight_decay=decay)
    adam = AdamW if kind == "adamw" else Adam
    return adam(parameters, lr=lr, betas=betas, weight_decay=decay, fused=True)


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
