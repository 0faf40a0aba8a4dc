"""EDSR, SRResNet, ESRGAN and SRFBN: networks that enlarge any picture.

EDSR: residual blocks without normalisation, enlarged at the end. Source: Lim et al., Enhanced Deep
Residual Networks for Single Image Super-Resolution, CVPRW 2017 (arXiv:1707.02921), sections 3.2 and
3.3 and table 1. With 256 channels, 32 blocks and scale 4 it has 43,089,923 parameters, the smaller
one of the paper (64 channels, 16 blocks) 1,517,571.

SRResNet, the generator of SRGAN. Source: Ledig et al., Photo-Realistic Single Image Super-
Resolution Using a Generative Adversarial Network, CVPR 2017 (arXiv:1609.04802), section 2.1.1 and
figure 4. The paper has 16 blocks, at scale 4 1,549,462 parameters. It does not say how the output
comes into the range of an image: here by a hyperbolic tangent, as in the public weights of five
blocks (734,219 parameters).

ESRGAN's generator: residual blocks in residual blocks, densely connected, not normalised. Source:
Wang et al., ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks, ECCVW 2018
(arXiv:1809.00219), section 3.1. With 64 channels, 23 blocks and scale 4 it has 16,697,987
parameters. Real-ESRGAN and RealSR are other weights of it.

SRFBN: one block, run several times, that is fed its own output. Source: Li et al., Feedback Network
for Image Super-Resolution, CVPR 2019 (arXiv:1903.09814), sections 3.1 to 3.3. With 64 channels, 6
groups and scale 4 it has 3,631,478 parameters, as published, the two shifts of the mean among them
(24, which do not learn and are buffers here).

Shape letters: N batch, C channels, h and w pixels of the small image, s the scale.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceren.networks.baselines.layers import LEVELS, MeanShift, NormalisedBlock, doublings

LARGE, RESIDUAL_SCALE = 256, 0.1
"""Networks of so many channels scale their residuals, or their training is unstable (3.2)."""


class Block(nn.Module):
    """Two convolutions with ReLU between, scaled and added to the input (figure 2c)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = RESIDUAL_SCALE if channels >= LARGE else 1.0
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features, (N, C, h, w) as they came."""
        added: Tensor = x + self.scale * self.body(x)
        return added


class Edsr(nn.Module):
    """The network of figure 3.

    Args:
        width: C.
        blocks: Residual blocks.
        scale: s, a power of two, or 3.
    """

    def __init__(self, width: int, blocks: int, scale: int) -> None:
        super().__init__()
        self.sub_mean = MeanShift(-1)
        self.head = nn.Sequential(nn.Conv2d(3, width, 3, padding=1))
        self.body = nn.Sequential(
            *(Block(width) for _ in range(blocks)), nn.Conv2d(width, width, 3, padding=1)
        )
        steps = [3] if scale == 3 else [2] * doublings(scale)
        enlarge = [
            layer
            for step in steps
            for layer in (
                nn.Conv2d(width, step * step * width, 3, padding=1),
                nn.PixelShuffle(step),
            )
        ]
        self.tail = nn.Sequential(nn.Sequential(*enlarge), nn.Conv2d(width, 3, 3, padding=1))
        self.add_mean = MeanShift(1)

    def forward(self, images: Tensor) -> Tensor:
        """Return enlarged images, (N, 3, s·h, s·w), not clamped.

        Args:
            images: (N, 3, h, w) in [0, 1].
        """
        x = self.head(self.sub_mean(LEVELS * images))
        large: Tensor = self.add_mean(self.tail(x + self.body(x)))
        return large / LEVELS


class Doubling(nn.Module):
    """Twice the pixels a side, from four times the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 4 * channels, 3, padding=1)
        self.pixel_shuffle = nn.PixelShuffle(2)
        self.prelu = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return features, (N, C, 2h, 2w) of (N, C, h, w)."""
        large: Tensor = self.prelu(self.pixel_shuffle(self.conv(x)))
        return large


class SrResNet(nn.Module):
    """The network of figure 4, its parts numbered from ``block1`` as in public weights.

    Args:
        width: C.
        blocks: Residual blocks.
        scale: s, a power of two.
    """

    def __init__(self, width: int, blocks: int, scale: int) -> None:
        super().__init__()
        self.count = blocks
        self.block1 = nn.Sequential(nn.Conv2d(3, width, 9, padding=4), nn.PReLU())
        for number in range(2, blocks + 2):
            self.add_module(f"block{number}", NormalisedBlock(width, learned_slope=True))
        gathered = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width))
        self.add_module(f"block{blocks + 2}", gathered)
        larger = [Doubling(width) for _ in range(doublings(scale))]
        last = nn.Sequential(*larger, nn.Conv2d(width, 3, 9, padding=4))
        self.add_module(f"block{blocks + 3}", last)

    def forward(self, images: Tensor) -> Tensor:
        """Return enlarged images, (N, 3, s·h, s·w) in [0, 1].

        Args:
            images: (N, 3, h, w) in [0, 1].
        """
        first = x = self.block1(images)
        for number in range(2, self.count + 3):
            x = self.get_submodule(f"block{number}")(x)
        large: Tensor = self.get_submodule(f"block{self.count + 3}")(first + x)
        return (large.tanh() + 1) / 2


DENSE, DENSE_SCALE, SLOPE = 5, 0.2, 0.2
"""Convolutions of a dense block, what scales its output, and the slope of every leaky ReLU,
the first slope of SRFBN's PReLUs, too."""


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
        added: Tensor = x + DENSE_SCALE * self.get_submodule(f"conv{DENSE}")(torch.cat(seen, 1))
        return added


class ResidualInResidual(nn.Module):
    """Three dense blocks within a residual one (figure 4)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.rdb1 = DenseBlock(channels)
        self.rdb2 = DenseBlock(channels)
        self.rdb3 = DenseBlock(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return features, (N, C, h, w) as they came."""
        added: Tensor = x + DENSE_SCALE * self.rdb3(self.rdb2(self.rdb1(x)))
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
        self.body = nn.Sequential(*(ResidualInResidual(width) for _ in range(blocks)))
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


STEPS = 4
"""Times that the block is run (section 4.1)."""


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
