"""What several of the networks that are compared have in common.

Shape letters: N batch, C channels, h and w pixels of what the network sees.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean colour of the training images of DIV2K, red, green and blue in [0, 1]."""
LEVELS = 255.0
"""Networks of the DIV2K tradition compute in levels of 0 to 255."""


class MeanShift(nn.Module):
    """Subtract or add the mean colour of DIV2K, in levels; a 1x1 convolution that does not learn.

    Published state dicts hold its kernel and bias.

    Args:
        sign: -1 subtracts, 1 adds.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, sign: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.eye(3).view(3, 3, 1, 1))
        self.register_buffer("bias", sign * LEVELS * torch.tensor(DIV2K_MEAN))

    def forward(self, levels: Tensor) -> Tensor:
        """Return colours (N, 3, h, w), shifted."""
        # half precision has too few digits for levels
        with torch.autocast(levels.device.type, enabled=False):
            return F.conv2d(levels.to(self.bias.dtype), self.weight, self.bias)


class NormalisedBlock(nn.Module):
    """Two convolutions with batch normalisation, added to the input (SRGAN, figure 4).

    Args:
        channels: C.
        learned_slope: PReLU between them (SRGAN), or ReLU (Super-FAN).
    """

    def __init__(self, channels: int, *, learned_slope: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.prelu: nn.Module = nn.PReLU() if learned_slope else nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return features, (N, C, h, w) as they came."""
        within = self.prelu(self.bn1(self.conv1(x)))
        added: Tensor = x + self.bn2(self.conv2(within))
        return added


def doublings(scale: int) -> int:
    """Return how often a side doubles to become ``scale`` times as long, a power of two."""
    return scale.bit_length() - 1
