"""Wavelet-SRNet, the paper's "WaveletCNN": what a small face lacks, as wavelet coefficients.

Source: Huang et al., Wavelet-SRNet: A Wavelet-Based CNN for Multi-scale Face Super Resolution,
ICCV 2017, sections 3.1 to 3.3: an embedding whose channels double, then for every level of the
wavelet packet (Haar's) a network of its own, its subbands in groups that do not see one another.
Of its losses only that of the image is ours. No weights of the authors are public.

Shape letters: N batch, C channels, h and w pixels of the small image, s the scale.
"""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceren.networks.baselines.layers import doublings

EMBEDDED = 16
"""Times ``width``: the channels of the embedding, after four doublings."""


class Block(nn.Module):
    """Two convolutions with batch normalisation, added to the input before the last ReLU.

    Args:
        before: Channels that come in.
        after: Channels that go out.
        groups: Of the convolutions; those that see the input have one if ``mixing``.
        mixing: The block mixes all that comes in for all groups.
    """

    def __init__(self, before: int, after: int, groups: int = 1, *, mixing: bool = False) -> None:
        super().__init__()
        expand = mixing or before != after
        first = 1 if mixing else groups
        self.conv_expand: nn.Module = nn.Identity()
        if expand:
            self.conv_expand = nn.Conv2d(before, after, 1, groups=first, bias=False)
        self.conv1 = nn.Conv2d(before, after, 3, padding=1, groups=first, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        """Return features, (N, after, h, w) of (N, before, h, w)."""
        within = self.conv2(F.relu(self.bn1(self.conv1(x))))
        return F.relu(self.bn2(within + self.conv_expand(x)))


class WaveletSr(nn.Module):
    """Embedding, wavelet prediction and reconstruction (figure 3).

    Args:
        width: Channels of the embedding's first features; a subband of a colour has half of them.
        blocks: Residual blocks for each number of channels in the embedding.
        scale: s, a power of two.
    """

    def __init__(self, width: int, blocks: int, scale: int) -> None:
        super().__init__()
        self.levels = doublings(scale)
        self.conv_input = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn_input = nn.BatchNorm2d(width)
        sides = [width, *(width * 2**step for step in range(doublings(EMBEDDED) + 1))]
        self.residual = nn.Sequential(
            *(
                Block(before if number == 0 else after, after)
                for before, after in itertools.pairwise(sides)
                for number in range(blocks)
            )
        )
        self.predict = nn.ModuleList(
            self._prediction(EMBEDDED * width, width // 2, 3 * 4 ** (level - 1) if level else 1)
            for level in range(self.levels + 1)
        )

    @staticmethod
    def _prediction(embedded: int, channels: int, groups: int) -> nn.Sequential:
        """Return what makes the subbands of a level, three colours a group."""
        ch = channels * groups
        return nn.Sequential(
            Block(embedded, ch, groups, mixing=True),
            Block(ch, 2 * ch, groups),
            nn.Conv2d(2 * ch, 3 * groups, 3, padding=1, groups=groups),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return enlarged images, (N, 3, s·h, s·w), not clamped.

        Args:
            images: (N, 3, h, w) in [0, 1].
        """
        embedded = self.residual(F.relu(self.bn_input(self.conv_input(images))))
        bands = torch.cat([predict(embedded) for predict in self.predict], 1)
        for _ in range(self.levels):
            bands = inverse_haar(bands)
        return bands


def inverse_haar(bands: Tensor) -> Tensor:
    """Return maps of twice the side from four times as many, each a Haar coefficient.

    Scaled so that the mean keeps its value: a packet whose other coefficients are zero is the
    small image with its pixels repeated.

    Args:
        bands: (N, 4·C, h, w): C means, then C differences from left to right, from top to bottom,
            and of the diagonals.
    """
    mean, across, down, diagonal = bands.chunk(4, 1)
    corners = [
        mean + x * across + y * down + x * y * diagonal for y in (1, -1) for x in (1, -1)
    ]  # each (N, C, h, w)
    return F.pixel_shuffle(torch.stack(corners, 2).flatten(1, 2), 2)
