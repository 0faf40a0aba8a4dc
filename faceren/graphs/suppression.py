"""What halves a generator's maps, as in ``networks.suppression``, where the sources are.

Shape letters: N batch, C channels, D channels of the embedding, H and W pixels of a map, h and w
half of that.
"""

import numpy as np

from faceren.errors import ConfigError
from faceren.graphs.graph import Attribute
from faceren.graphs.layers import EPSILON, LayerGraph

PLACES = 9
"""Neighbours of a pixel, itself among them, row by row."""
GATES = 16
"""Channels of a map with a gate for each of them; the rest is empty: so it is one block."""
LIP_COEFFICIENT = 12.0


def suppressed(graph: LayerGraph, x: str, name: str, level: int) -> str:
    """Return a map halved, (N, C, h, w).

    Args:
        graph: The network so far.
        x: (N, C, H, W), of the level.
        name: Of the layer in the state dict.
        level: Halvings so far.
    """
    kind, channels = graph.config.suppression, graph.config.channels(level)
    if kind == "fixed":
        return graph.conv(x, name, channels, channels, bias=False, stride=2)
    if kind == "lip":
        return _pooled_by_importance(graph, x, name, channels)
    if kind != "adaptive":
        raise ConfigError(f"no graph of the suppression {kind!r} is known")
    gates = _gates(graph, x, name, level)
    kernel = graph.stored(f"{name}.weight", (channels, channels, 3, 3))
    parts = []
    for place in range(PLACES):
        chosen = np.zeros((channels, GATES, 1, 1), np.float16)
        chosen[:, place] = 1
        gate = graph.convolved(gates, graph.once(f"gate_{place}x{channels}", chosen), side=1)
        gate = graph.at(level + 1, gate, channels)
        gated = graph.node("Mul", _neighbour(graph, x, level, place), gate)
        gated = graph.at(level + 1, gated, channels)
        tap = graph.constant(kernel[:, :, place // 3, place % 3, None, None], f"{name}.{place}")
        parts.append(graph.convolved(gated, tap, side=1))
    return _total(graph, parts, level + 1, channels)


def _gates(graph: LayerGraph, x: str, name: str, level: int) -> str:
    """Return phi of every output pixel and each of its neighbours, (N, GATES, h, w)."""
    dim, channels = graph.config.kernel_dim, graph.config.channels(level)
    embedded = graph.node("Relu", graph.conv(x, f"{name}.embed.0", channels, dim, side=1))
    embedded = graph.at(level, graph.conv(embedded, f"{name}.embed.2", dim, dim, side=1), dim)
    centre = _neighbour(graph, embedded, level, PLACES // 2)
    parts = []
    for place in range(PLACES):
        other = _neighbour(graph, embedded, level, place)
        product = graph.at(level + 1, graph.node("Mul", centre, other), dim)
        row = np.zeros((GATES, dim, 1, 1), np.float16)
        row[place] = 1
        parts.append(graph.convolved(product, graph.once(f"row_{place}x{dim}", row), side=1))
    affinity = _total(graph, parts, level + 1, GATES)
    activation = "Sigmoid" if graph.config.kernel_activation == "sigmoid" else "Tanh"
    return graph.at(level + 1, graph.node(activation, affinity), GATES)


def _neighbour(graph: LayerGraph, x: str, level: int, place: int) -> str:
    """Return the neighbour at one place of every second pixel, (N, C, h, w); zero outside."""
    channels = graph.channels(x)
    tap = np.zeros((channels, 1, 3, 3), np.float16)
    tap[:, :, place // 3, place % 3] = 1
    kernel = graph.once(f"place_{place}x{channels}", tap)
    return graph.at(level + 1, graph.convolved(x, kernel, stride=2, group=channels), channels)


def _total(graph: LayerGraph, parts: list[str], level: int, channels: int) -> str:
    """Return the sum of maps of a level."""
    total = graph.at(level, parts[0], channels)
    for part in parts[1:]:
        total = graph.node("Add", total, graph.at(level, part, channels))
        total = graph.at(level, total, channels)
    return total


def _pooled_by_importance(graph: LayerGraph, x: str, name: str, channels: int) -> str:
    logit = graph.conv(x, f"{name}.logit", channels, channels, bias=False)
    norm = [graph.vector(f"{name}.norm.{part}", channels) for part in ("weight", "bias")]
    logit = graph.node("InstanceNormalization", logit, *norm, epsilon=EPSILON)
    half = graph.node("Sub", graph.node("Sigmoid", logit), graph.number(0.5))
    weight = graph.node("Exp", graph.node("Mul", half, graph.number(LIP_COEFFICIENT)))
    how: dict[str, Attribute] = {
        "kernel_shape": [3, 3],
        "strides": [2, 2],
        "pads": [1] * 4,
        "count_include_pad": 1,
    }
    over = graph.node("AveragePool", graph.node("Mul", x, weight), **how)
    return graph.node("Div", over, graph.node("AveragePool", weight, **how))
