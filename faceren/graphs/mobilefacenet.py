"""MobileFaceNet as a graph: the network that says whose a face is and that no training here saw.

Chen et al., MobileFaceNets: Efficient CNNs for Accurate Real-Time Face Verification on Mobile
Devices (arXiv:1804.07573), table 1, with 512 numbers in place of 128: bottlenecks as in MobileNetV2
with PReLU, and a depthwise convolution over the whole last map in place of its mean. Batch
normalisation is folded into the convolutions. Where the weights come from: the card beside them.

Shape letters: N faces.
"""

from collections.abc import Mapping
from typing import Final

from faceren.graphs.graph import Graph, Sides
from faceren.weights import WeightArray

SIDE = 112
"""Side in pixels of the faces that the network knows."""
EMBEDDING = 512
MIDDLE, SPREAD = 127.0, 128.0
"""Level of 256 that it sees as 0, and how many levels as 1."""
CHIPS: Final = "chips"
EMBEDDINGS: Final = "embeddings"
OUTPUTS: dict[str, Sides] = {EMBEDDINGS: ("n", EMBEDDING)}
BOTTLENECKS = ((2, 1), (1, 4), (2, 1), (1, 6), (2, 1), (1, 2))
"""Stride of the depthwise convolution, and how many follow one another; the input is added to what
one of stride 1 has made."""
KINDS = ("weight", "bias")
"""Numbers of a convolution, in the order in which ONNX takes them."""


def embedding_graph(arrays: Mapping[str, WeightArray]) -> Graph:
    """Return the graph from CHIPS, (N, 112, 112, 3) in levels of 256, to EMBEDDINGS, (N, 512).

    Args:
        arrays: By layer, in the order of the computation, counted from ``00``: ``.weight``,
            ``.bias`` and, where a PReLU follows, its ``.slope``. A depthwise convolution is one
            whose kernels have a single channel.
    """
    graph = Graph("mobilefacenet", {CHIPS: ("n", SIDE, SIDE, 3)})
    names = iter(sorted({key.split(".")[0] for key in arrays}))

    def layer(x: str, *, stride: int = 1, padding: int = 0) -> str:
        name = next(names)
        kernel = arrays[f"{name}.weight"]
        numbers = [graph.constant(arrays[f"{name}.{kind}"], f"{name}.{kind}") for kind in KINDS]
        groups = len(kernel) if kernel.shape[1] == 1 else 1
        sides = {"strides": [stride] * 2, "pads": [padding] * 4}
        y = graph.node("Conv", x, *numbers, group=groups, **sides)
        slope = arrays.get(f"{name}.slope")
        return (
            y if slope is None else graph.node("PRelu", y, graph.constant(slope, f"{name}.slope"))
        )

    x = graph.node("Div", graph.node("Sub", CHIPS, graph.constant(MIDDLE)), graph.constant(SPREAD))
    x = layer(graph.node("Transpose", x, perm=[0, 3, 1, 2]), stride=2, padding=1)
    x = layer(x, padding=1)
    for stride, count in BOTTLENECKS:
        for _ in range(count):
            y = layer(layer(layer(x), stride=stride, padding=1))
            x = graph.node("Add", x, y) if stride == 1 else y
    x = layer(layer(layer(x)))
    graph.rename(graph.node("Flatten", x), EMBEDDINGS)
    return graph
