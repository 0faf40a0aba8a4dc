"""SRResNet, the generator of SRGAN.

Source: Ledig et al., Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial
Network, CVPR 2017 (arXiv:1609.04802), section 2.1.1 and figure 4. The paper has 16 blocks, at scale
4 1,549,462 parameters. It does not say how the output comes into the range of an image: here by a
hyperbolic tangent, as in the public weights of five blocks (734,219 parameters).

Shape letters: N batch, C channels, h and w pixels of the small image, s the scale.
"""

from torch import Tensor, nn

from faceren.networks.baselines.layers import NormalisedBlock, doublings


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
