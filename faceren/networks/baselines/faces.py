"""Super-FAN, Wavelet-SRNet and GFRNet: networks that enlarge and restore faces.

The super-resolution network of Super-FAN, without its landmark network and its losses. Source:
Bulat and Tzimiropoulos, Super-FAN, CVPR 2018 (arXiv:1712.02765), section 4.1: 12 residual blocks at
the input's resolution, 3 at twice and 2 at four times that, with ReLU, without the long skip
connection of SRGAN. What it leaves open is chosen: kernels of 3x3 at both ends, and doubling by a
transposed convolution of 4x4 after normalisation. No weights of the authors are public.

Wavelet-SRNet, the paper's "WaveletCNN": what a small face lacks, as wavelet coefficients. Source:
Huang et al., Wavelet-SRNet: A Wavelet-Based CNN for Multi-scale Face Super Resolution, ICCV 2017,
sections 3.1 to 3.3: an embedding whose channels double, then for every level of the wavelet packet
(Haar's) a network of its own, its subbands in groups that do not see one another. Of its losses
only that of the image is ours. No weights of the authors are public.

GFRNet: a second image of the same person, warped to the damaged face, guides its restoration.
Source: Li et al., Learning Warped Guidance for Blind Face Restoration, ECCV 2018
(arXiv:1804.04829), section 3.1: WarpNet makes of the damaged face and its guide a flow field, by
which the guide is sampled; RecNet restores from the face and the warped guide, with skip
connections. Depth, kernels and channels are those of pix2pix on 256 pixels, of whose program the
authors' is made; normalisation is by image. Their weights are files of Torch 7, which PyTorch no
longer reads. Landmark and total-variation losses are not here.

Shape letters: N batch, C channels, H and W pixels, h and w those of a small image, s the scale.
"""

import itertools
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceren.networks.baselines.layers import NormalisedBlock, doublings

LATER = (4, 6)
"""Of the blocks at the first resolution a fourth follows at the second, a sixth at all others."""


class SuperFan(nn.Module):
    """The generator.

    Args:
        width: C.
        blocks: Residual blocks at the first resolution.
        scale: s, a power of two.
    """

    def __init__(self, width: int, blocks: int, scale: int) -> None:
        super().__init__()
        parts: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), nn.ReLU()]
        for level in range(doublings(scale) + 1):
            if level:
                parts.append(
                    nn.Sequential(
                        nn.BatchNorm2d(width),
                        nn.ReLU(),
                        nn.ConvTranspose2d(width, width, 4, 2, padding=1),
                    )
                )
            here = max(1, blocks // LATER[min(level, 2) - 1]) if level else blocks
            parts += [NormalisedBlock(width, learned_slope=False) for _ in range(here)]
        self.layers = nn.Sequential(
            *parts, nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 3, 3, padding=1)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return enlarged images, (N, 3, s·h, s·w), not clamped.

        Args:
            images: (N, 3, h, w) in [0, 1].
        """
        large: Tensor = self.layers(images)
        return large


EMBEDDED = 16
"""Times ``width``: the channels of the embedding, after four doublings."""


class Block(nn.Module):
    """Two convolutions with batch normalisation, added to the input before the last ReLU.

    Args:
        before: Channels that come in.
        after: Channels that go out.
        groups: Of the convolutions; those that see the input have one if ``mixing``.
        mixing: The block mixes all that comes in for all groups.
    """

    def __init__(self, before: int, after: int, groups: int = 1, *, mixing: bool = False) -> None:
        super().__init__()
        expand = mixing or before != after
        first = 1 if mixing else groups
        self.conv_expand: nn.Module = nn.Identity()
        if expand:
            self.conv_expand = nn.Conv2d(before, after, 1, groups=first, bias=False)
        self.conv1 = nn.Conv2d(before, after, 3, padding=1, groups=first, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        """Return features, (N, after, h, w) of (N, before, h, w)."""
        within = self.conv2(F.relu(self.bn1(self.conv1(x))))
        return F.relu(self.bn2(within + self.conv_expand(x)))


class WaveletSr(nn.Module):
    """Embedding, wavelet prediction and reconstruction (figure 3).

    Args:
        width: Channels of the embedding's first features; a subband of a colour has half of them.
        blocks: Residual blocks for each number of channels in the embedding.
        scale: s, a power of two.
    """

    def __init__(self, width: int, blocks: int, scale: int) -> None:
        super().__init__()
        self.levels = doublings(scale)
        self.conv_input = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn_input = nn.BatchNorm2d(width)
        sides = [width, *(width * 2**step for step in range(doublings(EMBEDDED) + 1))]
        self.residual = nn.Sequential(
            *(
                Block(before if number == 0 else after, after)
                for before, after in itertools.pairwise(sides)
                for number in range(blocks)
            )
        )
        self.predict = nn.ModuleList(
            self._prediction(EMBEDDED * width, width // 2, 3 * 4 ** (level - 1) if level else 1)
            for level in range(self.levels + 1)
        )

    @staticmethod
    def _prediction(embedded: int, channels: int, groups: int) -> nn.Sequential:
        """Return what makes the subbands of a level, three colours a group."""
        ch = channels * groups
        return nn.Sequential(
            Block(embedded, ch, groups, mixing=True),
            Block(ch, 2 * ch, groups),
            nn.Conv2d(2 * ch, 3 * groups, 3, padding=1, groups=groups),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return enlarged images, (N, 3, s·h, s·w), not clamped.

        Args:
            images: (N, 3, h, w) in [0, 1].
        """
        embedded = self.residual(F.relu(self.bn_input(self.conv_input(images))))
        bands = torch.cat([predict(embedded) for predict in self.predict], 1)
        for _ in range(self.levels):
            bands = inverse_haar(bands)
        return bands


def inverse_haar(bands: Tensor) -> Tensor:
    """Return maps of twice the side from four times as many, each a Haar coefficient.

    Scaled so that the mean keeps its value: a packet whose other coefficients are zero is the
    small image with its pixels repeated.

    Args:
        bands: (N, 4·C, h, w): C means, then C differences from left to right, from top to bottom,
            and of the diagonals.
    """
    mean, across, down, diagonal = bands.chunk(4, 1)
    corners = [
        mean + x * across + y * down + x * y * diagonal for y in (1, -1) for x in (1, -1)
    ]  # each (N, C, h, w)
    return F.pixel_shuffle(torch.stack(corners, 2).flatten(1, 2), 2)


MOST = 8
"""Times ``width``: the most channels."""
SLOPE = 0.2
FARTHEST = 1.0
"""A pixel is sampled at most half an image away (the grid goes from -1 to 1)."""


def _norm(channels: int, *, normalised: bool) -> Iterator[nn.Module]:
    if normalised:
        yield nn.InstanceNorm2d(channels, affine=True)


class EncoderDecoder(nn.Module):
    """Halve the maps to the last pixels, and double them again.

    Args:
        before: Channels that come in.
        after: Channels that go out.
        width: C, doubled with every halving up to eight times.
        halvings: How often.
        skips: Join what was seen on the way down.
    """

    def __init__(self, before: int, after: int, width: int, halvings: int, *, skips: bool) -> None:
        super().__init__()
        self.skips = skips
        ch = [width * min(2**level, MOST) for level in range(halvings)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level in range(halvings):
            inner = 0 < level < halvings - 1  # the coarsest map may be a single pixel
            conv = nn.Conv2d(ch[level - 1] if level else before, ch[level], 4, 2, padding=1)
            self.down.append(nn.Sequential(conv, *_norm(ch[level], normalised=inner)))
        for level in reversed(range(halvings)):
            joined = ch[level] * (2 if skips and level < halvings - 1 else 1)
            out = ch[level - 1] if level else after
            doubled = nn.ConvTranspose2d(joined, out, 4, 2, padding=1)
            self.up.append(nn.Sequential(doubled, *_norm(out, normalised=level > 0)))

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of the size that came, (N, after, H, W)."""
        seen: list[Tensor] = []
        for level, down in enumerate(self.down):
            x = down(F.leaky_relu(x, SLOPE) if level else x)
            seen.append(x)
        for number, up in enumerate(self.up):
            if number and self.skips:
                x = torch.cat([x, seen[-1 - number]], 1)
            x = up(F.relu(x))
        return x


class GfrNet(nn.Module):
    """WarpNet and RecNet.

    Args:
        width: C.
        halvings: Of both; 8 bring 256 pixels to one.
    """

    def __init__(self, width: int, halvings: int) -> None:
        super().__init__()
        self.warp = EncoderDecoder(6, 2, width, halvings, skips=False)
        self.restore = EncoderDecoder(6, 3, width, halvings, skips=True)

    def forward(self, images: Tensor) -> Tensor:
        """Return restored faces, (N, 3, H, W) in [0, 1].

        Args:
            images: (N, 6, H, W) in [0, 1]: the damaged face and its guide; sides multiples of
                2^halvings.
        """
        damaged, guide = (2 * images - 1).chunk(2, 1)
        flow = FARTHEST * self.warp(torch.cat([damaged, guide], 1)).tanh()  # (N, 2, H, W)
        warped = sampled(guide, flow)
        restored: Tensor = self.restore(torch.cat([damaged, warped], 1)).tanh()
        return (restored + 1) / 2


def sampled(images: Tensor, flow: Tensor) -> Tensor:
    """Return images sampled bilinearly where a flow points; without flow, as they are.

    Args:
        images: (N, C, H, W); beyond the border its pixels go on.
        flow: (N, 2, H, W), to the right and down, in halves of the image's side.
    """
    count, _, height, width = images.shape
    plain = torch.eye(2, 3, device=images.device).expand(count, 2, 3)
    here = F.affine_grid(plain, [count, 1, height, width], align_corners=False)
    there = here + flow.float().permute(0, 2, 3, 1)  # (N, H, W, 2)
    return F.grid_sample(
        images.float(), there, mode="bilinear", padding_mode="border", align_corners=False
    )
