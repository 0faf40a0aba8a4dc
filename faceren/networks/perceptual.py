"""LPIPS on AlexNet: the perceptual distance, as a metric and as a training loss.

Shape letters: N batch, H and W pixels. Source: Zhang et al., The Unreasonable Effectiveness of
Deep Features as a Perceptual Metric (arXiv:1801.03924), version 0.1 of its weights.
"""

from collections.abc import Sequence
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from faceren.errors import ShapeError
from faceren.networks.pickled import load_safetensors

SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
CHANNELS = (64, 192, 384, 256, 256)
"""Channels of AlexNet's five maps."""


class LpipsAlexNet(nn.Module):
    """LPIPS distance of image pairs, frozen.

    Args:
        weights: The ``lpips-alexnet`` safetensors file.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(3, 64, 11, stride=4, padding=2),
                nn.Conv2d(64, 192, 5, padding=2),
                nn.Conv2d(192, 384, 3, padding=1),
                nn.Conv2d(384, 256, 3, padding=1),
                nn.Conv2d(256, 256, 3, padding=1),
            ]
        )
        self.weights = nn.ParameterList(nn.Parameter(Tensor(count)) for count in CHANNELS)
        found = load_safetensors(weights)
        self.load_state_dict({name: value.float() for name, value in found.items()})
        self.shift: Tensor
        self.scale: Tensor
        self.register_buffer("shift", Tensor(SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", Tensor(SCALE).view(1, 3, 1, 1))
        self.requires_grad_(requires_grad=False)

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return AlexNet's five ReLU maps, (N, C, h, w), of (N, 3, H, W) images in [0, 1]."""
        x = (2 * images - 1 - self.shift) / self.scale
        maps = []
        for index, conv in enumerate(self.convs):
            if index in (1, 2):
                x = F.max_pool2d(x, 3, stride=2)
            x = conv(x).relu()
            maps.append(x)
        return maps

    def forward(self, images: Tensor, references: Tensor) -> Tensor:
        """Return the distance of each pair, shape (N,); 0 is identical.

        Args:
            images: (N, 3, H, W), RGB in [0, 1], sides of at least 32 pixels.
            references: The same shape.

        Raises:
            ShapeError: If the shapes differ or are no images.
        """
        if images.shape != references.shape or images.ndim != 4 or images.shape[1] != 3:
            raise ShapeError(
                f"expected two (N, 3, H, W) batches of one shape, "
                f"got {tuple(images.shape)} and {tuple(references.shape)}"
            )
        return self.distance(self.maps(images), self.maps(references))

    def distance(self, ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Tensor:
        """Return the distance of each pair, shape (N,), of which ``maps`` are known already."""
        total = ours[0].new_zeros(len(ours[0]))
        for a, b, weight in zip(ours, theirs, self.weights, strict=True):
            difference = (_unit(a) - _unit(b)).pow(2)
            total = total + F.conv2d(difference, weight.view(1, -1, 1, 1)).mean((1, 2, 3))
        return total


def _unit(x: Tensor) -> Tensor:
    """Return a map (N, C, h, w) with vectors of unit length at each place."""
    return x / (x.pow(2).sum(1, keepdim=True).add(1e-20).sqrt() + 1e-10)
