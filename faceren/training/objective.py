"""What a step minimises: the weighted losses of the generator, and that of the discriminator.

Shape letters: N batch, H and W pixels.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceren.assets import asset
from faceren.networks.discriminator import Discriminator, judge_pair
from faceren.networks.losses import (
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    perceptual_loss,
)
from faceren.networks.perceptual import LpipsAlexNet
from faceren.networks.vgg import VggFeatures
from faceren.training.embedding import FaceEmbedding, identity_loss
from faceren.training.recipe import LossRecipe

Parts = dict[str, Tensor]
"""Each loss, a scalar, by its recipe name."""


class Objective(nn.Module):
    """The losses of a recipe. What has weight zero is not built.

    Args:
        recipe: The weights.

    Raises:
        MachineError: If weights of a loss network are missing or damaged.
        ConfigError: If ``vgg_weights`` holds no VGG, or ``identity_weights`` no embedding network.
    """

    def __init__(self, recipe: LossRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.lpips = LpipsAlexNet(asset("lpips-alexnet")).eval() if recipe.lpips else None
        self.vgg = VggFeatures(Path(recipe.vgg_weights)).eval() if recipe.vgg else None
        self.embedding = (
            FaceEmbedding(Path(recipe.identity_weights)).eval() if recipe.identity else None
        )

    def parts(
        self,
        output: Tensor,
        damaged: Tensor,
        clean: Tensor,
        judge: nn.Module | None,
        *,
        whole: Tensor | None = None,
    ) -> Parts:
        """Return the generator's losses, each a scalar, unweighted.

        Args:
            output: (N, 3, H, W), not clamped.
            damaged: The same shape, in [0, 1].
            clean: The same shape, in [0, 1].
            judge: The discriminator; needed if a loss has to do with it. It gets no gradient.
            whole: (N,) bool, which of them show a whole face, aligned; all if not given.
        """
        parts: Parts = {}
        if self.recipe.l1:
            parts["l1"] = F.l1_loss(output, clean)
        if self.lpips is not None:
            parts["lpips"] = self.lpips(output, clean).mean()
        if self.vgg is not None:
            with torch.no_grad():
                target = self.vgg(clean)
            parts["vgg"] = perceptual_loss(self.vgg(output), target)
        if judge is not None:
            with _frozen(judge):
                ours, theirs = judge_pair(judge, damaged, output, clean)
            if self.recipe.gan:
                parts["gan"] = generator_loss(ours)
            if self.recipe.features:
                parts["features"] = feature_matching_loss(ours, theirs)
        if self.embedding is not None:
            if whole is not None:
                output, clean = output[whole], clean[whole]
            parts["identity"] = identity_loss(self.embedding, output, clean)
        return parts

    def total(self, parts: Parts) -> Tensor:
        """Return the weighted sum."""
        weighted = [getattr(self.recipe, name) * part for name, part in parts.items()]
        return torch.stack(weighted).sum()


def judgement_loss(judge: nn.Module, damaged: Tensor, output: Tensor, clean: Tensor) -> Tensor:
    """Return what the discriminator minimises, a scalar.

    Args:
        judge: The discriminator, wrapped or not.
        damaged: (N, 3, H, W) in [0, 1].
        output: The same shape, without a gradient.
        clean: The same shape.
    """
    ours, theirs = judge_pair(judge, damaged, output, clean)
    return discriminator_loss(ours, theirs)


def build_judge(recipe: LossRecipe, seed: int) -> Discriminator | None:
    """Return the discriminator with weights drawn from a seed; None if no loss needs it."""
    if not recipe.adversarial:
        return None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)  # other numbers than the generator's
        return Discriminator(width=recipe.discriminator_width)


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Let gradients pass through a network, but not into it."""
    network.requires_grad_(requires_grad=False)
    try:
        yield
    finally:
        network.requires_grad_(requires_grad=True)
