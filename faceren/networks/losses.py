"""The losses of the paper as plain functions (HiFaceGAN, arXiv:2005.05005, section 3.4).

Where the paper and its published code differ, the code is the default, because the published
figures come from it, and the paper is a switch:

* eq. 4 prints a logarithm inside the least-squares loss; the code has none, nor has LSGAN
  (arXiv:1611.04076). The printed form is undefined for scores below zero and is not offered.
* eq. 5 prints squared differences; the code uses absolute ones (``distance``).
* eq. 5 weights all layers alike; the code weights those of VGG (``layer_weights``).

Eq. 6 adds the losses; the published weights are ``FEATURE_WEIGHT`` and ``PERCEPTUAL_WEIGHT``.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from faceren.errors import ShapeError
from faceren.networks.discriminator import Judgement

Distance = Literal["l1", "l2"]
FEATURE_WEIGHT = 10.0
"""Weight of ``feature_matching_loss`` in the published objective."""
PERCEPTUAL_WEIGHT = 10.0
"""Weight of ``perceptual_loss`` in the published objective."""
LAYER_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
"""Weights of relu1_1 to relu5_1 in the published perceptual loss."""


def adversarial_loss(judgement: Judgement, target: float) -> Tensor:
    """Return the least-squares distance of the scores from a target, averaged over the scales.

    Args:
        judgement: From the discriminator.
        target: What every patch should score: 1 for real, 0 for restored.
    """
    losses = [
        (scale[-1] - target).square().sum() / max(1, scale[-1].numel())  # none: no loss
        for scale in judgement
    ]
    return torch.stack(losses).mean()


def generator_loss(restored: Judgement) -> Tensor:
    """Return what the generator minimises: restored patches should score 1 (eq. 4)."""
    return adversarial_loss(restored, 1.0)


def discriminator_loss(restored: Judgement, clean: Judgement) -> Tensor:
    """Return what the discriminator minimises: 1 for clean, 0 for restored, not halved (eq. 4)."""
    return adversarial_loss(restored, 0.0) + adversarial_loss(clean, 1.0)


def distance_of(ours: Tensor, target: Tensor, distance: Distance) -> Tensor:
    """Return the mean ``l1`` or ``l2`` (squared) difference; no gradient reaches ``target``."""
    if ours.shape != target.shape:
        raise ShapeError(
            f"expected equal shapes, got {tuple(ours.shape)} and {tuple(target.shape)}"
        )
    loss = F.l1_loss if distance == "l1" else F.mse_loss
    return loss(ours, target.detach())


def feature_matching_loss(
    restored: Judgement, clean: Judgement, *, distance: Distance = "l1"
) -> Tensor:
    """Return the distance of the discriminator's feature maps, without scores (eq. 5).

    Summed over the layers and averaged over the scales.

    Args:
        restored: From the discriminator; gradients flow here only.
        clean: From the same discriminator.
        distance: ``l1`` as published, ``l2`` as printed.

    Raises:
        ShapeError: If two maps have different shapes.
    """
    losses = [
        distance_of(ours, target, distance)
        for ours_scale, clean_scale in zip(restored, clean, strict=True)
        for ours, target in zip(ours_scale[:-1], clean_scale[:-1], strict=True)
    ]
    return torch.stack(losses).sum() / len(restored)


def perceptual_loss(
    restored: Sequence[Tensor],
    clean: Sequence[Tensor],
    *,
    layer_weights: Sequence[float] = LAYER_WEIGHTS,
    distance: Distance = "l1",
) -> Tensor:
    """Return the weighted distance of VGG's feature maps (eq. 5).

    Args:
        restored: Maps from ``VggFeatures``; gradients flow here only.
        clean: Maps of the clean images.
        layer_weights: One for each map; ones are the paper's equation.
        distance: ``l1`` as published, ``l2`` as printed.

    Raises:
        ShapeError: If two maps have different shapes, or their number is not that of the weights.
    """
    if not len(restored) == len(clean) == len(layer_weights):
        raise ShapeError(
            f"expected {len(layer_weights)} maps each, as there are weights, "
            f"got {len(restored)} and {len(clean)}"
        )
    losses = [
        weight * distance_of(ours, target, distance)
        for ours, target, weight in zip(restored, clean, layer_weights, strict=True)
    ]
    return torch.stack(losses).sum()
