"""Training a detector of marks: its targets and its losses.

Shape letters: N batch, H and W pixels, S side of a training image.
"""

import cv2
import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from faceren.arrays import Rgb8
from faceren.config import Mark
from faceren.degradation import NEITHER

WIDE = 17
"""Pixels from which a mark is too wide to be told from a white wall or a dark coat: it is neither
asked for nor forbidden."""


def target_of(marks: NDArray[np.uint8]) -> Rgb8:
    """Return the target of a map of marks, (S, S, 3): marked or not, counted or not, which mark.

    Args:
        marks: (S, S), of ``apply_traced``.
    """
    marked = ((marks != Mark.NONE) & (marks != NEITHER)).astype(np.uint8)
    square = np.ones((WIDE, WIDE), np.uint8)
    core = cv2.erode(marked, square, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    wide = cv2.dilate(core, np.ones((WIDE + 4, WIDE + 4), np.uint8))
    counted = ((marks != NEITHER) & (wide == 0)).astype(np.uint8)
    return np.stack([marked * 255, counted * 255, marks], -1)


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Return the mean binary cross-entropy of the pixels that count, a scalar.

    Args:
        logits: (N, 1, H, W).
        target: (N, 3, H, W): 1 where marked, 1 where counted, and a plane that is not looked at.
    """
    marked, counted = target[:, :1], target[:, 1:2]
    each = F.binary_cross_entropy_with_logits(logits.float(), marked, reduction="none")
    return (each * counted).sum() / counted.sum().clamp(min=1)


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return 1 - Dice coefficient of the pixels of all images together, a scalar.

    Args:
        logits: (N, 1, H, W).
        target: As ``cross_entropy``.
    """
    marked, counted = target[:, :1], target[:, 1:2]
    found = logits.float().sigmoid() * counted
    both = (found * marked).sum()
    return 1 - (2 * both + 1) / (found.sum() + (marked * counted).sum() + 1)
