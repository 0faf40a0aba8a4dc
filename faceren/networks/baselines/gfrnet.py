"""GFRNet: a second image of the same person, warped to the damaged face, guides its restoration.

Source: Li et al., Learning Warped Guidance for Blind Face Restoration, ECCV 2018
(arXiv:1804.04829), section 3.1: WarpNet makes of the damaged face and its guide a flow field, by
which the guide is sampled; RecNet restores from the face and the warped guide, with skip
connections. Depth, kernels and channels are those of pix2pix on 256 pixels, of whose program the
authors' is made; normalisation is by image. Their weights are files of Torch 7, which PyTorch no
longer reads. Landmark and total-variation losses are not here.

Shape letters: N batch, C channels, H and W pixels.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
