"""The first third of EfficientNet-Lite1 as a graph: what a network that knows things sees in gray.

Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks
(arXiv:1905.11946), its Lite variant without squeeze-and-excitation and with ReLU6. Of its blocks
the first nine are here, up to a stride of 16; batch normalisation is folded into the convolutions,
and the three channels of the first one are added up, since gray has the same in each. Where the
weights come from: ``models/faceren-wear.md``; their twin in torch: ``networks.efficientnet``.

Shape letters: N pictures, H and W their sides, C channels.
"""

from collections.abc import Mapping
from typing import Final

from faceren.graphs.graph import Graph, Sides
from faceren.weights import WeightArray

PICTURE: Final = "picture"
PICTURE_SIDES: Sides = ("n", 1, "height", "width")
STRIDES = (1, 2, 1, 1, 2, 1, 1, 2, 1)
"""Of the depthwise convolution of each block; the first block has no convolution that widens it."""
LAST_OF = {3: 4, 6: 8, 8: 16}
"""Blocks whose maps are looked at, and the stride of each."""
CHANNELS = (24, 40, 80)
"""Of these maps."""
COARSEST = 16
"""Sides of a picture are multiples of this many pixels."""
REACH = 77
"""Pixels beyond which nothing changes what is seen at a place."""
MIDDLE, SPREAD = 127 / 255, 128 / 255
"""What of [0, 1] the network sees as 0, and what as 1."""
PROJECTED = "marks"
FIRST = "00"
"""The one convolution that sees gray itself."""


def outputs_of(arrays: Mapping[str, WeightArray]) -> dict[str, Sides]:
    """Return the names and shapes of what comes out: a map of each stride, the finest first.

    Args:
        arrays: See ``observer_graph``.
    """
    kernels = (arrays.get(f"{PROJECTED}.{stride}") for stride in LAST_OF.values())
    counts = [c if k is None else len(k) for c, k in zip(CHANNELS, kernels, strict=True)]
    return {
        f"by_{stride}": ("n", count, f"height/{stride}", f"width/{stride}")
        for stride, count in zip(LAST_OF.values(), counts, strict=True)
    }


def observer_graph(arrays: Mapping[str, WeightArray]) -> Graph:
    """Return the graph from PICTURE, luma in [0, 1], to ``outputs_of``.

    Args:
        arrays: By layer, in the order of the computation, counted from ``00``: ``.weight`` and
            ``.bias``. Of each stride there may be ``marks.STRIDE``, (C', C, 1, 1): then its map is
            not given out, but these sums of it.
    """
    graph = Graph("observer", {PICTURE: PICTURE_SIDES})
    names = iter(sorted({key.split(".")[0] for key in arrays} - {PROJECTED}))
    low, high = graph.constant(0.0), graph.constant(6.0)

    def layer(x: str, *, stride: int = 1, rectified: bool = True) -> str:
        name = next(names)
        kernel = arrays[f"{name}.weight"]
        numbers = [graph.constant(kernel), graph.constant(arrays[f"{name}.bias"])]
        side = kernel.shape[-1]
        # TensorFlow pads what is halved on its far sides first
        before, after = (side - stride) // 2, side - stride - (side - stride) // 2
        groups = len(kernel) if kernel.shape[1] == 1 and name != FIRST else 1
        how = {"strides": [stride] * 2, "pads": [before] * 2 + [after] * 2}
        y = graph.node("Conv", x, *numbers, group=groups, **how)
        return graph.node("Clip", y, low, high) if rectified else y

    x = graph.node("Sub", PICTURE, graph.constant(MIDDLE))
    x = layer(graph.node("Div", x, graph.constant(SPREAD)), stride=2)
    channels = 0
    for number, stride in enumerate(STRIDES):
        wide = layer(x) if number else x
        y = layer(layer(wide, stride=stride), rectified=False)
        before, channels = channels, _channels_after(arrays, number)
        x = graph.node("Add", x, y) if stride == 1 and before == channels else y
        if number in LAST_OF:
            kernel = arrays.get(f"{PROJECTED}.{LAST_OF[number]}")
            seen = x if kernel is None else graph.node("Conv", x, graph.constant(kernel))
            graph.rename(seen, f"by_{LAST_OF[number]}")
    return graph


def _channels_after(arrays: Mapping[str, WeightArray], block: int) -> int:
    return len(arrays[f"{2 + 3 * block:02d}.weight"])
