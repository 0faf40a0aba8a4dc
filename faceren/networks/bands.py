"""The frequency bands of an image, and an output that scales them, place by place.

A network that adds to its input must carry every noisy pixel through its narrowest map to take it
away again. One that scales the input's bands only has to say where there is noise: minus one
takes a band away, zero keeps it, more sharpens it.

Shape letters: N batch, H and W pixels, r the stem's pixel-unshuffle factor. Octave b has H / 2^b
by W / 2^b pixels.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from faceren.config import gain_channels


def octaves(images: Tensor, count: int) -> list[Tensor]:
    """Return the bands of images, from the finest on: (N, C, H / 2^b, W / 2^b) for octave b.

    Each is what averaging over 2 x 2 pixels and enlarging back, linearly, loses; the next is that
    of the averages (a Laplacian pyramid, Burt and Adelson 1983).

    Args:
        images: (N, C, H, W), sides multiples of 2^count.
        count: How many; what is coarser belongs to none.
    """
    found = []
    for _ in range(count):
        smaller = F.avg_pool2d(images, 2)
        found.append(images - doubled(smaller))
        images = smaller
    return found


def doubled(images: Tensor) -> Tensor:
    """Return images enlarged twice, linearly, (N, C, 2H, 2W).

    Torch's own interpolation rounds differently with another number of threads; the same face
    has to give the same bytes, however many cores are free.
    """
    before = torch.cat([images[..., :1], images[..., :-1]], 3)
    after = torch.cat([images[..., 1:], images[..., -1:]], 3)
    near = images * 0.75
    wide = torch.stack([before * 0.25 + near, after * 0.25 + near], 4).flatten(3, 4)
    above = torch.cat([wide[:, :, :1], wide[:, :, :-1]], 2)
    below = torch.cat([wide[:, :, 1:], wide[:, :, -1:]], 2)
    near = wide * 0.75
    return torch.stack([above * 0.25 + near, below * 0.25 + near], 3).flatten(2, 3)


def scaled_octaves(images: Tensor, gains: Sequence[Tensor]) -> Tensor:
    """Return images with their bands scaled, (N, 3, H, W): unchanged where gains are zero.

    Args:
        images: (N, 3, H, W), RGB.
        gains: For each octave b (N, 2, H / 2^b, W / 2^b): by how much of itself its gray part
            changes, and by how much its colour (what differs from the mean of R, G and B).
    """
    images = images.contiguous()  # three channels side by side are slow to enlarge
    change: Tensor | None = None
    for band, gain in reversed(list(zip(octaves(images, len(gains)), gains, strict=True))):
        gray = band.mean(1, keepdim=True)  # (N, 1, …)
        of_gray, of_colour = gain[:, :1], gain[:, 1:]
        here = torch.addcmul((of_gray - of_colour) * gray, of_colour, band)
        change = here if change is None else here + doubled(change)
    return images if change is None else images + change


def gains_of(channels: Tensor, count: int, stem_stride: int) -> list[Tensor]:
    """Return the gains of each octave b, (N, 2, H / 2^b, W / 2^b).

    Octaves finer than the features are shuffled out of channels, coarser ones are averages.

    Args:
        channels: (N, sum of ``gain_channels``, H / r, W / r).
        count: Octaves.
        stem_stride: r, a power of two.
    """
    gains, start = [], 0
    for octave in range(count):
        size = gain_channels(octave, stem_stride)
        part = channels[:, start : start + size]
        start += size
        finer, coarser = max(1, stem_stride >> octave), max(1, 2**octave // stem_stride)
        part = F.pixel_shuffle(part, finer) if finer > 1 else part
        gains.append(F.avg_pool2d(part, coarser) if coarser > 1 else part)
    return gains
