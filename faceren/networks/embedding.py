"""dlib's face embedding network in torch: gradients pass through it.

Where no gradient is asked for, ``faces.identity`` runs the same network as a graph.

Shape letters: N faces, C channels.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceren.graphs.embedding import MEAN, STAGES, read_embedding

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
        read = read_embedding(path)
        layers = [tuple(torch.from_numpy(array) for array in layer) for layer in read.layers]
        self.weights = nn.ParameterList(weights for weights, _ in layers)
        self.biases = nn.ParameterList(bias for _, bias in layers)
        self.last = nn.Parameter(torch.from_numpy(read.last))
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


def _block(x: Tensor, first: Layer, second: Layer, *, halved: bool) -> Tensor:
    y = _convolved(x, first, stride=2, padding=0) if halved else _convolved(x, first)
    y = _convolved(y.relu(), second)
    shortcut = F.avg_pool2d(x, 2, 2) if halved else x
    return _sum(shortcut, y).relu()


def _convolved(x: Tensor, layer: Layer, *, stride: int = 1, padding: int = 1) -> Tensor:
    return F.conv2d(x, *layer, stride=stride, padding=padding)


def _sum(a: Tensor, b: Tensor) -> Tensor:
    """Add maps of different sizes; what one of them lacks at the end counts as zero."""
    if a.shape == b.shape:
        return a + b
    shape = [max(sides) for sides in zip(a.shape, b.shape, strict=True)]
    return _padded(a, shape) + _padded(b, shape)


def _padded(x: Tensor, shape: Sequence[int]) -> Tensor:
    lacks = [wanted - have for wanted, have in zip(shape, x.shape, strict=True)]
    return F.pad(x, [n for lack in reversed(lacks[1:]) for n in (0, lack)])
