"""DeblurGAN and DeblurGAN-v2: networks against motion blur.

DeblurGAN: a residual network at a quarter of the resolution that adds to the blurred image. Source:
Kupyn et al., DeblurGAN: Blind Motion Deblurring Using Conditional Adversarial Networks, CVPR 2018
(arXiv:1711.07064), section 3.2 and figure 3. With 64 channels and 9 blocks it has 11,378,179
parameters. Modules have the numbers of the public weights; their dropout is off here.

The first sixteen layers of MobileNet-v2, down to a thirty-second of the image. Source: Sandler et
al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018 (arXiv:1801.04381), table 2.

DeblurGAN-v2 on MobileNet: a feature pyramid whose scales are joined and added to the image. Source:
Kupyn et al., DeblurGAN-v2: Deblurring (Orders-of-Magnitude) Faster and Better, ICCV 2019
(arXiv:1908.03826), section 3.1 and figure 2; of its backbones the one that is small. With pyramids
of 128 channels and heads of 64 it has 2,106,627 parameters (a published conversion: 2.1083 M).

Shape letters: N batch, C channels (of the pyramid), H and W pixels, h and w those of a map.
"""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STEM = 32
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 2, 2))
"""Expansion, channels, layers, and stride of the first of them; the last stage has three layers in
MobileNet, the third of which nothing reads here."""


def statistics(channels: int) -> nn.InstanceNorm2d:
    """Return a normalisation with learned scale by the statistics of each image.

    DeblurGAN-v2 trains and runs the batch normalisation of its backbone in batches of one image.
    """
    return nn.InstanceNorm2d(channels, affine=True)


class InvertedResidual(nn.Module):
    """Expand, filter each channel by itself, and narrow again without activation."""

    def __init__(self, before: int, after: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        self.adds = stride == 1 and before == after
        inner = before * expansion
        wide: list[nn.Module] = []
        if expansion > 1:
            wide = [nn.Conv2d(before, inner, 1, bias=False), statistics(inner), nn.ReLU6()]
        self.conv = nn.Sequential(
            *wide,
            nn.Conv2d(inner, inner, 3, stride, padding=1, groups=inner, bias=False),
            statistics(inner),
            nn.ReLU6(),
            nn.Conv2d(inner, after, 1, bias=False),
            statistics(after),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features, (N, after, h / stride, w / stride)."""
        out: Tensor = self.conv(x)
        return x + out if self.adds else out


def mobilenet_layers() -> nn.ModuleList:
    """Return the layers, numbered as in public weights: the first convolution is layer 0."""
    stem = nn.Conv2d(3, STEM, 3, 2, padding=1, bias=False)
    layers: list[nn.Module] = [nn.Sequential(stem, statistics(STEM), nn.ReLU6())]
    before = STEM
    for expansion, after, count, stride in STAGES:
        for number in range(count):
            step = stride if number == 0 else 1
            layers.append(InvertedResidual(before, after, stride=step, expansion=expansion))
            before = after
    return nn.ModuleList(layers)


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


TAPS = (1, 3, 6, 10, 15)
"""Layers of MobileNet that the pyramid reads: the last of each scale."""
TAPPED = (16, 24, 32, 64, 160)
"""Their channels."""


def _larger(x: Tensor, times: int = 2) -> Tensor:
    return F.interpolate(x, scale_factor=float(times), mode="nearest")


def _smooth(before: int, after: int) -> nn.Sequential:
    conv = nn.Conv2d(before, after, 3, padding=1)
    return nn.Sequential(conv, nn.InstanceNorm2d(after), nn.ReLU())


class Head(nn.Module):
    """Two convolutions on a scale of the pyramid."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.block0 = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.block1 = nn.Conv2d(after, after, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return features, (N, after, h, w) of (N, before, h, w)."""
        return F.relu(self.block1(F.relu(self.block0(x))))


class Pyramid(nn.Module):
    """Features of five scales, each of the last four with what all coarser ones have seen."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.features = mobilenet_layers()
        self.lateral0 = nn.Conv2d(TAPPED[0], width // 2, 1, bias=False)
        self.lateral1 = nn.Conv2d(TAPPED[1], width, 1, bias=False)
        self.lateral2 = nn.Conv2d(TAPPED[2], width, 1, bias=False)
        self.lateral3 = nn.Conv2d(TAPPED[3], width, 1, bias=False)
        self.lateral4 = nn.Conv2d(TAPPED[4], width, 1, bias=False)
        self.td1 = _smooth(width, width)
        self.td2 = _smooth(width, width)
        self.td3 = _smooth(width, width)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return maps at a half to a thirty-second of (N, 3, H, W), fine to coarse."""
        tapped = []
        for number, layer in enumerate(self.features):
            x = layer(x)
            if number in TAPS:
                tapped.append(x)
        map4 = self.lateral4(tapped[4])
        map3 = self.td1(self.lateral3(tapped[3]) + _larger(map4))
        map2 = self.td2(self.lateral2(tapped[2]) + _larger(map3))
        map1 = self.td3(self.lateral1(tapped[1]) + _larger(map2))
        return [self.lateral0(tapped[0]), map1, map2, map3, map4]


class DeblurGanV2(nn.Module):
    """The generator of figure 2.

    Args:
        width: C, even; the heads have half of it.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.fpn = Pyramid(width)
        self.head1 = Head(width, half)
        self.head2 = Head(width, half)
        self.head3 = Head(width, half)
        self.head4 = Head(width, half)
        self.smooth = _smooth(4 * half, half)
        self.smooth2 = _smooth(half, half // 2)
        self.final = nn.Conv2d(half // 2, 3, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Return sharp images, (N, 3, H, W) in [0, 1].

        Args:
            images: (N, 3, H, W) in [0, 1], sides multiples of 32, at least 64.
        """
        signed = 2 * images - 1
        map0, map1, map2, map3, map4 = self.fpn(signed)
        heads = [
            _larger(self.head4(map4), 8),
            _larger(self.head3(map3), 4),
            _larger(self.head2(map2), 2),
            self.head1(map1),
        ]  # each (N, C / 2, H / 4, W / 4)
        joined = self.smooth(torch.cat(heads, 1))
        fine = self.smooth2(_larger(joined) + map0)  # (N, C / 4, H / 2, W / 2)
        added = self.final(_larger(fine)).tanh()
        return (torch.clamp(signed + added, -1, 1) + 1) / 2
