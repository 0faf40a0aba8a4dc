"""ESRGAN's generator: residual blocks in residual blocks, densely connected, not normalised.

Source: Wang et al., ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks, ECCVW 2018
(arXiv:1809.00219), section 3.1. With 64 channels, 23 blocks and scale 4 it has 16,697,987
parameters. Real-ESRGAN and RealSR are other weights of it.

Shape letters: N batch, C channels, h and w pixels of the small image, s the scale.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceren.networks.baselines.layers import doublings

DENSE, RESIDUAL_SCALE, SLOPE = 5, 0.2, 0.2
"""Convolutions of a dense block, what scales its output, and the slope of every leaky ReLU."""


class DenseBlock(nn.Module):
    """Five convolutions, each of which sees all before it; C / 2 channels each but the last."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        growth = channels // 2
        for number in range(DENSE):
            out = channels if number == DENSE - 1 else growth
            conv = nn.Conv2d(channels + number * growth, out, 3, padding=1)
            if not conv.weight.is_meta:  # small at first, so that the blocks begin near nothing
                nn.init.kaiming_normal_(conv.weight, SLOPE)
                conv.weight.data *= 0.1
            self.add_module(f"conv{number + 1}", conv)

    def forward(self, x: Tensor) -> Tensor:
        """Return features, (N, C, h, w) as they came."""
        seen = [x]
        for number in range(1, DENSE):
            made = self.get_submodule(f"conv{number}")(torch.cat(seen, 1))
            seen.append(F.leaky_relu(made, SLOPE))
        added: Tensor = x + RESIDUAL_SCALE * self.get_submodule(f"conv{DENSE}")(torch.cat(seen, 1))
        return added


class Block(nn.Module):
    """Three dense blocks within a residual one (figure 4)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.rdb1 = DenseBlock(channels)
        self.rdb2 = DenseBlock(channels)
        self.rdb3 = DenseBlock(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return features, (N, C, h, w) as they came."""
        added: Tensor = x + RESIDUAL_SCALE * self.rdb3(self.rdb2(self.rdb1(x)))
        return added


class Esrgan(nn.Module):
    """The generator; its convolutions are registered in the order in which they are run.

    Args:
        width: C, even.
        blocks: Residual-in-residual blocks.
        scale: s, a power of two.
    """

    def __init__(self, width: int, blocks: int, scale: int) -> None:
        super().__init__()
        self.doublings = doublings(scale)
        self.conv_first = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.Sequential(*(Block(width) for _ in range(blocks)))
        self.conv_body = nn.Conv2d(width, width, 3, padding=1)
        for number in range(1, self.doublings + 1):
            self.add_module(f"conv_up{number}", nn.Conv2d(width, width, 3, padding=1))
        self.conv_hr = nn.Conv2d(width, width, 3, padding=1)
        self.conv_last = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Return enlarged images, (N, 3, s·h, s·w), not clamped.

        Args:
            images: (N, 3, h, w) in [0, 1].
        """
        first = self.conv_first(images)
        x = first + self.conv_body(self.body(first))
        for number in range(1, self.doublings + 1):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = F.leaky_relu(self.get_submodule(f"conv_up{number}")(x), SLOPE)
        large: Tensor = self.conv_last(F.leaky_relu(self.conv_hr(x), SLOPE))
        return large
