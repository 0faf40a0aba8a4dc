"""SSIM, the structural similarity index. Torch only, so that training can use it.

Shape letters: N batch, C channels, H and W pixels. Source: Wang et al., Image Quality Assessment:
From Error Visibility to Structural Similarity (IEEE TIP 13(4), 2004), with its 11-pixel Gaussian
window of sigma 1.5, only where the window lies inside the image.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from faceren.metrics.pairs import check_pair

WINDOW = 11
SIGMA = 1.5
C1 = 0.01**2
C2 = 0.03**2


def _blur(planes: Tensor) -> Tensor:
    """Return the Gaussian means of (M, H, W) planes, (M, H-10, W-10)."""
    count = len(planes)
    offsets = torch.arange(WINDOW, dtype=planes.dtype, device=planes.device) - WINDOW // 2
    window = torch.exp(-offsets.square() / (2 * SIGMA**2))
    taps = (window / window.sum()).expand(count, 1, WINDOW)
    # as channels of one image: as images of one channel it takes seven times as long on a CPU
    down = F.conv2d(planes[None], taps[..., None], groups=count)
    return F.conv2d(down, taps[:, :, None], groups=count)[0]


def ssim_maps(images: Tensor, references: Tensor) -> tuple[Tensor, Tensor]:
    """Return the similarity and its contrast-structure factor at each place.

    Args:
        images: (N, C, H, W) in [0, 1], sides of at least 11 pixels.
        references: The same shape.

    Returns:
        Two maps (N, C, H-10, W-10).

    Raises:
        ShapeError: If the shapes differ or are too small.
    """
    check_pair("ssim", images, references, least=WINDOW)
    x, y = images, references
    moments = torch.stack([x, y, x * x, y * y, x * y])  # (5, N, C, H, W)
    means = _blur(moments.flatten(0, 2))  # (5NC, H-10, W-10)
    shape = (*moments.shape[:3], *means.shape[1:])  # (5, N, C, H-10, W-10)
    mx, my, xx, yy, xy = means.view(shape)
    spread = (xx - mx * mx).clamp_min(0) + (yy - my * my).clamp_min(0)
    contrast = (2 * (xy - mx * my) + C2) / (spread + C2)
    luminance = (2 * mx * my + C1) / (mx * mx + my * my + C1)
    return luminance * contrast, contrast


def ssim(images: Tensor, references: Tensor) -> Tensor:
    """Return the mean similarity of each pair over places and channels, shape (N,); 1 is equal.

    Args:
        images: (N, C, H, W) in [0, 1], sides of at least 11 pixels.
        references: The same shape.

    Raises:
        ShapeError: If the shapes differ or are too small.
    """
    return ssim_maps(images, references)[0].flatten(1).mean(1)
