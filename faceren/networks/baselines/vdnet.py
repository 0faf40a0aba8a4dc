"""VDN, the paper's "VDNet": a U-Net that estimates the clean image, and a network for the noise.

Source: Yue et al., Variational Denoising Network: Toward Blind Noise Modeling and Removal, NeurIPS
2019 (arXiv:1908.11314), section 3. D-Net gives mean and variance of the clean image,
S-Net the distribution of the noise; the mean is the result. With 64 channels and 4 depths both have
7,816,780 parameters, as in the authors' program. S-Net and the variance serve the variational bound
that they train by; here D-Net's mean is trained by the losses of the recipe, and S-Net stays.

Shape letters: N batch, C channels, H and W pixels.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
