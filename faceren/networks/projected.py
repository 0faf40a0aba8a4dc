"""A discriminator on the features of a trained network, which learns in hours rather than weeks.

What tells a restored face from a clean one is mostly there in the maps of any network that has
seen photographs; scoring those, a few small layers learn quickly and from few images (Projected
GANs, Sauer et al., NeurIPS 2021, arXiv:2111.01007). AlexNet is the network here, whose first
layer sees every fourth pixel only; patches of the pixels themselves are scored beside it.

Shape letters: N batch, C channels, H and W pixels, h and w those of a feature map.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from faceren.errors import ShapeError
from faceren.networks.discriminator import Scores
from faceren.networks.perceptual import CHANNELS

EACH = 1 + len(CHANNELS)
"""Tensors that show a batch: its pixels and AlexNet's maps."""
MIN_SIDE = 48
"""Smallest side that leaves the coarsest map more than a pixel."""


class PixelDiscriminator(nn.Module):
    """Scores for patches of 22 x 22 pixels, given the damaged image.

    Nothing is normalised over the image: fine patterns are told by how strong they are.

    Args:
        width: Channels of the layers between; the first has half as many.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        half = max(1, width // 2)
        self.first = nn.Conv2d(6, half, 4, stride=2, padding=1)
        self.convs = nn.ModuleList(
            [
                spectral_norm(nn.Conv2d(half, width, 4, stride=2, padding=1)),
                spectral_norm(nn.Conv2d(width, width, 3, padding=1)),
            ]
        )
        self.score = nn.Conv2d(width, 1, 1)

    def forward(self, damaged: Tensor, images: Tensor) -> list[Tensor]:
        """Return the maps of (N, 3, H, W) images and, last, the scores (N, 1, H/4, W/4)."""
        maps = [F.leaky_relu(self.first(torch.cat([damaged, images], dim=1) * 2 - 1), 0.2)]
        for conv in self.convs:
            maps.append(F.leaky_relu(conv(maps[-1]), 0.2))
        return [*maps, self.score(maps[-1])]


class MapDiscriminator(nn.Module):
    """Scores for every place of one feature map, given that of the damaged image.

    Args:
        mix: Makes ``width`` channels of the two maps, (N, 2C, H, W).
        width: Channels of the layers between.
    """

    def __init__(self, mix: nn.Module, width: int) -> None:
        super().__init__()
        self.mix = mix
        self.look = spectral_norm(nn.Conv2d(width, width, 3, padding=1))
        self.score = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, damaged: Tensor, images: Tensor) -> list[Tensor]:
        """Return the maps of (N, C, h, w) features and, last, the scores (N, 1, h, w)."""
        mixed = F.leaky_relu(self.mix(torch.cat([damaged, images], dim=1)), 0.2)
        looked = F.leaky_relu(self.look(mixed), 0.2)
        return [mixed, looked, self.score(looked)]


class RegionDiscriminator(nn.Module):
    """A discriminator of the pixels of a region, and one of each of AlexNet's five maps of it.

    Args:
        width: Channels of the layers.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pixels = PixelDiscriminator(width)
        self.maps = nn.ModuleList(
            MapDiscriminator(nn.Conv2d(2 * channels, width, 1), width) for channels in CHANNELS
        )

    def forward(self, damaged: Sequence[Tensor], images: Sequence[Tensor]) -> Scores:
        """Return six lists of maps and scores, of images and their maps."""
        parts = (self.pixels, *self.maps)
        return [part(*pair) for part, *pair in zip(parts, damaged, images, strict=True)]


class ProjectedDiscriminator(nn.Module):
    """Score images by their pixels and by AlexNet's five maps of them.

    Args:
        width: Channels of the layers.
        inner: Score eyes, nose and mouth by themselves, too.
    """

    def __init__(self, *, width: int = 64, inner: bool = False) -> None:
        super().__init__()
        self.whole = RegionDiscriminator(width)
        self.inner = RegionDiscriminator(width) if inner else None

    def forward(self, damaged: Sequence[Tensor], images: Sequence[Tensor]) -> Scores:
        """Return feature maps and scores of images, seen together with what they come from.

        Args:
            damaged: (N, 3, H, W), RGB in [0, 1], sides of at least 48 pixels, and
                ``LpipsAlexNet.maps`` of them; with ``inner`` six more tensors, of the inner faces,
                of which there may be fewer, or none.
            images: The same of restored or clean images.

        Raises:
            ShapeError: If the shapes differ, are no images or are too small, or maps are missing.
        """
        shapes = [[tuple(x.shape) for x in seen] for seen in (damaged, images)]
        regions = [region for region in (self.whole, self.inner) if region is not None]
        count = EACH * len(regions)
        if shapes[0] != shapes[1] or len(damaged) != count or not _are_images(damaged[::EACH]):
            raise ShapeError(
                f"expected two (N, 3, H, W) batches of one shape with sides of at least "
                f"{MIN_SIDE} and their maps, {count} tensors, got {shapes[0]} and {shapes[1]}"
            )
        scores: Scores = []
        for number, region in enumerate(regions):
            part = slice(EACH * number, EACH * (number + 1))
            scores += region(damaged[part], images[part])
        return scores


def _are_images(batches: Sequence[Tensor]) -> bool:
    return all(x.ndim == 4 and x.shape[1] == 3 and min(x.shape[2:]) >= MIN_SIDE for x in batches)
