"""SRFBN: one block, run several times, that is fed its own output.

Source: Li et al., Feedback Network for Image Super-Resolution, CVPR 2019 (arXiv:1903.09814),
sections 3.1 to 3.3. With 64 channels, 6 groups and scale 4 it has 3,631,478 parameters, as
published, the two shifts of the mean among them (24, which do not learn and are buffers here).

Shape letters: N batch, C channels, h and w pixels of the small image, s the scale.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceren.networks.baselines.layers import LEVELS, MeanShift

STEPS = 4
"""Times that the block is run (section 4.1)."""
SLOPE = 0.2
"""Of every PReLU at first."""


def _kernel(scale: int) -> tuple[int, int, int]:
    """Return kernel, stride and padding of a convolution between the scales (section 4.1)."""
    return scale + 4, scale, 2


def _mix(channels_in: int, channels_out: int, kernel: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2)
    return nn.Sequential(conv, nn.PReLU(init=SLOPE))


def _up(channels: int, scale: int) -> nn.Sequential:
    conv = nn.ConvTranspose2d(channels, channels, *_kernel(scale))
    return nn.Sequential(conv, nn.PReLU(init=SLOPE))


def _down(channels: int, scale: int) -> nn.Sequential:
    conv = nn.Conv2d(channels, channels, *_kernel(scale))
    return nn.Sequential(conv, nn.PReLU(init=SLOPE))


class FeedbackBlock(nn.Module):
    """Projections to the large scale and back, each fed all earlier ones (figure 3)."""

    def __init__(self, channels: int, groups: int, scale: int) -> None:
        super().__init__()
        self.compress_in = _mix(2 * channels, channels)
        self.upBlocks = nn.ModuleList(_up(channels, scale) for _ in range(groups))
        self.downBlocks = nn.ModuleList(_down(channels, scale) for _ in range(groups))
        later = range(2, groups + 1)
        self.uptranBlocks = nn.ModuleList(_mix(n * channels, channels) for n in later)
        self.downtranBlocks = nn.ModuleList(_mix(n * channels, channels) for n in later)
        self.compress_out = _mix(groups * channels, channels)

    def forward(self, x: Tensor, fed_back: Tensor) -> Tensor:
        """Return features, (N, C, h, w), of the image's and of the block's last output."""
        small, large = [self.compress_in(torch.cat([x, fed_back], 1))], []
        for group, (up, down) in enumerate(zip(self.upBlocks, self.downBlocks, strict=True)):
            gathered = torch.cat(small, 1)
            large.append(up(self.uptranBlocks[group - 1](gathered) if group else gathered))
            gathered = torch.cat(large, 1)
            small.append(down(self.downtranBlocks[group - 1](gathered) if group else gathered))
        out: Tensor = self.compress_out(torch.cat(small[1:], 1))
        return out


class Srfbn(nn.Module):
    """The network of figure 2; of its outputs, one a step, the last.

    Args:
        width: C.
        groups: Projection groups of the block.
        scale: s, at least 2.
    """

    def __init__(self, width: int, groups: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.sub_mean = MeanShift(-1)
        self.conv_in = _mix(3, 4 * width, 3)
        self.feat_in = _mix(4 * width, width)
        self.block = FeedbackBlock(width, groups, scale)
        self.out = _up(width, scale)
        self.conv_out = nn.Sequential(nn.Conv2d(width, 3, 3, padding=1))
        self.add_mean = MeanShift(1)

    def forward(self, images: Tensor) -> Tensor:
        """Return enlarged images, (N, 3, s·h, s·w), not clamped.

        Args:
            images: (N, 3, h, w) in [0, 1].
        """
        shifted = self.sub_mean(LEVELS * images)
        x = self.feat_in(self.conv_in(shifted))
        fed_back = x
        for _ in range(STEPS):
            fed_back = self.block(x, fed_back)
        residual = self.conv_out(self.out(fed_back))
        plain = F.interpolate(
            shifted, scale_factor=float(self.scale), mode="bilinear", align_corners=False
        )
        large: Tensor = self.add_mean(plain + residual)
        return large / LEVELS
