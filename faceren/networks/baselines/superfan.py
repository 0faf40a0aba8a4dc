"""The super-resolution network of Super-FAN, without its landmark network and its losses.

Source: Bulat and Tzimiropoulos, Super-FAN, CVPR 2018 (arXiv:1712.02765), section 4.1: 12 residual
blocks at the input's resolution, 3 at twice and 2 at four times that, with ReLU, without the long
skip connection of SRGAN. What it leaves open is chosen: kernels of 3x3 at both ends, and doubling
by a transposed convolution of 4x4 after normalisation. No weights of the authors are public.

Shape letters: N batch, C channels, h and w pixels of the small image, s the scale.
"""

from torch import Tensor, nn

from faceren.networks.baselines.layers import NormalisedBlock, doublings

LATER = (4, 6)
"""Of the blocks at the first resolution a fourth follows at the second, a sixth at all others."""


def _doubling(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm2d(width), nn.ReLU(), nn.ConvTranspose2d(width, width, 4, 2, padding=1)
    )


class SuperFan(nn.Module):
    """The generator.

    Args:
        width: C.
        blocks: Residual blocks at the first resolution.
        scale: s, a power of two.
    """

    def __init__(self, width: int, blocks: int, scale: int) -> None:
        super().__init__()
        parts: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), nn.ReLU()]
        for level in range(doublings(scale) + 1):
            if level:
                parts.append(_doubling(width))
            here = max(1, blocks // LATER[min(level, 2) - 1]) if level else blocks
            parts += [NormalisedBlock(width, learned_slope=False) for _ in range(here)]
        self.layers = nn.Sequential(
            *parts, nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 3, 3, padding=1)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return enlarged images, (N, 3, s·h, s·w), not clamped.

        Args:
            images: (N, 3, h, w) in [0, 1].
        """
        large: Tensor = self.layers(images)
        return large
