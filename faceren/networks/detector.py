"""The network that finds marks on a print: a small U-Net on gray.

Half of the photo's pixels a side are its finest maps (pixel-unshuffle by 2), so that a photo of any
size costs little; there is no normalisation, so that a tile of a photo gives what the photo gives.
Its twin without torch: ``graphs.generator``.

Shape letters: N batch, C channels, H and W pixels.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceren.arrays import LUMA
from faceren.config import DetectorConfig

RARE = -3.0
"""Logit of a mark before training: one pixel in twenty."""


class Detector(nn.Module):
    """Two convolutions a level on the way down, one on the way up.

    The first of a level halves the maps; bilinear interpolation enlarges them, and what was seen on
    the way down joins them.

    Args:
        config: Its shape.
    """

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.config = config
        ch = config.channels
        self.luma: Tensor
        self.register_buffer("luma", torch.tensor(LUMA).view(1, 3, 1, 1), persistent=False)
        self.down = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 3, stride=(1 + bool(level)), padding=1),
                nn.ReLU(),
                nn.Conv2d(after, after, 3, padding=1),
                nn.ReLU(),
            )
            for level, (before, after) in enumerate(pairwise((4, *ch)))
        )
        self.up = nn.ModuleList(
            nn.Conv2d(coarse + fine, fine, 3, padding=1) for fine, coarse in pairwise(ch)
        )
        self.last = nn.Conv2d(ch[0], 4, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.normal_(self.last.weight, std=0.01)
        nn.init.constant_(self.last.bias, RARE)  # type: ignore[arg-type]

    @property
    def stride(self) -> int:
        """Sides of the input must be multiples of this many pixels."""
        return self.config.stride

    def forward(self, photos: Tensor) -> Tensor:
        """Return the logit of each pixel's being marked, (N, 1, H, W).

        Args:
            photos: (N, 3, H, W) in [0, 1], sides multiples of ``stride``.
        """
        gray = (photos * self.luma).sum(1, keepdim=True) - 0.5
        x = F.pixel_unshuffle(gray, 2)
        seen = []
        for pair in self.down:
            x = pair(x)
            seen.append(x)
        for level in reversed(range(len(self.up))):
            large = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = F.relu(self.up[level](torch.cat([large, seen[level]], 1)))
        return F.pixel_shuffle(self.last(x), 2)


def build_detector(config: DetectorConfig, seed: int) -> Detector:
    """Return a detector with weights drawn from a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Detector(config)
