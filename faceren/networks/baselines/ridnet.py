"""RIDNet: enhancement attention modules around a long skip.

Source: Anwar and Barnes, Real Image Denoising with Feature Attention, ICCV 2019 (arXiv:1904.07396),
sections 3.1 to 3.3. With 64 channels and 4 modules it has 1,499,347 parameters, published as
1,499 K.

Shape letters: N batch, C channels, H and W pixels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceren.networks.baselines.layers import DIV2K_MEAN, LEVELS, MeanShift

SQUEEZE = 16
"""Channels to one channel of the attention."""


class Layers(nn.Module):
    """Convolutions with an activation after each, in a sequence named ``body``.

    Args:
        channels: (in, out) of each convolution.
        kernels: Their sides.
        dilations: Their dilations; 1 each if not given.
        last: The activation after the last one.
    """

    def __init__(
        self,
        channels: list[tuple[int, int]],
        kernels: list[int],
        dilations: list[int] | None = None,
        last: nn.Module | None = None,
    ) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for (before, after), kernel, gap in zip(
            channels, kernels, dilations or [1] * len(kernels), strict=True
        ):
            conv = nn.Conv2d(before, after, kernel, padding=gap * (kernel // 2), dilation=gap)
            parts += [conv, nn.ReLU()]
        self.body = nn.Sequential(*parts[:-1], *([last] if last else []))

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the last number of channels, (N, C, H, W)."""
        out: Tensor = self.body(x)
        return out


class MergeAndRun(nn.Module):
    """Two branches of dilated convolutions, merged and added to the input (figure 2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        same = (channels, channels)
        self.body1 = Layers([same, same], [3, 3], [1, 2], nn.ReLU()).body
        self.body2 = Layers([same, same], [3, 3], [3, 4], nn.ReLU()).body
        self.body3 = Layers([(2 * channels, channels)], [3], last=nn.ReLU()).body

    def forward(self, x: Tensor) -> Tensor:
        """Return features, (N, C, H, W) as they came."""
        merged: Tensor = x + self.body3(torch.cat([self.body1(x), self.body2(x)], 1))
        return merged


class Attention(nn.Module):
    """Channels weighed by what the means of all channels say (section 3.3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        few = max(1, channels // SQUEEZE)
        self.c1 = Layers([(channels, few)], [1], last=nn.ReLU())
        self.c2 = Layers([(few, channels)], [1], last=nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Return features, (N, C, H, W) as they came."""
        weighed: Tensor = x * self.c2(self.c1(x.mean((2, 3), keepdim=True)))
        return weighed


class Module(nn.Module):
    """Enhancement attention module: merge-and-run, two residual blocks, attention."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        same = (channels, channels)
        self.r1 = MergeAndRun(channels)
        self.r2 = Layers([same] * 2, [3, 3])
        self.r3 = Layers([same] * 3, [3, 3, 1])
        self.ca = Attention(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return features, (N, C, H, W) as they came."""
        x = self.r1(x)
        x = F.relu(x + self.r2(x))
        x = F.relu(x + self.r3(x))
        weighed: Tensor = self.ca(x)
        return weighed


class RidNet(nn.Module):
    """The network of figure 2.

    Args:
        width: C.
        blocks: Enhancement attention modules, named ``b1``, ``b2`` and so on.
    """

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.count = blocks
        self.sub_mean = MeanShift(-1)
        self.head = Layers([(3, width)], [3], last=nn.ReLU())
        for number in range(1, blocks + 1):
            self.add_module(f"b{number}", Module(width))
        self.tail = nn.Conv2d(width, 3, 3, padding=1)
        self.add_mean = MeanShift(1)
        if self.tail.bias is not None and not self.tail.bias.is_meta:
            # the mean is added to a residual, as in the published weights: begin without it
            self.tail.bias.data = -LEVELS * torch.tensor(DIV2K_MEAN)

    def forward(self, images: Tensor) -> Tensor:
        """Return images without noise, (N, 3, H, W), not clamped.

        Args:
            images: (N, 3, H, W) in [0, 1].
        """
        levels = LEVELS * images
        x = self.head(self.sub_mean(levels))
        for number in range(1, self.count + 1):
            x = self.get_submodule(f"b{number}")(x)
        clean: Tensor = levels + self.add_mean(self.tail(x))
        return clean / LEVELS
