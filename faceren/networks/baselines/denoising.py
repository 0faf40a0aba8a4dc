"""AR-CNN, RIDNet and VDN: networks against the artefacts of compression, and against noise.

AR-CNN: four convolutions against the artefacts of compression. Source: Dong et al., Compression
Artifacts Reduction by a Deep Convolutional Network, ICCV 2015 (arXiv:1504.06993), section 3.2:
kernels of 9, 7, 1 and 5 pixels, 64, 32 and 16 channels. On one channel its kernels have 106,448
weights, as published; here it sees three.

RIDNet: enhancement attention modules around a long skip. Source: Anwar and Barnes, Real Image
Denoising with Feature Attention, ICCV 2019 (arXiv:1904.07396), sections 3.1 to 3.3. With 64
channels and 4 modules it has 1,499,347 parameters, published as 1,499 K.

VDN, the paper's "VDNet": a U-Net that estimates the clean image, and a network for the noise.
Source: Yue et al., Variational Denoising Network: Toward Blind Noise Modeling and Removal, NeurIPS
2019 (arXiv:1908.11314), section 3. D-Net gives mean and variance of the clean image, S-Net the
distribution of the noise; the mean is the result. With 64 channels and 4 depths both have 7,816,780
parameters, as in the authors' program. S-Net and the variance serve the variational bound that they
train by; here D-Net's mean is trained by the losses of the recipe, and S-Net stays.

Shape letters: N batch, C channels, H and W pixels.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceren.networks.baselines.layers import DIV2K_MEAN, LEVELS, MeanShift

SLOPES = 1
"""Learned slopes of each activation; ReLU in the paper, PReLU in public weights."""


class ArCnn(nn.Module):
    """Feature extraction, enhancement, mapping, reconstruction.

    Args:
        width: Channels of the first layer; the next have a half and a quarter.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        half, quarter = width // 2, width // 4
        self.base = nn.Sequential(
            nn.Conv2d(3, width, 9, padding=4),
            nn.PReLU(SLOPES),
            nn.Conv2d(width, half, 7, padding=3),
            nn.PReLU(SLOPES),
            nn.Conv2d(half, quarter, 1),
            nn.PReLU(SLOPES),
        )
        self.last = nn.Conv2d(quarter, 3, 5, padding=2)

    def forward(self, images: Tensor) -> Tensor:
        """Return images without artefacts, (N, 3, H, W), not clamped.

        Args:
            images: (N, 3, H, W) in [0, 1].
        """
        clean: Tensor = self.last(self.base(images))
        return clean


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


NOISE_LAYERS, NOISE_CHANNELS = 5, 64
"""Of S-Net."""
SLOPE = 0.2
"""Of every leaky ReLU."""


class Pair(nn.Module):
    """Two convolutions with leaky ReLU after each."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(before, after, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(after, after, 3, padding=1),
            nn.LeakyReLU(SLOPE),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features, (N, after, H, W) of (N, before, H, W)."""
        out: Tensor = self.block(x)
        return out


class Up(nn.Module):
    """Features of twice the side, joined with those of the way down."""

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(coarse, fine, 2, stride=2)
        self.conv_block = Pair(2 * fine, fine)

    def forward(self, x: Tensor, beside: Tensor) -> Tensor:
        """Return features, (N, fine, 2H, 2W) of (N, coarse, H, W)."""
        out: Tensor = self.conv_block(torch.cat([self.up(x), beside], 1))
        return out


class DNet(nn.Module):
    """A U-Net whose features are halved by means."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(depth)]
        self.down_path = nn.ModuleList(Pair(a, b) for a, b in pairwise([3, *channels]))
        self.up_path = nn.ModuleList(Up(b, a) for a, b in reversed(list(pairwise(channels))))
        self.last = nn.Conv2d(width, 6, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return mean of the noise and logarithm of its variance, (N, 6, H, W)."""
        seen: list[Tensor] = []
        for level, pair in enumerate(self.down_path):
            x = pair(F.avg_pool2d(x, 2) if level else x)
            seen.append(x)
        for up, beside in zip(self.up_path, reversed(seen[:-1]), strict=True):
            x = up(x, beside)
        out: Tensor = self.last(x)
        return out


class SNet(nn.Module):
    """Five convolutions that estimate the noise's distribution, (N, 6, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        ch = NOISE_CHANNELS
        self.conv1 = nn.Conv2d(3, ch, 3, padding=1)
        self.mid_layer = nn.Sequential(
            *(
                layer
                for _ in range(NOISE_LAYERS - 2)
                for layer in (nn.Conv2d(ch, ch, 3, padding=1), nn.LeakyReLU(SLOPE))
            )
        )
        self.conv_last = nn.Conv2d(ch, 6, 3, padding=1)


class Vdn(nn.Module):
    """The network of figure 2.

    Args:
        width: Channels at the image's own scale; they double with each halving.
        depth: Scales.
    """

    UNUSED = ("SNet.",)
    """Parameters with these names decide no pixel."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.DNet = DNet(width, depth)
        self.SNet = SNet()
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d) and not layer.weight.is_meta:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """Return images without noise, (N, 3, H, W), not clamped.

        Args:
            images: (N, 3, H, W) in [0, 1], sides multiples of 2^(depth - 1).
        """
        noise: Tensor = self.DNet(images)[:, :3]
        return images - noise
