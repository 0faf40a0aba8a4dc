"""The face embedding distance as a loss: how far dlib's network sees the face from the person.

FED finds the face in each image anew. That has no gradient; here the network looks where it sees
the faces of aligned portraits, and, as a generator may learn to please it at one place and size
alone, at others in each step.

Shape letters: N batch, S side of a training image.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceren.assets import asset
from faceren.faces.embedding import SIDE, EmbeddingNetwork
from faceren.training.views import Phase

CENTRE, WIDTH = (312, 258), 359
"""Row and column, and side, of what dlib's alignment cuts out of a face of 512 pixels: the median
of 158 portraits; standard deviations are 15, 20 and 31."""
STRIDE = 12
"""By how much the place moves from phase to phase, pixels of a face of 512."""
GROWTH = 26
"""By how much the side grows, pixels of a face of 512: four sides in all."""


class FedLoss(nn.Module):
    """Distance of dlib's embeddings of pairs of aligned faces.

    Raises:
        MachineError: If the network's weights are missing or damaged.
    """

    def __init__(self) -> None:
        super().__init__()
        self.network = EmbeddingNetwork(asset("dlib-embedding"))

    def forward(self, output: Tensor, clean: Tensor, *, phase: Phase = (0, 0)) -> Tensor:
        """Return the mean distance, a scalar; 0 if there is no face.

        Args:
            output: (N, 3, S, S), aligned as FFHQ is, RGB in [0, 1]; gets the gradient.
            clean: The same shape.
            phase: Each number in 0..3: where to look, and how widely.
        """
        if not len(output):
            return output.sum()  # 0, and a step of crops alone can still go backward
        with torch.no_grad():
            person = self.network(chips(clean, phase))
        squares = (self.network(chips(output, phase)) - person).square().sum(1)
        return (squares + 1e-8).sqrt().mean()  # the root of 0 has no gradient


def chips(faces: Tensor, phase: Phase) -> Tensor:
    """Return what dlib's network sees of faces (N, 3, S, S): (N, 3, 150, 150), levels of 256."""
    width = WIDTH + GROWTH * (sum(phase) % 4 - 1.5)
    side = round(512 * SIDE / width)
    small = F.interpolate(
        faces, size=(side, side), mode="bilinear", antialias=True, align_corners=False
    )
    top, left = (
        min(round((centre - width / 2 + STRIDE * (moves - 1.5)) * SIDE / width), side - SIDE)
        for centre, moves in zip(CENTRE, phase, strict=True)
    )
    return 255 * small[:, :, top : top + SIDE, left : left + SIDE]
