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
from faceren.faces.alignment import TEMPLATE
from faceren.networks.discriminator import Discriminator, judge_pair
from faceren.networks.losses import (
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    perceptual_loss,
)
from faceren.networks.perceptual import LpipsAlexNet
from faceren.networks.projected import ProjectedDiscriminator
from faceren.networks.vgg import VggFeatures
from faceren.training.embedding import FaceEmbedding, identity_loss
from faceren.training.recipe import LossRecipe

Phase = tuple[int, int]
GRID = 4
"""Stride of AlexNet's first layer, and of the pixel-unshuffle stem."""
INNER_MARGIN = 50.0
"""Around eyes, nose tip and mouth corners, pixels of a face of 512."""
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
        perceptual = recipe.lpips or recipe.inner
        self.lpips = LpipsAlexNet(asset("lpips-alexnet")).eval() if perceptual else None
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
        phase: Phase = (0, 0),
    ) -> Parts:
        """Return the generator's losses, each a scalar, unweighted.

        Args:
            output: (N, 3, H, W), not clamped.
            damaged: The same shape, in [0, 1].
            clean: The same shape, in [0, 1].
            judge: The discriminator; needed if a loss has to do with it. It gets no gradient.
            whole: (N,) bool, which of them show a whole face, aligned; all if not given.
            phase: Where the grid of the perceptual networks begins, see ``phase_of``.
        """
        parts: Parts = {}
        if self.recipe.l1:
            parts["l1"] = F.l1_loss(output, clean)
        if self.lpips is not None and self.recipe.lpips:
            parts["lpips"] = self.lpips(moved(output, phase), moved(clean, phase)).mean()
        if self.vgg is not None:
            with torch.no_grad():
                target = self.vgg(clean)
            parts["vgg"] = perceptual_loss(self.vgg(output), target)
        if judge is not None:
            ours, given, theirs = (self.shown(x, phase) for x in (output, damaged, clean))
            parts |= self._judged(ours, given, theirs, judge)
        if whole is not None:
            output, clean = output[whole], clean[whole]
        if self.lpips is not None and self.recipe.inner:
            pair = (moved(inner_face(x), phase) for x in (output, clean))
            distances = self.lpips(*pair)
            parts["inner"] = distances.sum() / max(1, len(distances))
        if self.embedding is not None:
            parts["identity"] = identity_loss(self.embedding, output, clean)
        return parts

    def _judged(self, output: Tensor, damaged: Tensor, clean: Tensor, judge: nn.Module) -> Parts:
        parts: Parts = {}
        with _frozen(judge):
            if self.recipe.features:
                ours, theirs = judge_pair(judge, damaged, output, clean)
                parts["features"] = feature_matching_loss(ours, theirs)
            else:  # the clean images' own judgement is not asked for
                ours = judge(damaged, output)
        if self.recipe.gan:
            parts["gan"] = generator_loss(ours)
        return parts

    def shown(self, images: Tensor, phase: Phase) -> Tensor:
        """Return what the discriminator sees of images: the paper's sees them as they are."""
        return moved(images, phase) if self.recipe.discriminator == "projected" else images

    def total(self, parts: Parts) -> Tensor:
        """Return the weighted sum."""
        weighted = [getattr(self.recipe, name) * part for name, part in parts.items()]
        return torch.stack(weighted).sum()


def inner_face(faces: Tensor) -> Tensor:
    """Return eyes, nose and mouth of aligned faces, (N, 3, h, w) of (N, 3, S, S)."""
    unit = faces.shape[-1] / 512
    left, top = (round(unit * (edge - INNER_MARGIN)) for edge in TEMPLATE.min(0))
    right, bottom = (round(unit * (edge + INNER_MARGIN)) for edge in TEMPLATE.max(0))
    return faces[:, :, top:bottom, left:right]


def phase_of(step: int) -> Phase:
    """Return by how many rows and columns a step's images are cut: all 16 pairs in turn.

    AlexNet looks at every fourth pixel, always in the same places. A network that makes its pixels
    in blocks of four learns to please it in these places alone; so they move.
    """
    return step % GRID, step // GRID % GRID


def moved(images: Tensor, phase: Phase) -> Tensor:
    """Return images (N, 3, H, W) without their first rows and columns."""
    return images[:, :, phase[0] :, phase[1] :]


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


def build_judge(recipe: LossRecipe, seed: int) -> Discriminator | ProjectedDiscriminator | None:
    """Return the discriminator with weights drawn from a seed; None if no loss needs it."""
    if not recipe.adversarial:
        return None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)  # other numbers than the generator's
        if recipe.discriminator == "projected":
            alexnet = LpipsAlexNet(asset("lpips-alexnet"))
            return ProjectedDiscriminator(alexnet, width=recipe.discriminator_width)
        return Discriminator(width=recipe.discriminator_width)


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Let gradients pass through a network, but not into it; what was frozen before stays so."""
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad = False
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad = True
