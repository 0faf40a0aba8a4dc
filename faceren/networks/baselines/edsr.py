"""EDSR: residual blocks without normalisation, enlarged at the end.

Source: Lim et al., Enhanced Deep Residual Networks for Single Image Super-Resolution, CVPRW 2017
(arXiv:1707.02921), sections 3.2 and 3.3 and table 1. With 256 channels, 32 blocks and scale 4 it
has 43,089,923 parameters, the smaller one of the paper (64 channels, 16 blocks) 1,517,571.

Shape letters: N batch, C channels, h and w pixels of the small image, s the scale.
"""

from torch import Tensor, nn

from faceren.networks.baselines.layers import LEVELS, MeanShift, doublings

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
