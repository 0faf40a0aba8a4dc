"""The networks of ``networks`` once more, as graphs that run without torch: generator and detector.

Every part here has its twin there, with the sources; what they compute is equal but for rounding.

Shape letters: N batch, C channels, S channels of the guidance, D channels of the embedding, H and W
pixels of a map, h and w half of that.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from faceren.config import DetectorConfig, GeneratorConfig, gain_channels
from faceren.errors import ConfigError
from faceren.graphs.graph import (
    EPSILON,
    FACES,
    RESTORED,
    SIDES,
    Attribute,
    Graph,
    LayerGraph,
    Sides,
)
from faceren.weights import WeightArray

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


__all__ = ["FACES", "RESTORED", "SIDES", "GeneratorGraph", "generator_graph"]


def generator_graph(config: GeneratorConfig, arrays: Mapping[str, WeightArray]) -> "GeneratorGraph":
    """Return a generator as a graph from FACES to RESTORED, (N, 3, H, W) each.

    Args:
        config: Shape of the network.
        arrays: Its state dict.

    Raises:
        ConfigError: If it takes another guidance than the image.
    """
    graph = GeneratorGraph(config, arrays)
    graph.build()
    return graph


class GeneratorGraph(LayerGraph):
    """A generator; see ``LayerGraph`` for its arguments."""

    def build(self) -> None:
        """Add the whole network."""
        config, ch = self.config, self.config.channels
        if config.guidance_channels != 3:
            raise ConfigError("this network needs a parsing map beside the face")
        self._pass_over()
        depth = config.depth
        features = self._encoder() if config.variant != "spade" else []
        if config.variant == "lipspade":
            x = features[-1]
        else:
            x = self.conv(self.every(FACES, config.stride), "fc", 3, ch(depth))
            x = self.at(depth, x, ch(depth))
        x = self._block("head_0", x, depth, ch(depth), features, upsample=False)
        for index in range(config.middle_blocks):
            name = f"middle.{index}"
            x = self._block(name, x, depth - 1, ch(depth), features, upsample=index == 0)
        for index, level in enumerate(reversed(range(depth - 1))):
            x = self._block(f"ups.{index}", x, level, ch(level), features, upsample=True)
        self.rename(self._head(self.rectified(x)), RESTORED)

    def _pass_over(self) -> None:
        """Count weights that no output depends on as known."""
        config, ch = self.config, self.config.channels
        outputs = [(3, ch(level), 3, 3) for level in range(config.depth - 2, 0, -1)]
        unused = {f"to_rgb_unused.{i}": shape for i, shape in enumerate(outputs)}
        if config.head != "tanh":
            unused = {}
        if config.variant == "lipspade":
            unused["fc"] = (ch(config.depth), 3, 3, 3)
        for name, shape in unused.items():
            self.shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}

    # the encoder

    def _encoder(self) -> list[str]:
        """Return the features, (N, C_l, H_l, W_l), from the finest level to the coarsest."""
        config, r = self.config, self.config.stem_stride
        plain = config.encoder_normalisation == "none"

        def reordered(
            kernel: WeightArray,
        ) -> WeightArray:  # SpaceToDepth counts colours before places
            by_place = kernel.reshape(-1, 3, r * r, 3, 3).transpose(0, 2, 1, 3, 4)
            return by_place.reshape(kernel.shape)

        x = self.node("SpaceToDepth", FACES, blocksize=r) if r > 1 else FACES
        x = self.conv(x, "encoder.head", 3 * r * r, config.width, bias=plain, change=reordered)
        x = self.normalised(self.at(0, x, config.width), config.encoder_normalisation)
        features = [self.at(0, self.node("Relu", x), config.width)]
        for level in range(config.depth):
            channels, out = config.channels(level), config.channels(level + 1)
            x = suppressed(self, features[-1], f"encoder.suppress.{level}", level)
            x = self.conv(x, f"encoder.convs.{level}", channels, out)
            x = self.normalised(self.at(level + 1, x, out), config.encoder_normalisation)
            if level + 1 < config.depth:
                x = self.node("Relu", x)
            features.append(self.at(level + 1, x, out))
        return features

    # the decoder

    def _block(
        self, name: str, x: str, level: int, out: int, features: Sequence[str], *, upsample: bool
    ) -> str:
        """Return a residual block of two SPADE layers: see ``networks.spade``."""
        config = self.config
        above = config.depth if level >= config.depth - 2 else level + 1
        channels = config.channels(above) if level < config.depth - 1 else out
        nested = config.variant == "hifacegan"
        scale = config.stem_stride * 2**level
        guidance = features[level] if nested else self.every(FACES, scale)
        middle, learned = min(channels, out), channels != out
        modulated = [channels, middle] + [channels] * (learned and config.shortcut == "spade")
        guides = self._guides(name, guidance, level, [min(config.hidden, c) for c in modulated])

        normal = self.kept(self.normalised(x, config.normalisation))
        if upsample:
            normal = self.at(level, self.enlarged(normal, "nearest"), channels)
        main = self._modulated(normal, guides[0], f"{name}.modulate.0", level)
        main = self._rectified_conv(main, f"{name}.conv_0", level, middle)
        main = self.kept(self.normalised(main, config.normalisation))
        main = self._modulated(main, guides[1], f"{name}.modulate.1", level)
        main = self._rectified_conv(main, f"{name}.conv_1", level, out)
        if learned and config.shortcut == "spade":
            x = self._modulated(normal, guides[2], f"{name}.modulate.2", level)
        if learned:
            x = self.conv(x, f"{name}.conv_s", channels, out, bias=False, side=1)
        if upsample and not (learned and config.shortcut == "spade"):
            x = self.enlarged(x, "nearest")
        return self.at(level, self.node("Add", main, self.at(level, x, out)), out)

    def _guides(self, name: str, guidance: str, level: int, sizes: Sequence[int]) -> list[str]:
        """Return what each SPADE layer is guided by, (N, S, H, W); they share a convolution.

        It is done in parts: to take a map apart would cost more.
        """
        nested = self.config.variant == "hifacegan"
        maps = self.config.channels(level) if nested else self.config.guidance_channels
        kernel = self.stored(f"{name}.shared.weight", (sum(sizes), maps, 3, 3))
        bias = self.stored(f"{name}.shared.bias", (sum(sizes),))
        guides, start = [], 0
        for index, size in enumerate(sizes):
            part = slice(start, start + size)
            numbers = [
                self.constant(array[part], f"{name}.shared.{kind}.{index}")
                for kind, array in (("kernel", kernel), ("bias", bias))
            ]
            x = self.node("Relu", self.convolved(guidance, *numbers))
            guides.append(self.at(level, x, size))
            start += size
        return guides

    def _rectified_conv(self, x: str, name: str, level: int, out: int) -> str:
        return self.at(level, self.conv(self.rectified(x), name, self.channels(x), out), out)

    def _modulated(self, normal: str, guide: str, name: str, level: int) -> str:
        """Return normal * gamma + beta, (N, C, H, W), of a SPADE layer."""
        side, channels = self.config.modulation_kernel, self.channels(normal)
        shape = (2 * channels, self.channels(guide), side, side)
        kernel = self.stored(f"{name}.weight", shape)
        offset = float(self.config.modulation == "one-plus")
        gamma, beta = (
            self.at(level, self.convolved(guide, part, bias, side=side), channels)
            for part, bias in (
                (self.constant(kernel[:channels], f"{name}.gamma"), self.full(offset, channels)),
                (self.constant(kernel[channels:], f"{name}.beta"), self.full(0.0, channels)),
            )
        )
        scaled = self.at(level, self.node("Mul", normal, gamma), channels)
        return self.at(level, self.node("Add", scaled, beta), channels)

    # the output

    def _head(self, x: str) -> str:
        """Return the restored faces, (N, 3, H, W), from the finest features."""
        config, r = self.config, self.config.stem_stride
        added = self._shuffled(self.conv(x, "to_rgb", config.width, 3 * r * r), r)
        if config.head == "tanh":
            return self.node("Tanh", added)
        if config.head == "bands":
            return self.node("Add", self._scaled_octaves(self._gains(x)), added)
        if config.head == "residual":
            return self.node("Add", FACES, added)
        raise ConfigError(f"no graph of the head {config.head!r} is known")

    def _shuffled(self, x: str, side: int) -> str:
        return self.node("DepthToSpace", x, blocksize=side, mode="CRD") if side > 1 else x

    def _gains(self, x: str) -> list[str]:
        """Return the gains of each octave, (N, 2, H, W): see ``networks.bands``.

        They are what a band is multiplied with: 1 is added to that of its colour, that of its
        gray is the difference to it.
        """
        config, r = self.config, self.config.stem_stride
        sizes = [gain_channels(octave, r) for octave in range(config.octaves)]
        kernel = self.stored("to_gains.weight", (sum(sizes), config.width, 1, 1))
        bias = self.stored("to_gains.bias", (sum(sizes),))
        numbers = []
        for array, one, kind in ((kernel, 0.0, "kernel"), (bias, 1.0, "bias")):
            wide = array.astype(np.float32) if self.fits else array
            parts = np.split(wide, np.cumsum(sizes)[:-1])
            pairs = [np.split(part, 2) for part in parts]  # of gray, of colour
            wanted = [half for gray, colour in pairs for half in (gray - colour, colour + one)]
            numbers.append(self.constant(np.concatenate(wanted), f"to_gains.{kind}"))
        made = self.convolved(x, *numbers, side=1)
        split = self.split("Split", made, self.numbers(*sizes), outputs=len(sizes), axis=1)
        gains = []
        for octave, part in enumerate(split):
            coarser = max(1, 2**octave // r)
            part = self._shuffled(part, max(1, r >> octave))
            gains.append(self.pooled(part, coarser) if coarser > 1 else part)
        return gains

    def _scaled_octaves(self, gains: Sequence[str]) -> str:
        """Return the images put together again from their bands, each as the gains say."""
        images, bands = FACES, []
        larger = ""
        for _ in gains:
            smaller = self.pooled(images, 2)
            larger = self.enlarged(smaller, "linear")
            bands.append(self.node("Sub", images, larger))
            images = smaller
        whole = larger
        for index, (band, gain) in enumerate(reversed(list(zip(bands, gains, strict=True)))):
            gray = self.node("ReduceMean", band, self.numbers(1), keepdims=1)
            of_gray, of_colour = self.split("Split", gain, self.numbers(1, 1), outputs=2, axis=1)
            colour = self.node("Mul", of_colour, band)
            here = self.node("Add", self.node("Mul", of_gray, gray), colour)
            whole = self.node("Add", here, self.enlarged(whole, "linear") if index else whole)
        return whole


GRAY, MARKED = "gray", "marked"
GRAY_SIDES: Sides = ("n", 1, "height", "width")
"""Shape of what goes in and comes out."""


def detector_graph(config: DetectorConfig, arrays: Mapping[str, WeightArray]) -> Graph:
    """Return the graph from GRAY, luma in [0, 1], to MARKED, probabilities; (N, 1, H, W) each.

    Args:
        config: Shape of the network.
        arrays: Its state dict, whose keys and shapes are those of ``detector_shapes``.
    """
    graph = Graph("detector", {GRAY: GRAY_SIDES})
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
