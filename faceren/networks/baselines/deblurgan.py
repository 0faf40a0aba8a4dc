"""DeblurGAN: a residual network at a quarter of the resolution that adds to the blurred image.

Source: Kupyn et al., DeblurGAN: Blind Motion Deblurring Using Conditional Adversarial Networks,
CVPR 2018 (arXiv:1711.07064), section 3.2 and figure 3. With 64 channels and 9 blocks it has
11,378,179 parameters. Modules have the numbers of the public weights; their dropout is off here.

Shape letters: N batch, C channels, H and W pixels.
"""

import itertools

import torch
from torch import Tensor, nn

HALVINGS = 2
DROPOUT = 0.5
START = 0.02
"""Standard deviation of the first weights."""


class Block(nn.Module):
    """Two convolutions with instance normalisation, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features, (N, C, H, W) as they came."""
        added: Tensor = x + self.conv_block(x)
        return added


class DeblurGan(nn.Module):
    """The generator of figure 3.

    Args:
        width: C at the image's own scale; twice and four times that at a half and a quarter.
        blocks: Residual blocks.
    """

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        sides = [width * 2**level for level in range(HALVINGS + 1)]
        parts: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7)]
        parts += [nn.InstanceNorm2d(width), nn.ReLU()]
        for before, after in itertools.pairwise(sides):
            parts.append(nn.Conv2d(before, after, 3, stride=2, padding=1))
            parts += [nn.InstanceNorm2d(after), nn.ReLU()]
        parts += [Block(sides[-1]) for _ in range(blocks)]
        for after, before in reversed(list(itertools.pairwise(sides))):
            parts.append(nn.ConvTranspose2d(before, after, 3, 2, padding=1, output_padding=1))
            parts += [nn.InstanceNorm2d(after), nn.ReLU()]
        self.model = nn.Sequential(*parts, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)) and not layer.weight.is_meta:
                nn.init.normal_(layer.weight, std=START)

    def forward(self, images: Tensor) -> Tensor:
        """Return sharp images, (N, 3, H, W) in [0, 1].

        Args:
            images: (N, 3, H, W) in [0, 1], sides multiples of 4.
        """
        signed = 2 * images - 1
        return (torch.clamp(signed + self.model(signed), -1, 1) + 1) / 2
