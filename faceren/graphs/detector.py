"""The detector of marks of ``networks.detector`` once more, as a graph that runs without torch.

Shape letters: N batch, H and W pixels.
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from faceren.config import DetectorConfig
from faceren.graphs.graph import Graph, Sides
from faceren.weights import Stored

GRAY, MARKED = "gray", "marked"
SIDES: Sides = ("n", 1, "height", "width")
"""Shape of what goes in and comes out."""


def detector_graph(config: DetectorConfig, arrays: Mapping[str, Stored]) -> Graph:
    """Return the graph from GRAY, luma in [0, 1], to MARKED, probabilities; (N, 1, H, W) each.

    Args:
        config: Shape of the network.
        arrays: Its state dict, whose keys and shapes are those of ``detector_shapes``.
    """
    graph = Graph("detector", {GRAY: SIDES})
    ch = config.channels

    def convolved(x: str, name: str, *, stride: int = 1, padding: int = 1) -> str:
        numbers = [graph.constant(arrays[f"{name}.{part}"]) for part in ("weight", "bias")]
        return graph.node("Conv", x, *numbers, strides=[stride] * 2, pads=[padding] * 4)

    x = graph.node("Sub", GRAY, graph.constant(0.5))
    x = graph.node("SpaceToDepth", x, blocksize=2)
    twice = graph.constant(np.array([1, 1, 2, 2], np.float32))
    seen = []
    for level in range(len(ch)):
        first = convolved(x, f"down.{level}.0", stride=1 + bool(level))
        x = graph.node("Relu", convolved(graph.node("Relu", first), f"down.{level}.2"))
        seen.append(x)
    for level in reversed(range(len(ch) - 1)):
        large = graph.node("Resize", x, "", twice, mode="linear")
        joined = graph.node("Concat", large, seen[level], axis=1)
        x = graph.node("Relu", convolved(joined, f"up.{level}"))
    logits = graph.node("DepthToSpace", convolved(x, "last", padding=0), blocksize=2)
    graph.rename(graph.node("Sigmoid", logits), MARKED)
    return graph


def detector_shapes(config: DetectorConfig) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a detector's state dict, by key."""
    ch = config.channels
    kernels: dict[str, tuple[int, ...]] = {"last": (4, ch[0], 1, 1)}
    for level, (before, after) in enumerate(pairwise((4, *ch))):
        kernels |= {
            f"down.{level}.0": (after, before, 3, 3),
            f"down.{level}.2": (after, after, 3, 3),
        }
    for level, (fine, coarse) in enumerate(pairwise(ch)):
        kernels[f"up.{level}"] = (fine, coarse + fine, 3, 3)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, shape in kernels.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return shapes
