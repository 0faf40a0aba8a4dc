"""dlib's face embedding network: its weights read from dlib's file, and its graph.

The packaged dlib has no fast matrix product. The network is a ResNet of 29 layers (He et al.,
arXiv:1512.03385, in dlib's variant: unpadded strided convolutions, shortcuts by average pooling,
missing channels and pixels of a sum count as zero), trained by metric loss on faces of 150 pixels;
its weights stand in the file that dlib reads, one layer behind the other.

Shape letters: N faces, C channels.
"""

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceren.errors import MachineError
from faceren.graphs.graph import Graph, Sides

SIDE = 150
"""Side in pixels of the faces that the network knows."""
MEAN = (122.782, 117.001, 104.298)
"""Mean red, green and blue of the faces it was trained on, in levels of 256."""
STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
"""Channels of each stage, its blocks, and whether its first block halves the picture."""
EMBEDDING = 128
ALL = len(STAGES)
CHIPS, MAPS, EMBEDDINGS = "chips", "maps", "embeddings"
LAYER = re.compile(rb"\x01\x05con_4|\x01\x07affine_|\x01\x04fc_2")

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Weights (C, C', k, k) and bias (C,) of a convolution and the affine layer behind it."""


@dataclass(frozen=True)
class EmbeddingWeights:
    """The numbers of the network."""

    layers: tuple[Layer, ...]
    last: NDArray[np.float32]
    """(256, 128), which makes the embedding of the last stage's mean."""


def read_embedding(path: Path) -> EmbeddingWeights:
    """Return the weights in ``dlib_face_recognition_resnet_model_v1.dat``.

    Raises:
        MachineError: If the file holds other layers.
    """
    try:
        with path.open("rb") as file:
            blobs = list(_blobs(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
        sizes = list(_layer_sizes())
        pairs = zip(sizes, blobs[0:-1:2], blobs[1:-1:2], strict=True)
        layers = tuple(_folded(size, *pair) for size, *pair in pairs)
        return EmbeddingWeights(layers, blobs[-1].reshape(-1, EMBEDDING).copy())
    except (ValueError, IndexError) as error:
        raise MachineError(f"{path}: these are not the layers of dlib's embedding") from error


def embedding_graph(weights: EmbeddingWeights, stages: int) -> Graph:
    """Return the graph from CHIPS, (N, 150, 150, 3) in levels of 256, to ``outputs_after``.

    Args:
        weights: Of the network.
        stages: How many of its stages, from the first.
    """
    graph = Graph("embedding", {CHIPS: ("n", SIDE, SIDE, 3)})
    layers = iter(weights.layers)

    def convolved(x: str, *, stride: int = 1, padding: int = 1) -> str:
        numbers = [graph.constant(array) for array in next(layers)]
        return graph.node("Conv", x, *numbers, strides=[stride] * 2, pads=[padding] * 4)

    mean = graph.constant(np.array(MEAN, np.float32))
    x = graph.node("Div", graph.node("Sub", CHIPS, mean), graph.constant(256.0))
    x = graph.node("Transpose", x, perm=[0, 3, 1, 2])
    x = graph.node("Relu", convolved(x, stride=2, padding=0))
    x = graph.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
    side, before = ((SIDE - 7) // 2 - 2) // 2 + 1, STAGES[0][0]  # 72 pixels, then 35
    for channels, blocks, halved in STAGES[:stages]:
        for index in range(blocks):
            halves = halved and index == 0
            y = convolved(x, stride=2, padding=0) if halves else convolved(x)
            y = convolved(graph.node("Relu", y))
            if halves:
                x = graph.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
                pooled, side = side // 2, (side - 3) // 2 + 1
                x = _padded(graph, x, channels - before, 0)
                y = _padded(graph, y, 0, pooled - side)
                side = max(pooled, side)
            x = graph.node("Relu", graph.node("Add", x, y))
        before = channels
    if stages < ALL:
        graph.rename(x, MAPS)
        return graph
    x = graph.node("ReduceMean", x, graph.constant([2, 3]), keepdims=0)
    graph.rename(graph.node("MatMul", x, graph.constant(weights.last)), EMBEDDINGS)
    return graph


def outputs_after(stages: int) -> dict[str, Sides]:
    """Return what comes out: MAPS, (N, C, h, w), or after ALL stages EMBEDDINGS, (N, 128)."""
    return {MAPS: ("n", "c", "h", "w")} if stages < ALL else {EMBEDDINGS: ("n", EMBEDDING)}


def _padded(graph: Graph, x: str, channels: int, pixels: int) -> str:
    """Return (N, C, h, w) with zeros behind: what one summand lacks counts as zero."""
    if channels == pixels == 0:
        return x
    return graph.node("Pad", x, graph.constant([0, 0, 0, 0, 0, channels, pixels, pixels]))


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
    weights = convolution[:-channels].reshape(channels, before, side, side)
    gamma, beta = affine.reshape(2, channels)
    return weights * gamma[:, None, None, None], convolution[-channels:] * gamma + beta


def _blobs(data: mmap.mmap) -> Iterator[NDArray[np.float32]]:
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


def _number(data: mmap.mmap, position: int) -> tuple[int, int]:
    """Return a number and the position behind it."""
    start, length = position + 1, data[position] & 0x0F
    return int.from_bytes(data[start : start + length], "little"), start + length
