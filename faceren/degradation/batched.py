"""The operations of the simulator on a whole batch, on any device.

Blur, noise, resampling and tone have a form in torch; for the rest (JPEG, scratches…) the images
go through the processor. Each form agrees with its operation within ``TOLERANCE`` levels of 255 on
any pixel: both round to whole levels after every operation, and sum in another order.

Shape letters: N batch, H and W image pixels, h and w those of the shrunken image.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, cast

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from faceren.degradation.blur import GaussianBlur, MotionBlur, SoftFocus
from faceren.degradation.degradation import Degradation, Operation
from faceren.degradation.noise import GaussianNoise, LaplacianNoise, PoissonNoise
from faceren.degradation.pixels import random_words
from faceren.degradation.resampling import OPENCV_FILTERS, Filter, Sharpen, Shrink
from faceren.degradation.tone import Curve, Monochrome, Toning
from faceren.errors import ShapeError

TOLERANCE = 2
"""Levels by which one operation may differ from its form on the processor."""

LUMA = (0.299, 0.587, 0.114)
AdditiveNoise = GaussianNoise | LaplacianNoise | PoissonNoise


def apply_batch(images: Tensor, degradations: Sequence[Degradation]) -> Tensor:
    """Return the degraded batch, rounded to 8 bits.

    Noise is the same, bit by bit, as on the processor; nothing depends on the device or on the
    other images of the batch.

    Args:
        images: (N, 3, H, W) RGB in [0, 1].
        degradations: N, one for each image.

    Returns:
        (N, 3, H, W) in [0, 1].

    Raises:
        ShapeError: If the images have another shape, or their number differs.
    """
    if images.ndim != 4 or images.shape[1] != 3 or len(images) != len(degradations):
        raise ShapeError(
            f"expected ({len(degradations)}, 3, H, W) for as many degradations, "
            f"got {tuple(images.shape)}"
        )
    levels = _rounded(images * 255)
    for step in range(max((len(d.operations) for d in degradations), default=0)):
        groups: dict[type[Operation], list[int]] = {}
        for index, degradation in enumerate(degradations):
            if step < len(degradation.operations):
                groups.setdefault(type(degradation.operations[step]), []).append(index)
        for kind, members in groups.items():
            operations = [degradations[index].operations[step] for index in members]
            form = FORMS.get(kind, _on_the_processor)
            levels[members] = _rounded(form(levels[members], operations))
    return levels / 255


def _rounded(levels: Tensor) -> Tensor:
    return levels.round().clamp(0, 255)


def _on_the_processor(levels: Tensor, operations: Sequence[Operation]) -> Tensor:
    images = levels.permute(0, 2, 3, 1).to(torch.uint8).cpu().numpy()
    results = [
        operation(np.ascontiguousarray(image))
        for operation, image in zip(operations, images, strict=True)
    ]
    return torch.from_numpy(np.stack(results)).permute(0, 3, 1, 2).to(levels)


def _filtered(levels: Tensor, kernels: Tensor) -> Tensor:
    """Correlate each image with its own kernel, borders mirrored without the edge pixel.

    Args:
        levels: (N, 3, H, W).
        kernels: (N, kh, kw), odd sides.
    """
    count, channels, height, width = levels.shape
    tall, wide = kernels.shape[1:]
    down, across = (_mirrored(n, k // 2, levels) for n, k in ((height, tall), (width, wide)))
    padded = levels[:, :, down][:, :, :, across]  # (N, 3, H + kh - 1, W + kw - 1)
    weights = kernels.to(levels).repeat_interleave(channels, 0)[:, None]  # (3N, 1, kh, kw)
    flat = padded.reshape(1, count * channels, *padded.shape[2:])
    return F.conv2d(flat, weights, groups=count * channels).reshape(levels.shape)


def _mirrored(length: int, margin: int, like: Tensor) -> Tensor:
    """Return the indices of a mirrored axis; margins longer than the axis mirror again."""
    index = torch.arange(-margin, length + margin, device=like.device)
    period = max(2 * length - 2, 1)
    return (length - 1) - ((index % period) - (length - 1)).abs() if length > 1 else index * 0


def _centred(kernels: Sequence[np.ndarray[Any, Any]]) -> Tensor:
    """Stack odd kernels of several sizes, zeros around the smaller ones."""
    side = max(kernel.shape[-1] for kernel in kernels)
    tall = max(kernel.shape[0] for kernel in kernels)
    stacked = torch.zeros(len(kernels), tall, side)
    for place, kernel in zip(stacked, kernels, strict=True):
        top, left = (tall - kernel.shape[0]) // 2, (side - kernel.shape[1]) // 2
        part = torch.from_numpy(np.asarray(kernel, np.float32))
        place[top : top + kernel.shape[0], left : left + kernel.shape[1]] = part
    return stacked


def _bells(levels: Tensor, shapes: Sequence[tuple[int, float]]) -> Tensor:
    """Blur each image with the Gaussian of its (side, sigma)."""
    rows = _centred([cv2.getGaussianKernel(side, sigma).T for side, sigma in shapes])
    return _filtered(_filtered(levels, rows), rows.transpose(1, 2))


def _gaussian_blur(levels: Tensor, operations: Sequence[Operation]) -> Tensor:
    blurs = cast("Sequence[GaussianBlur]", operations)
    return _bells(levels, [(blur.kernel | 1, blur.sigma) for blur in blurs])


def _motion_blur(levels: Tensor, operations: Sequence[Operation]) -> Tensor:
    blurs = cast("Sequence[MotionBlur]", operations)
    return _filtered(levels, _centred([blur.weights() for blur in blurs]))


def _mixed_with_blur(levels: Tensor, operations: Sequence[Operation]) -> Tensor:
    """Soft focus adds a share of the blurred image, sharpening takes one away."""
    mixtures = cast("Sequence[SoftFocus | Sharpen]", operations)
    sides = [round(6 * mixture.sigma + 1) | 1 for mixture in mixtures]  # OpenCV's choice
    shapes = [(side, mixture.sigma) for side, mixture in zip(sides, mixtures, strict=True)]
    soft = _rounded(_bells(levels, shapes))
    signs = [m.amount if isinstance(m, SoftFocus) else -m.amount for m in mixtures]
    return levels + (soft - levels) * torch.tensor(signs).to(levels)[:, None, None, None]


def _noise(levels: Tensor, operations: Sequence[Operation]) -> Tensor:
    height, width = levels.shape[2:]
    noisy = []
    for image, noise in zip(levels, cast("Sequence[AdditiveNoise]", operations), strict=True):
        words = random_words((height, width, 1 if noise.gray else 3), noise.seed)
        index = torch.from_numpy(words.astype(np.int32)).to(levels.device)
        table = torch.from_numpy(noise.table().astype(np.float32)).to(levels.device)
        noisy.append(image + table[index].permute(2, 0, 1))
    return torch.stack(noisy)


@lru_cache(maxsize=256)
def _axis(source: int, target: int, by: Filter) -> Tensor:
    """Return the (target, source) matrix that resamples one axis: the resampled unit matrix."""
    unit = np.eye(source, dtype=np.float32)
    if by == "antialiased":
        size = (source, target)
        return torch.from_numpy(
            np.array(Image.fromarray(unit).resize(size, Image.Resampling.BICUBIC))
        )
    return torch.from_numpy(cv2.resize(unit, (source, target), interpolation=OPENCV_FILTERS[by]))


def _resampled(image: Tensor, height: int, width: int, by: Filter) -> Tensor:
    down = _axis(image.shape[1], height, by).to(image)
    across = _axis(image.shape[2], width, by).to(image)
    return _rounded(down @ image @ across.T)


def _shrink(levels: Tensor, operations: Sequence[Operation]) -> Tensor:
    height, width = levels.shape[2:]
    results = []
    for image, shrink in zip(levels, cast("Sequence[Shrink]", operations), strict=True):
        h, w = (max(1, round(side * shrink.scale)) for side in (height, width))
        small = _resampled(image, h, w, shrink.down)  # (3, h, w)
        results.append(_resampled(small, height, width, shrink.up))
    return torch.stack(results)


def _monochrome(levels: Tensor, operations: Sequence[Operation]) -> Tensor:
    rows = [(m.red, m.green, m.blue) for m in cast("Sequence[Monochrome]", operations)]
    weights = torch.tensor(rows).to(levels)
    weights = weights / weights.sum(1, keepdim=True).clamp(min=1e-9)
    return torch.einsum("nc,nchw->nhw", weights, levels)[:, None].expand_as(levels)


def _curve(levels: Tensor, operations: Sequence[Operation]) -> Tensor:
    tables = [curve.table() for curve in cast("Sequence[Curve]", operations)]
    table = torch.from_numpy(np.stack(tables)).to(levels)  # (N, 256)
    return table.gather(1, levels.long().flatten(1)).view_as(levels)


def _toning(levels: Tensor, operations: Sequence[Operation]) -> Tensor:
    tables = [toning.table() for toning in cast("Sequence[Toning]", operations)]
    table = torch.from_numpy(np.stack(tables)).to(levels)  # (N, 256, 3)
    gray = torch.einsum("c,nchw->nhw", torch.tensor(LUMA).to(levels), levels).round().long()
    toned = [colours[luma] for colours, luma in zip(table, gray, strict=True)]
    return torch.stack(toned).permute(0, 3, 1, 2)


FORMS: dict[type[Operation], Callable[[Tensor, Sequence[Operation]], Tensor]] = {
    GaussianBlur: _gaussian_blur,
    MotionBlur: _motion_blur,
    SoftFocus: _mixed_with_blur,
    Sharpen: _mixed_with_blur,
    GaussianNoise: _noise,
    LaplacianNoise: _noise,
    PoissonNoise: _noise,
    Shrink: _shrink,
    Monochrome: _monochrome,
    Curve: _curve,
    Toning: _toning,
}
"""The operations that have a form in torch."""
