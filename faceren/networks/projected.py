"""Discriminators on the features of trained networks, which learn in hours rather than weeks.

What tells a restored face from a clean one is mostly there in the maps of any network that has seen
photographs; scoring those, a few small layers learn quickly and from few images (Projected GANs,
Sauer et al., NeurIPS 2021, arXiv:2111.01007). AlexNet is the network here, whose first layer sees
every fourth pixel only; patches of the pixels themselves are scored beside it.

Random fixed projections mix the channels of each map and carry coarse maps into finer ones, so that
a discriminator cannot settle on the few most telling features (Sauer et al., arXiv:2111.01007,
section 3.2). Images are cut and coloured at random, all of a face alike, before they are looked at
(DiffAugment, arXiv:2006.10738), so that it cannot learn the few training faces by heart.

Shape letters: N batch, C channels, H and W pixels, h and w those of a feature map.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from faceren.errors import ShapeError
from faceren.networks.discriminator import Scores
from faceren.networks.efficientnet import CHANNELS as OBSERVED_CHANNELS
from faceren.networks.efficientnet import EfficientNetLite1
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
        are_images = all(
            x.ndim == 4 and x.shape[1] == 3 and min(x.shape[2:]) >= MIN_SIDE
            for x in damaged[::EACH]
        )
        if shapes[0] != shapes[1] or len(damaged) != count or not are_images:
            raise ShapeError(
                f"expected two (N, 3, H, W) batches of one shape with sides of at least "
                f"{MIN_SIDE} and their maps, {count} tensors, got {shapes[0]} and {shapes[1]}"
            )
        scores: Scores = []
        for number, region in enumerate(regions):
            part = slice(EACH * number, EACH * (number + 1))
            scores += region(damaged[part], images[part])
        return scores


MIXED = (32, 64, 96, 128)
"""Channels after mixing, from stride 4 to stride 32: the coarser, the more it has to say."""
SHRINK = ((4, 2), (4, 2), (3, 1), (3, 1))
"""Kernel and stride of each map's first layer: the two finest maps are halved, which costs less."""
MIXED_EACH = 1 + len(MIXED)
"""Tensors that show a batch: its pixels and the mixed maps."""
SEED = 20211101
"""Of the fixed projections: they are part of what a discriminator's weights mean."""
FLOOR = 1e-3
"""Length below which a vector of a map is not brought to unit length: it says nothing."""
BRIGHTNESS = 0.2
"""Largest shift of brightness; saturation is scaled by up to 2, contrast by a half to one and a
half, as in DiffAugment."""


class MixedFeatures(nn.Module):
    """EfficientNet's four maps, mixed by fixed random projections; nothing in it is trained.

    Args:
        weights: See ``EfficientNetLite1``.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            self.across_channels = nn.ModuleList(
                nn.Conv2d(channels, mixed, 1, bias=False)
                for channels, mixed in zip(OBSERVED_CHANNELS, MIXED, strict=True)
            )
            self.across_scales = nn.ModuleList(
                nn.Conv2d(coarse, fine, 3, padding=1, bias=False)
                for fine, coarse in pairwise(MIXED)
            )
            for conv in (*self.across_channels, *self.across_scales):
                nn.init.kaiming_normal_(conv.weight, nonlinearity="linear")
        self.network = EfficientNetLite1(weights)
        self.requires_grad_(requires_grad=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the mixed maps, (N, C, h, w), of (N, 3, H, W) images in [0, 1], finest first.

        At each place of a map the vector of its channels has the length of the root of their
        number before coarser maps are added.
        """
        found = zip(MIXED, self.across_channels, self.network.maps(images), strict=True)
        maps = [F.normalize(mix(x), dim=1, eps=FLOOR) * count**0.5 for count, mix, x in found]
        for level in range(len(maps) - 2, -1, -1):
            coarse = F.interpolate(maps[level + 1], size=maps[level].shape[2:], mode="nearest")
            maps[level] = maps[level] + self.across_scales[level](coarse)
        return maps


class MixedRegionDiscriminator(nn.Module):
    """A discriminator of the pixels of a region, and one of each of the four mixed maps of it.

    Args:
        width: Channels of the layers.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pixels = PixelDiscriminator(width)
        self.scales = nn.ModuleList(
            MapDiscriminator(
                spectral_norm(nn.Conv2d(2 * channels, width, kernel, stride=stride, padding=1)),
                width,
            )
            for channels, (kernel, stride) in zip(MIXED, SHRINK, strict=True)
        )

    def forward(self, damaged: Sequence[Tensor], images: Sequence[Tensor]) -> Scores:
        """Return five lists of maps and scores, of images and their mixed maps."""
        parts = (self.pixels, *self.scales)
        return [part(*pair) for part, *pair in zip(parts, damaged, images, strict=True)]


class MixedDiscriminator(nn.Module):
    """Score images by their pixels and by the mixed maps of them.

    Args:
        width: Channels of the layers.
        inner: Score eyes, nose and mouth by themselves, too.
    """

    def __init__(self, *, width: int = 64, inner: bool = False) -> None:
        super().__init__()
        self.parts = nn.ModuleList(MixedRegionDiscriminator(width) for _ in range(1 + inner))

    def forward(self, damaged: Sequence[Tensor], images: Sequence[Tensor]) -> Scores:
        """Return feature maps and scores of images, seen together with what they come from.

        Args:
            damaged: (N, 3, H, W), RGB in [0, 1], and ``MixedFeatures`` of them; with ``inner`` five
                more tensors, of the inner faces, or none in a batch without whole faces.
            images: The same of restored or clean images.

        Raises:
            ShapeError: If maps are missing, or the two do not have the same shapes.
        """
        shapes = [[tuple(x.shape) for x in seen] for seen in (damaged, images)]
        if shapes[0] != shapes[1] or len(damaged) not in (MIXED_EACH, MIXED_EACH * len(self.parts)):
            raise ShapeError(
                f"expected images and their mixed maps, {MIXED_EACH * len(self.parts)} tensors, "
                f"of one shape each, got {shapes[0]} and {shapes[1]}"
            )
        scores: Scores = []
        for number in range(len(damaged) // MIXED_EACH):
            part = slice(MIXED_EACH * number, MIXED_EACH * (number + 1))
            scores += self.parts[number](damaged[part], images[part])
        return scores


def augmented(
    batches: Sequence[Tensor], *, seed: int, side: int, first: int = 0, total: int | None = None
) -> list[Tensor]:
    """Return batches of images of the same faces, those of a face cut and coloured alike.

    Args:
        batches: (N, 3, H, W) each.
        seed: Of what is drawn, for each of the N anew.
        side: Of the cut, pixels; at most the shorter one's is taken.
        first: Which of the images for which something is drawn is the first of these.
        total: For how many it is drawn; default these alone.

    Returns:
        (N, 3, side, side) each, no longer within [0, 1].
    """
    count, _, height, width = batches[0].shape
    rng = torch.Generator().manual_seed(seed)
    total, mine = total or count, slice(first, first + count)
    bright, saturation, contrast = torch.rand(3, total, 1, 1, 1, generator=rng)[:, mine]
    side = min(side, height, width)
    places = torch.rand(2, total, generator=rng)[:, mine]
    reach = torch.arange(side)
    rows = (places[0] * (height - side + 1)).long()[:, None] + reach
    columns = (places[1] * (width - side + 1)).long()[:, None] + reach
    rows, columns = (x.to(batches[0].device) for x in (rows, columns))  # (N, side) each
    rows = rows[:, None, :, None].expand(-1, 3, -1, width)
    columns = columns[:, None, None, :].expand(-1, 3, side, -1)
    done = []
    for images in batches:
        cut = images.gather(2, rows).gather(3, columns)
        cut = cut + (2 * bright - 1).to(cut) * BRIGHTNESS
        gray = cut.mean(1, keepdim=True)
        cut = (cut - gray) * (2 * saturation).to(cut) + gray
        mean = cut.mean((1, 2, 3), keepdim=True)
        done.append((cut - mean) * (contrast + 0.5).to(cut) + mean)
    return done
