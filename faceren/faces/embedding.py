"""dlib's face embedding network, computed by torch: the same numbers, several times as fast.

The packaged dlib has no fast matrix product. The network is a ResNet of 29 layers (He et al.,
arXiv:1512.03385, in dlib's variant: unpadded strided convolutions, shortcuts by average pooling,
missing channels and pixels of a sum count as zero), trained by metric loss on faces of 150 pixels;
its weights stand in the file that dlib reads, one layer behind the other.

Shape letters: N faces, C channels.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from faceren.arrays import Float64
from faceren.errors import MachineError

SIDE = 150
"""Side in pixels of the faces that the network knows."""
MEAN = (122.782, 117.001, 104.298)
"""Mean red, green and blue of the faces it was trained on, in levels of 256."""
STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
"""Channels of each stage, its blocks, and whether its first block halves the picture."""
EMBEDDING = 128
LAYER = re.compile(rb"\x01\x05con_4|\x01\x07affine_|\x01\x04fc_2")

Layer = tuple[Tensor, Tensor]
"""Weights (C, C', k, k) and bias (C,) of a convolution and the affine layer behind it."""


class EmbeddingNetwork(nn.Module):
    """The network with its weights, frozen; gradients pass through it.

    Args:
        path: ``dlib_face_recognition_resnet_model_v1.dat``.

    Raises:
        MachineError: If the file holds other layers.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            blobs = list(_blobs(path.read_bytes()))
            sizes = list(_layer_sizes())
            pairs = zip(sizes, blobs[0:-1:2], blobs[1:-1:2], strict=True)
            folded = [_folded(size, *pair) for size, *pair in pairs]
            last = torch.from_numpy(blobs[-1].reshape(-1, EMBEDDING).copy())
        except (ValueError, IndexError) as error:
            raise MachineError(f"{path}: these are not the layers of dlib's embedding") from error

        self.weights = nn.ParameterList(weights for weights, _ in folded)
        self.biases = nn.ParameterList(bias for _, bias in folded)
        self.last = nn.Parameter(last)
        self.mean: Tensor
        self.register_buffer("mean", Tensor(MEAN).view(3, 1, 1))
        self.requires_grad_(requires_grad=False)

    def forward(self, faces: Tensor) -> Tensor:
        """Return the embeddings of faces, (N, 128), not normalised.

        Args:
            faces: (N, 3, 150, 150), RGB in levels of 256, aligned as ``dlib.get_face_chip`` does.
        """
        return self.maps(faces, len(STAGES)).mean((2, 3)) @ self.last

    def maps(self, faces: Tensor, stages: int) -> Tensor:
        """Return what the network sees after some of its stages, (N, C, h, w).

        Args:
            faces: As ``forward`` takes them.
            stages: How many, from the first.
        """
        x = (faces - self.mean) / 256
        layers = iter(zip(self.weights, self.biases, strict=True))
        x = F.max_pool2d(_convolved(x, next(layers), stride=2, padding=0).relu(), 3, 2)
        for _, blocks, halved in STAGES[:stages]:
            for index in range(blocks):
                x = _block(x, next(layers), next(layers), halved=halved and index == 0)
        return x

    @torch.inference_mode()
    def embed(self, chips: NDArray[np.uint8]) -> Float64:
        """Return the embeddings of faces, (N, 128).

        Args:
            chips: (N, 150, 150, 3) uint8, RGB, aligned as ``dlib.get_face_chip`` does.
        """
        return np.asarray(self(_levels(chips)).double().numpy())

    @torch.inference_mode()
    def describe(self, chips: NDArray[np.uint8], stages: int) -> Float64:
        """Return what the network sees after some stages, (N, 10 C): its mean, and that of 3 x 3.

        Args:
            chips: As ``embed`` takes them.
            stages: How many, from the first.
        """
        seen = self.maps(_levels(chips), stages)
        parts = (seen.mean((2, 3)), F.adaptive_avg_pool2d(seen, 3).flatten(1))
        return np.asarray(torch.cat(parts, dim=1).double().numpy())


def _levels(chips: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(chips)).permute(0, 3, 1, 2).float()


def _block(x: Tensor, first: Layer, second: Layer, *, halved: bool) -> Tensor:
    y = _convolved(x, first, stride=2, padding=0) if halved else _convolved(x, first)
    y = _convolved(y.relu(), second)
    shortcut = F.avg_pool2d(x, 2, 2) if halved else x
    return _sum(shortcut, y).relu()


def _convolved(x: Tensor, layer: Layer, *, stride: int = 1, padding: int = 1) -> Tensor:
    return F.conv2d(x, *layer, stride=stride, padding=padding)


def _sum(a: Tensor, b: Tensor) -> Tensor:
    """Add maps of different sizes; what one of them lacks at the end counts as zero."""
    shape = [max(sides) for sides in zip(a.shape, b.shape, strict=True)]
    total = a.new_zeros(shape)
    for part in (a, b):
        total[tuple(slice(side) for side in part.shape)] += part
    return total


def _layer_sizes() -> Iterator[tuple[int, int, int]]:
    """Yield channels out, channels in and kernel side of each convolution."""
    yield STAGES[0][0], 3, 7
    before = STAGES[0][0]
    for channels, blocks, _ in STAGES:
        for index in range(2 * blocks):
            yield channels, before if index == 0 else channels, 3
        before = channels


def _folded(
    size: tuple[int, int, int], convolution: NDArray[np.float32], affine: NDArray[np.float32]
) -> Layer:
    channels, before, side = size
    weights = torch.from_numpy(convolution[:-channels].copy()).view(channels, before, side, side)
    bias = torch.from_numpy(convolution[-channels:].copy())
    gamma, beta = torch.from_numpy(affine.copy()).view(2, channels)
    return weights * gamma.view(-1, 1, 1, 1), bias * gamma + beta


def _blobs(data: bytes) -> Iterator[NDArray[np.float32]]:
    """Yield the numbers of each layer that has any, in the order of the computation.

    Layer names are followed by tensors: a version, four sides, then little-endian floats. Numbers
    before them are written as their length in bytes and the bytes.
    """
    position = 0
    while match := LAYER.search(data, position):
        position = match.end()
        if match[0].endswith(b"fc_2"):  # inputs and outputs stand before the tensor
            position = _number(data, _number(data, position)[1])[1]
        _, position = _number(data, position)
        count = 1
        for _ in range(4):
            side, position = _number(data, position)
            count *= side
        yield np.frombuffer(data, "<f4", count, position)
        position += 4 * count


def _number(data: bytes, position: int) -> tuple[int, int]:
    """Return a number and the position behind it."""
    start, length = position + 1, data[position] & 0x0F
    return int.from_bytes(data[start : start + length], "little"), start + length
