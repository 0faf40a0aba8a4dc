"""The discriminator of the training: it scores patches at several scales, given the damaged image.

Shape letters: N batch, H and W pixels, h and w those of a feature map. Sources: pix2pixHD
(arXiv:1711.11585) section 3.2; HiFaceGAN (arXiv:2005.05005) section 4.2.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from faceren.errors import ShapeError

Scores = list[list[Tensor]]
"""For each scale from fine to coarse: the feature maps in order, and last the scores."""
Seen = Tensor | Sequence[Tensor]
"""What a discriminator takes of a batch: its images, or its images and feature maps of them."""
MIN_SIDE = 16
"""Smallest side of the coarsest scale, pixels: halved three times it leaves 3 pixels."""


class PatchDiscriminator(nn.Module):
    """One scale: 4x4 convolutions whose last map scores patches.

    Args:
        channels_in: Channels of the input.
        width: Channels of the first layer; they double up to eightfold.
        layers: Layers before the scores; all but the last of them halve the sides.
    """

    def __init__(self, *, channels_in: int, width: int, layers: int) -> None:
        super().__init__()
        widths = [width * min(2**index, 8) for index in range(layers)]
        self.first = nn.Conv2d(channels_in, width, 4, stride=2, padding=2)
        self.convs = nn.ModuleList(
            spectral_norm(
                nn.Conv2d(
                    widths[index - 1],
                    widths[index],
                    4,
                    stride=2 if index < layers - 1 else 1,
                    padding=2,
                    bias=False,
                )
            )
            for index in range(1, layers)
        )
        self.score = nn.Conv2d(widths[-1], 1, 4, padding=2)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the feature maps of (N, channels_in, H, W) and, last, the scores (N, 1, h, w)."""
        maps = [F.leaky_relu(self.first(x), 0.2)]  # (N, width, H/2 + 1, W/2 + 1)
        for conv in self.convs:
            maps.append(F.leaky_relu(F.instance_norm(conv(maps[-1]), eps=1e-5), 0.2))
        return [*maps, self.score(maps[-1])]


class Discriminator(nn.Module):
    """Conditional PatchGAN discriminator at several scales; the defaults are the published one.

    Args:
        width: Channels of the first layer of each scale.
        layers: Layers of each scale before its scores.
        scales: Number of scales; each sees half the sides of the one before.
    """

    def __init__(self, *, width: int = 64, layers: int = 4, scales: int = 2) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            PatchDiscriminator(channels_in=6, width=width, layers=layers) for _ in range(scales)
        )
        for name, parameter in self.named_parameters():
            if parameter.ndim == 4:  # as published; the first forward pass renews the norms
                nn.init.xavier_normal_(parameter, gain=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, damaged: Tensor, images: Tensor) -> Scores:
        """Return feature maps and scores of images, seen together with what they come from.

        Args:
            damaged: (N, 3, H, W), RGB in [0, 1], sides of at least 16 pixels per scale doubling.
            images: Restored or clean images of the same shape.

        Raises:
            ShapeError: If the shapes differ, are no images or are too small.
        """
        least = MIN_SIDE * 2 ** (len(self.scales) - 1)
        good = damaged.ndim == 4 and damaged.shape[1] == 3 and min(damaged.shape[2:]) >= least
        if damaged.shape != images.shape or not good:
            raise ShapeError(
                f"expected two (N, 3, H, W) batches of one shape with sides of at least {least}, "
                f"got {tuple(damaged.shape)} and {tuple(images.shape)}"
            )
        x = torch.cat([damaged, images], dim=1)  # (N, 6, H, W)
        scores = []
        for index, scale in enumerate(self.scales):
            if index:
                x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
            scores.append(scale(x))
        return scores


def score_pair(
    discriminator: nn.Module, damaged: Seen, restored: Seen, clean: Seen
) -> tuple[Scores, Scores]:
    """Return the scores of restored and of clean images, from one forward pass over both.

    Args:
        discriminator: A ``Discriminator`` or a ``ProjectedDiscriminator``, wrapped or not.
        damaged: What it takes of the damaged images: (N, 3, H, W), RGB in [0, 1], and their maps.
        restored: The same of the restored images.
        clean: The same of the clean images.
    """
    both = discriminator(_stacked(damaged, damaged), _stacked(restored, clean))
    halves = [[features.chunk(2) for features in scale] for scale in both]
    return (
        [[ours for ours, _ in scale] for scale in halves],
        [[theirs for _, theirs in scale] for scale in halves],
    )


def _stacked(first: Seen, second: Seen) -> Seen:
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return torch.cat([first, second])
    return [torch.cat(pair) for pair in zip(first, second, strict=True)]
