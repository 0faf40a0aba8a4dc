"""The losses that are no plain distance: the paper's (HiFaceGAN, arXiv:2005.05005) and others.

Where the paper (section 4.2) and its published code differ, the code holds, because the published
figures come from it:

* eq. 4 prints a logarithm inside the least-squares loss; the code has none, nor has LSGAN
  (arXiv:1611.04076). The printed form is undefined for scores below zero.
* eq. 5 prints squared differences; the code uses absolute ones.
* eq. 5 weights all layers alike; the code weights those of VGG by ``LAYER_WEIGHTS``.

Shape letters: N batch, H and W pixels, S side of a training image.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from faceren.arrays import Rgb8
from faceren.assets import asset
from faceren.config import Mark
from faceren.degradation import NEITHER
from faceren.errors import ShapeError
from faceren.graphs.embedding import SIDE
from faceren.networks.discriminator import Scores
from faceren.networks.perceptual import EmbeddingNetwork

LAYER_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
"""Weights of relu1_1 to relu5_1 in the published perceptual loss."""
CENTRE, WIDTH = (312, 258), 359
"""Row and column, and side, of what dlib's alignment cuts out of a face of 512 pixels: the median
of 158 portraits; standard deviations are 15, 20 and 31."""
STRIDE = 12
"""Pixels of a face of 512 by which the place moves from one grid offset to the next: four places
in each direction then lie within about one of those deviations of the median."""
GROWTH = 26
"""Pixels of a face of 512 by which the side grows, four sides in all: about one deviation, too."""
GridOffset = tuple[int, int]
"""How many of the first rows and columns of a step's images are left out, each 0 to 3."""


def adversarial_loss(scores: Scores, target: float, weights: Sequence[float] = ()) -> Tensor:
    """Return the least-squares distance of the scores from a target, averaged over the scales.

    Args:
        scores: From the discriminator.
        target: What every patch should score: 1 for real, 0 for restored.
        weights: What each scale weighs in the average; default all alike, 1 together.
    """
    losses = [
        weight * (scale[-1] - target).square().sum() / max(1, scale[-1].numel())  # none: no loss
        for weight, scale in zip(weights or alike(scores), scores, strict=True)
    ]
    return torch.stack(losses).sum()


def alike(scores: Scores) -> list[float]:
    """Return equal weights of the scales, 1 together."""
    return [1 / len(scores)] * len(scores)


def generator_loss(restored: Scores, weights: Sequence[float] = ()) -> Tensor:
    """Return what the generator minimises: restored patches should score 1 (eq. 4)."""
    return adversarial_loss(restored, 1.0, weights)


def discriminator_loss(restored: Scores, clean: Scores, weights: Sequence[float] = ()) -> Tensor:
    """Return what the discriminator minimises: 1 for clean, 0 for restored, not halved (eq. 4)."""
    return adversarial_loss(restored, 0.0, weights) + adversarial_loss(clean, 1.0, weights)


def maps_distance(ours: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute difference of two maps; no gradient reaches ``target``.

    Raises:
        ShapeError: If their shapes differ.
    """
    if ours.shape != target.shape:
        raise ShapeError(
            f"expected equal shapes, got {tuple(ours.shape)} and {tuple(target.shape)}"
        )
    return F.l1_loss(ours, target.detach()) if len(ours) else ours.sum()  # none: no distance


def feature_matching_loss(restored: Scores, clean: Scores, weights: Sequence[float] = ()) -> Tensor:
    """Return the distance of the discriminator's feature maps, without scores (eq. 5).

    It is summed over the layers and averaged over the scales.

    Args:
        restored: From the discriminator; gradients flow here only.
        clean: From the same discriminator.
        weights: What each scale weighs in the average; default all alike, 1 together.

    Raises:
        ShapeError: If two maps have different shapes.
    """
    scales = zip(weights or alike(restored), restored, clean, strict=True)
    losses = [
        weight * maps_distance(ours, target)
        for weight, ours_scale, clean_scale in scales
        for ours, target in zip(ours_scale[:-1], clean_scale[:-1], strict=True)
    ]
    return torch.stack(losses).sum()


def perceptual_loss(restored: Sequence[Tensor], clean: Sequence[Tensor]) -> Tensor:
    """Return the weighted distance of VGG's five feature maps (eq. 5).

    Args:
        restored: Maps from ``VggFeatures``; gradients flow here only.
        clean: Maps of the clean images.

    Raises:
        ShapeError: If two maps have different shapes, or there are not five of each.
    """
    if not len(restored) == len(clean) == len(LAYER_WEIGHTS):
        raise ShapeError(
            f"expected {len(LAYER_WEIGHTS)} maps each, as there are weights, "
            f"got {len(restored)} and {len(clean)}"
        )
    losses = [
        weight * maps_distance(ours, target)
        for ours, target, weight in zip(restored, clean, LAYER_WEIGHTS, strict=True)
    ]
    return torch.stack(losses).sum()


class FedLoss(nn.Module):
    """Distance of dlib's embeddings of pairs of aligned faces: who is in the picture, as FED sees.

    FED finds the face in each image anew. That has no gradient; here the network looks where it
    sees the faces of aligned portraits, and, as a generator may learn to please it at one place
    and size alone, at others in each step.

    Raises:
        MachineError: If the network's weights are missing or damaged.
    """

    def __init__(self) -> None:
        super().__init__()
        self.network = EmbeddingNetwork(asset("dlib-embedding"))

    def forward(self, output: Tensor, clean: Tensor, *, offset: GridOffset = (0, 0)) -> Tensor:
        """Return the mean distance, a scalar; 0 if there is no face.

        Args:
            output: (N, 3, S, S), aligned as FFHQ is, RGB in [0, 1]; gets the gradient.
            clean: The same shape.
            offset: The step's grid offset: where to look, and how widely.
        """
        if not len(output):
            return output.sum()  # 0, and a step of crops alone can still go backward
        with torch.no_grad():
            person = self.network(chips(clean, offset))
        squares = (self.network(chips(output, offset)) - person).square().sum(1)
        return (squares + 1e-8).sqrt().mean()  # the root of 0 has no gradient


def chips(faces: Tensor, offset: GridOffset) -> Tensor:
    """Return what dlib's network sees of faces (N, 3, S, S): (N, 3, 150, 150), levels of 256."""
    width = WIDTH + GROWTH * (sum(offset) % 4 - 1.5)
    side = round(512 * SIDE / width)
    small = F.interpolate(
        faces, size=(side, side), mode="bilinear", antialias=True, align_corners=False
    )
    top, left = (
        min(round((centre - width / 2 + STRIDE * (steps - 1.5)) * SIDE / width), side - SIDE)
        for centre, steps in zip(CENTRE, offset, strict=True)
    )
    return 255 * small[:, :, top : top + SIDE, left : left + SIDE]


WIDE = 17
"""Pixels from which a mark is too wide to be told from a white wall or a dark coat: it is neither
asked for nor forbidden."""
THIN = 3
"""Pixels from which a mark is no longer thin: an opening by so many takes away what is narrower."""
THIN_COUNTS = 3
"""A thin mark's pixel counts as much as three others: as much of its length as of one thrice as
wide, to whose area it would else be nothing."""


def target_of(marks: NDArray[np.uint8]) -> Rgb8:
    """Return the target of a map of marks, (S, S, 3): marked or not, its weight, which mark.

    The weight is 255 in thin marks, a third of it elsewhere, and 0 where a pixel does not count.

    Args:
        marks: (S, S), of ``apply_traced``.
    """
    marked = ((marks != Mark.NONE) & (marks != NEITHER)).astype(np.uint8)
    square = np.ones((WIDE, WIDE), np.uint8)
    core = cv2.erode(marked, square, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    wide = cv2.dilate(core, np.ones((WIDE + 4, WIDE + 4), np.uint8))
    counted = ((marks != NEITHER) & (wide == 0)).astype(np.uint8)
    broad = cv2.morphologyEx(marked, cv2.MORPH_OPEN, np.ones((THIN, THIN), np.uint8))
    weight = np.where(marked > broad, 255, 255 // THIN_COUNTS).astype(np.uint8)
    return np.stack([marked * 255, counted * weight, marks], -1)


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Return the weighted mean of the pixels' binary cross-entropy, a scalar.

    Args:
        logits: (N, 1, H, W).
        target: (N, 3, H, W): 1 where marked, the weight, and a plane that is not looked at.
    """
    marked, counted = target[:, :1], target[:, 1:2]
    each = F.binary_cross_entropy_with_logits(logits.float(), marked, reduction="none")
    return (each * counted).sum() / counted.sum().clamp(min=1)


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return 1 - Dice coefficient of the weighted pixels of all images together, a scalar.

    Args:
        logits: (N, 1, H, W).
        target: As ``cross_entropy``.
    """
    marked, counted = target[:, :1], target[:, 1:2]
    found = logits.float().sigmoid() * counted
    both = (found * marked).sum()
    return 1 - (2 * both + 1) / (found.sum() + (marked * counted).sum() + 1)
