"""Convolutions and activations that give the same bits with any number of threads.

That holds for inference on a CPU: the same face has to give the same bytes, however many cores are
free. Training and other devices take torch's own way. Shape letters: N batch, H and W pixels, C and
O channels in and out.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

SMALL = 256
"""Pixels of a map below which torch may share the sum over the channels among threads."""
PIECE = 2**14
"""Numbers that torch leaves to one thread: half of what it begins to share from."""


def conv3x3(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return a convolution (N, O, H, W) of (N, C, H, W) padded with zeros.

    A small map is convolved as a sum of matrix products: no thread count changes their sums.

    Args:
        x: The map.
        kernel: (O, C, 3, 3).
        bias: (O,) or none.
    """
    small = x.device.type == "cpu" and x.shape[2] * x.shape[3] < SMALL
    if torch.is_grad_enabled() or not small:
        return F.conv2d(x, kernel, bias, padding=1)
    height, width = x.shape[2:]
    padded = F.pad(x, (1, 1, 1, 1))
    total = x.new_zeros(()) if bias is None else bias
    for index, taps in enumerate(kernel.flatten(2).permute(2, 1, 0)):  # (C, O)
        down, right = divmod(index, 3)
        part = padded[:, :, down : down + height, right : right + width].permute(0, 2, 3, 1)
        total = torch.addmm(total, part.flatten(0, 2), taps)  # (N H W, O)
    return total.view(len(x), height, width, -1).permute(0, 3, 1, 2)


def pointwise(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return a convolution (N, O, H, W) of (N, C, H, W) with a kernel (O, C, 1, 1).

    As a matrix product: a convolution of many channels shares its sums among threads on some CPUs.
    """
    if torch.is_grad_enabled() or x.device.type != "cpu":
        return F.conv2d(x, kernel, bias)
    return F.linear(x.permute(0, 2, 3, 1), kernel.flatten(1), bias).permute(0, 3, 1, 2)


def activated(x: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the activation of every number, the same shape.

    Where a thread's share ends torch takes the last few numbers one by one, with a sigmoid that
    rounds otherwise; a piece that one thread does alone ends at the same place always.
    """
    if torch.is_grad_enabled() or x.device.type != "cpu":
        return activation(x)
    pieces = torch.split(x.flatten(), PIECE)
    return torch.cat([activation(piece) for piece in pieces]).view(x.shape)
