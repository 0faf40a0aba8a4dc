"""3x3 convolutions with a quarter of the multiplications: Winograd's minimal filtering F(4x4, 3x3).

An output tile of 4x4 pixels needs an input tile of 6x6. Both it and the kernel are evaluated, as
polynomials, at six points in each direction; the products of the 36 values are the values of the
output, which is interpolated from them. Exact in real numbers; in float32 the error is about five
times that of the direct sum, thanks to points that keep the numbers small. Only inference on a
CPU uses it. Shape letters: H and W pixels of the output, C and O channels in and out.
Source: Lavin and Gray, arXiv:1509.09308; points: Barabasz et al., arXiv:1803.10986.
"""

from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor

TILE = 4
"""Output pixels a side of a tile."""
TAPS = TILE + 2
POINTS = (0.0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5))
"""Where the polynomials are evaluated; the sixth point is infinity."""
TILES_AT_ONCE = 128
"""Tiles whose 36 values are in the processor's cache together."""


def vandermonde(degree: int) -> Tensor:
    """Return the matrix, (6, degree), of a polynomial's values from its coefficients, float64."""
    powers = torch.tensor(POINTS, dtype=torch.float64)[:, None] ** torch.arange(degree)
    infinity = torch.eye(degree, dtype=torch.float64)[-1:]  # the leading coefficient
    return torch.cat([powers, infinity])


@cache
def transforms(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Return the matrices of the input (36, 36), the kernel (36, 9) and the output (16, 36)."""
    of_input = torch.linalg.inv(vandermonde(TAPS)).T
    of_kernel, of_output = vandermonde(3), vandermonde(TILE).T
    one, two, three = (torch.kron(one, one).to(dtype) for one in (of_input, of_kernel, of_output))
    return one, two, three


def transform_kernel(kernel: Tensor) -> Tensor:
    """Return the values, (36, C, O), of a kernel (O, C, 3, 3)."""
    _, of_kernel, _ = transforms(kernel.dtype)
    flat = kernel.permute(2, 3, 1, 0).reshape(9, -1)
    return (of_kernel @ flat).view(TAPS * TAPS, kernel.shape[1], kernel.shape[0])


def convolve(framed: Tensor, values: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield a convolved image strip by strip: which rows, and those rows, (rows, W, O).

    Args:
        framed: (H + 2, W + 2, C), the image with one more pixel all around; H and W are
            multiples of 4.
        values: (36, C, O), see ``transform_kernel``.
    """
    of_input, _, of_output = transforms(framed.dtype)
    height, width = framed.shape[0] - 2, framed.shape[1] - 2
    channels_in, channels_out = values.shape[1:]
    across = width // TILE
    step = max(1, TILES_AT_ONCE // across) * TILE
    for first in range(0, height, step):
        rows = slice(first, min(first + step, height))
        tiles = _tiles(framed[first : rows.stop + 2])  # (6, 6, down, across, C)
        spread = torch.mm(of_input, tiles.reshape(TAPS * TAPS, -1))
        products = torch.bmm(spread.view(TAPS * TAPS, -1, channels_in), values)
        pixels = torch.mm(of_output, products.view(TAPS * TAPS, -1))
        down = (rows.stop - first) // TILE
        pixels = pixels.view(TILE, TILE, down, across, channels_out).permute(2, 0, 3, 1, 4)
        yield rows, pixels.reshape(down * TILE, width, channels_out)


def _tiles(framed: Tensor) -> Tensor:
    """Return the overlapping 6x6 tiles of a strip (rows + 2, W + 2, C), without a copy."""
    down, across = (framed.shape[0] - 2) // TILE, (framed.shape[1] - 2) // TILE
    row, column, channel = framed.stride()
    return framed.as_strided(
        (TAPS, TAPS, down, across, framed.shape[2]),
        (row, column, TILE * row, TILE * column, channel),
    )
