"""Content-adaptive suppression: halve a feature map while attenuating degradation in it.

Shape letters: N batch, C channels, D kernel dimension, H and W pixels of the input map;
h = ceil(H/2) and w = ceil(W/2). Sources: HiFaceGAN (arXiv:2005.05005) section 4.1, eq. 2-3;
local importance pooling, LIP (arXiv:1908.04156), for what was released.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceren.config import Activation
from faceren.errors import ConfigError
from faceren.networks.spade import activated, conv3x3, pointwise


class AdaptiveSuppression(nn.Module):
    """Content-adaptive 3x3 filter with stride 2, (N, C, H, W) in, (N, C, h, w) out (eq. 2-3).

    S(F)_i = sum_j phi(f_j, f_i) W_ij f_j over the 3x3 neighbours j of i, where
    phi = D(G(f_i)^T G(f_j)) is symmetric, G is an MLP of two 1x1 convolutions and D an activation.
    Neighbours outside the map count as zero. Phi is a number for each pair, so each of the nine
    offsets is one gated matrix product added to the sum, and no unfolded map nine times as wide
    is ever stored.

    Args:
        channels: C.
        kernel_dim: D, the dimension in which two features are compared.
        activation: ``sigmoid`` attenuates; ``tanh`` may also invert.
    """

    def __init__(
        self, channels: int, *, kernel_dim: int = 16, activation: Activation = "sigmoid"
    ) -> None:
        super().__init__()
        first, last = nn.Conv2d(channels, kernel_dim, 1), nn.Conv2d(kernel_dim, kernel_dim, 1)
        self.embed = nn.Sequential(first, nn.ReLU(), last)
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 3))
        self.activation = activation
        if not self.weight.is_meta:
            self.initialise()

    def initialise(self) -> None:
        """Draw weights that neither let features fade nor make all gates alike.

        The features are rectified, so that their mean square is half their variance's; He's gain
        of 2 (arXiv:1502.01852) makes up for gates whose mean square is about a half. A feature
        meets itself in D products: G is made weaker by the fourth root of D, which divides phi's
        argument by the root of D, as attention does (arXiv:1706.03762, section 3.2.1), or the
        gates would all be shut or open, and learn nothing.
        """
        first, last = (self.embed.get_parameter(f"{index}.weight") for index in (0, 2))
        for weight in (self.weight, first):
            nn.init.kaiming_normal_(weight, nonlinearity="relu")
        nn.init.kaiming_normal_(last, nonlinearity="linear")
        with torch.no_grad():
            last.mul_(len(last) ** -0.25)
        for index in (0, 2):
            nn.init.zeros_(self.embed.get_parameter(f"{index}.bias"))

    def forward(self, features: Tensor) -> Tensor:
        """Return the filtered map, (N, C, h, w), of ``features`` (N, C, H, W)."""
        gates = self.gates(features)
        kernels = self.weight.flatten(2).permute(2, 1, 0)  # (9, C, C), input channels first
        total = features.new_zeros(())
        for index, neighbours in enumerate(offsets(features)):
            gated = (gates[index] * neighbours).permute(0, 2, 3, 1)  # (N, h, w, C)
            rows, kernel = gated.flatten(0, 2), kernels[index]
            total = torch.addmm(total, rows, kernel)
        return total.view(gated.shape).permute(0, 3, 1, 2)

    def gates(self, features: Tensor) -> Tensor:
        """Return phi of every output pixel and each of its nine neighbours, (9, N, 1, h, w)."""
        first, rectified, last = self.embed
        embedded = pointwise(features, *first.parameters())
        embedded = pointwise(rectified(embedded), *last.parameters())  # (N, D, H, W)
        centre = embedded[:, :, ::2, ::2]  # (N, D, h, w)
        affinity = torch.stack([(centre * shifted).sum(1) for shifted in offsets(embedded)])
        activation = torch.sigmoid if self.activation == "sigmoid" else torch.tanh
        return activated(affinity, activation).unsqueeze(2)


def offsets(x: Tensor) -> Iterator[Tensor]:
    """Yield the neighbour at each of the 3x3 offsets, row by row, of every second pixel.

    Args:
        x: (N, C, H, W); outside of it is zero.
    """
    height, width = x.shape[2:]
    padded = F.pad(x, (1, 1, 1, 1))
    for dy in range(3):
        for dx in range(3):
            yield padded[:, :, dy : dy + height : 2, dx : dx + width : 2]  # (N, C, h, w)


class LipPooling(nn.Module):
    """Local importance pooling with stride 2, (N, C, H, W) in, (N, C, h, w) out.

    A weighted mean over each 3x3 window; the weights exp(12 sigmoid(logit)) depend on the
    neighbour alone, not on the pair: the form of content adaptivity that was released. They are
    computed as exp(12 (sigmoid(logit) - 1/2)), the same ratio, which half precision can hold.

    Args:
        channels: C.
    """

    coefficient = 12.0

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.logit = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.InstanceNorm2d(channels, affine=True)

    def forward(self, features: Tensor) -> Tensor:
        """Return the pooled map, (N, C, h, w), of ``features`` (N, C, H, W)."""
        logit = self.norm(conv3x3(features, self.logit.weight))
        weight = activated(logit, lambda x: (self.coefficient * (x.sigmoid() - 0.5)).exp())
        pooled = F.avg_pool2d(features * weight, 3, stride=2, padding=1)
        return pooled / F.avg_pool2d(weight, 3, stride=2, padding=1)


def build_suppression(
    kind: str, channels: int, *, kernel_dim: int, activation: Activation
) -> nn.Module:
    """Return the halving layer ``adaptive``, ``lip`` or ``fixed`` (an ordinary convolution)."""
    if kind == "adaptive":
        return AdaptiveSuppression(channels, kernel_dim=kernel_dim, activation=activation)
    if kind == "lip":
        return LipPooling(channels)
    if kind == "fixed":
        return nn.Conv2d(channels, channels, 3, stride=2, padding=1, bias=False)
    raise ConfigError(f"no suppression {kind!r} is known")
