"""MS-SSIM, structural similarity over five scales, as published and as in the paper's Table 1.

Shape letters: N batch, C channels, H and W pixels. Source: Wang et al., Multi-scale structural
similarity for image quality assessment (Asilomar 2003).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from faceren.metrics.pairs import check_pair
from faceren.metrics.ssim import WINDOW, ssim_maps

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents from the finest scale to the coarsest."""
LEAST_SIDE = WINDOW * 2 ** (len(WEIGHTS) - 1)
"""The window must fit into the coarsest scale."""


def scale_terms(images: Tensor, references: Tensor) -> Tensor:
    """Return what each scale says of each pair, shape (N, 5), the finest first.

    The contrast factor of the four finer scales and the whole similarity of the coarsest, averaged
    over places and channels. Each scale is the one before, averaged over squares of two pixels.

    Args:
        images: (N, C, H, W) in [0, 1], sides of at least 176 pixels.
        references: The same shape.

    Raises:
        ShapeError: If the shapes differ or are too small.
    """
    check_pair("ms-ssim", images, references, least=LEAST_SIDE)
    terms = []
    for scale in range(len(WEIGHTS)):
        if scale > 0:
            images, references = F.avg_pool2d(images, 2), F.avg_pool2d(references, 2)
        similarity, contrast = ssim_maps(images, references)
        coarsest = scale == len(WEIGHTS) - 1
        terms.append((similarity if coarsest else contrast).flatten(1).mean(1))
    return torch.stack(terms, dim=1)


def ms_ssim(images: Tensor, references: Tensor, *, slip: bool = False) -> Tensor:
    """Return the multi-scale similarity of each pair, shape (N,); 1 is equal.

    The product of the scales' terms, cut off at 0, with WEIGHTS as exponents (eq. 7 of the
    source). Some codes add the terms with WEIGHTS instead, which is up to 0.5 % higher.

    Args:
        images: (N, C, H, W) in [0, 1], sides of at least 176 pixels.
        references: The same shape.
        slip: Take the coarsest similarity into the product once for each finer scale, four times
            in all, as the code behind the paper's Table 1 did; lower than the standard.

    Raises:
        ShapeError: If the shapes differ or are too small.
    """
    terms = scale_terms(images, references)
    exponents = terms.new_tensor(WEIGHTS)
    if slip:
        exponents = exponents * exponents.new_tensor([1, 1, 1, 1, len(WEIGHTS) - 1])
    powers: Tensor = terms.clamp_min(0) ** exponents  # (N, 5)
    return powers.prod(1)
