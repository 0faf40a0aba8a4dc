"""DeblurGAN-v2 on MobileNet: a feature pyramid whose scales are joined and added to the image.

Source: Kupyn et al., DeblurGAN-v2: Deblurring (Orders-of-Magnitude) Faster and Better, ICCV 2019
(arXiv:1908.03826), section 3.1 and figure 2; of its backbones the one that is small. With pyramids
of 128 channels and heads of 64 it has 2,106,627 parameters (a published conversion: 2.1083 M).

Shape letters: N batch, C channels of the pyramid, H and W pixels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceren.networks.baselines.mobilenet import mobilenet_layers

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
