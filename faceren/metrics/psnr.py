"""PSNR, the peak signal-to-noise ratio in decibels. Torch only, so that training can use it."""

from torch import Tensor

from faceren.metrics.pairs import check_pair

CEILING = 100.0
"""Decibels of identical images; two 512-pixel images that differ by one level have 107."""
PAPER_CEILING = 80.0
"""The same in the code behind the paper's Table 1, which floors the error at 1e-8."""


def psnr(images: Tensor, references: Tensor, *, ceiling: float = CEILING) -> Tensor:
    """Return ``10 log10(1 / MSE)`` of each pair, shape (N,); higher is better.

    The error is averaged over all channels and pixels of an image.

    Args:
        images: (N, C, H, W) in [0, 1].
        references: The same shape.
        ceiling: Decibels that no pair exceeds, so that identical images have a finite figure.

    Raises:
        ShapeError: If the shapes differ.
    """
    check_pair("psnr", images, references)
    error = (images - references).square().flatten(1).mean(1)  # (N,)
    return -10 * error.clamp_min(10 ** (-ceiling / 10)).log10()
