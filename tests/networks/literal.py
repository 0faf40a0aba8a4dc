"""The two suppressions once more, pixel by pixel: slow, and only to compare with.

The rest of the literal network is in ``layer_by_layer``, the same weights for both in ``twins``.
"""

import torch
from torch import Tensor, nn

from tests.networks.layer_by_layer import LiteralGenerator, SpectralConv
from tests.networks.twins import copy_weights, randomise

__all__ = ["Adaptive", "Lip", "LiteralGenerator", "SpectralConv", "copy_weights", "randomise"]


class Adaptive(nn.Module):
    """Eq. 2-3 pixel by pixel."""

    def __init__(self, channels: int, dim: int, activation: str) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(channels, dim), nn.ReLU(), nn.Linear(dim, dim))
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 3))
        self.activation = torch.sigmoid if activation == "sigmoid" else torch.tanh

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        g = self.mlp(x.permute(0, 2, 3, 1))  # (N, H, W, D)
        out = x.new_zeros(len(x), x.shape[1], (height + 1) // 2, (width + 1) // 2)
        for row in range(0, height, 2):
            for column in range(0, width, 2):
                total = x.new_zeros(x.shape[:2])
                for dy in (-1, 0, 1):
                    for dx in (-1, 0, 1):
                        r, s = row + dy, column + dx
                        if 0 <= r < height and 0 <= s < width:
                            phi = self.activation((g[:, row, column] * g[:, r, s]).sum(1))
                            weight = self.weight[:, :, dy + 1, dx + 1]
                            total = total + phi[:, None] * (x[:, :, r, s] @ weight.T)
                out[:, :, row // 2, column // 2] = total
        return out


class Lip(nn.Module):
    """A weighted mean over the pixels of each window that lie inside the map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.logit = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.InstanceNorm2d(channels, affine=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        affine = self.logit[1]
        logit = self.logit[0](x)
        mean, variance = logit.mean((2, 3), keepdim=True), logit.var((2, 3), False, keepdim=True)
        logit = (logit - mean) / torch.sqrt(variance + 1e-5)
        logit = logit * affine.weight[:, None, None] + affine.bias[:, None, None]
        weight = torch.exp(12 * torch.sigmoid(logit))
        height, width = x.shape[2:]
        out = x.new_zeros(*x.shape[:2], (height + 1) // 2, (width + 1) // 2)
        for row in range(out.shape[2]):
            for column in range(out.shape[3]):
                rows = slice(max(2 * row - 1, 0), 2 * row + 2)
                columns = slice(max(2 * column - 1, 0), 2 * column + 2)
                inside = weight[:, :, rows, columns]
                weighted = (x[:, :, rows, columns] * inside).sum((2, 3))
                out[:, :, row, column] = weighted / inside.sum((2, 3))
        return out
