"""3x3 convolutions of large maps, strip by strip, so that what follows them never fills memory.

Inference only. Maps are channels-last and framed: they carry one more pixel of zeros all around,
so that no convolution has to copy its input. Shape letters: N batch, H and W pixels, C and O
channels in and out.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from faceren.networks import winograd

STRIP = 2**22
"""Numbers of a strip on devices without a better rule."""
WORTH_CHANNELS, WORTH_TILES = 80, 256
"""Channels (harmonic mean of in and out) and tiles from which on Winograd's transforms pay."""
SMALL = 256
"""Pixels of a map below which torch may share the sum over the channels among threads."""


def framed(like: Tensor, channels: int, height: int, width: int) -> Tensor:
    """Return an unset map, (N, H + 2, W + 2, C), whose frame is zero."""
    out = like.new_empty(len(like), height + 2, width + 2, channels)
    for edge in (out[:, 0], out[:, -1], out[:, :, 0], out[:, :, -1]):
        edge.zero_()
    return out


def inside(framed_map: Tensor) -> Tensor:
    """Return the map, (N, H, W, C), inside its frame; a view."""
    return framed_map[:, 1:-1, 1:-1]


def sides(framed_map: Tensor) -> tuple[int, int]:
    """Return H and W of a framed map."""
    return framed_map.shape[1] - 2, framed_map.shape[2] - 2


def frame(x: Tensor) -> Tensor:
    """Return (N, C, H, W) as a framed map."""
    out = framed(x, x.shape[1], *x.shape[2:])
    inside(out).copy_(x.permute(0, 2, 3, 1))
    return out


@dataclass(frozen=True)
class Strip:
    """Some rows of one convolved image."""

    image: int
    rows: slice
    values: Tensor
    """(rows, W, O), channels-last; its memory is the caller's to change."""

    def rows_of(self, x: Tensor, *, like: Tensor) -> Tensor:
        """Return the same rows, (rows, W, C), of another map.

        Args:
            x: (N, C, H, W), or of half these sides: then each of its pixels counts four times.
            like: (N, H, W, any).
        """
        image = x[self.image].permute(1, 2, 0)  # (H, W, C)
        if x.shape[2] == like.shape[1]:
            return image[self.rows]
        half = image[self.rows.start // 2 : self.rows.stop // 2]
        rows, width, channels = half.shape
        four = half[:, None, :, None].expand(rows, 2, width, 2, channels)
        return four.reshape(2 * rows, 2 * width, channels)


def pays(kernel: Tensor, device: torch.device, height: int, width: int) -> bool:
    """Return whether Winograd's way is the faster one for a kernel (O, C, k, k) there."""
    if device.type != "cpu" or kernel.dtype not in (torch.float32, torch.float64):
        return False
    if torch.is_autocast_enabled("cpu"):  # its sums want more digits
        return False
    if kernel.shape[2] != 3 or height % winograd.TILE or width % winograd.TILE:
        return False
    channels = 2 / (1 / kernel.shape[0] + 1 / kernel.shape[1])
    tiles = height * width // winograd.TILE**2
    return channels >= WORTH_CHANNELS and tiles >= WORTH_TILES


def convolve(framed_map: Tensor, kernel: Tensor) -> Iterator[Strip]:
    """Yield the convolution of a framed map with a kernel (O, C, 3, 3) or (O, C, 1, 1)."""
    height, width = sides(framed_map)
    if pays(kernel, framed_map.device, height, width):
        values = winograd.transform_kernel(kernel)
        for index, image in enumerate(framed_map):
            for rows, pixels in winograd.convolve(image, values):
                yield Strip(index, rows, pixels)
        return
    step = 2 * max(1, STRIP // (2 * width * kernel.shape[0]))
    edge = 1 - kernel.shape[2] // 2  # of the frame that the kernel does not reach
    for index, image in enumerate(framed_map):
        for first in range(0, height, step):
            rows = slice(first, min(first + step, height))
            part = image[first + edge : rows.stop + 2 - edge, edge : width + 2 - edge]
            pixels = F.conv2d(part.permute(2, 0, 1)[None], kernel)[0].permute(1, 2, 0)
            yield Strip(index, rows, pixels)


def conv3x3(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return a convolution (N, O, H, W) of (N, C, H, W) padded with zeros, the faster way.

    Args:
        x: The map.
        kernel: (O, C, 3, 3).
        bias: (O,) or none.
    """
    if torch.is_grad_enabled() or not pays(kernel, x.device, *x.shape[2:]):
        return direct3x3(x, kernel, bias)
    out = x.new_empty(len(x), *x.shape[2:], len(kernel))
    write(convolve(frame(x), kernel), bias, out)
    return out.permute(0, 3, 1, 2)


def direct3x3(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    """Return the same convolution; on inference the same bits with any number of threads.

    A small map is convolved as a sum of matrix products: no thread count changes their sums.
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
    """Return a convolution with a kernel (O, C, 1, 1); on inference the same bits, too.

    As a matrix product: a convolution of many channels shares its sums among threads on some CPUs.
    """
    if torch.is_grad_enabled() or x.device.type != "cpu":
        return F.conv2d(x, kernel, bias)
    return F.linear(x.permute(0, 2, 3, 1), kernel.flatten(1), bias).permute(0, 3, 1, 2)


def write(strips: Iterator[Strip], bias: Tensor | None, out: Tensor) -> None:
    """Write strips, and a bias (O,) if there is one, into ``out`` (N, H, W, O)."""
    for strip in strips:
        target = out[strip.image, strip.rows]
        if bias is None:
            target.copy_(strip.values)
        else:
            torch.add(strip.values, bias, out=target)
