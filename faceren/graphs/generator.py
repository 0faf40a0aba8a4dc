"""The generators of ``networks.generator`` once more, as a graph that runs without torch.

Every part here has its twin there, with the sources; what they compute is equal but for rounding.
Where sums run over channels, maps are kept with their channels last.

Shape letters: N batch, C channels, H and W pixels of a map.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from faceren.config import GeneratorConfig, gain_channels
from faceren.errors import ConfigError
from faceren.graphs.graph import Attribute, Graph, Weight
from faceren.graphs.spectral import folded, is_spectral
from faceren.weights import Stored

FACES, RESTORED = "faces", "restored"
SIDES = ("n", 3, "height", "width")
"""Shape of what goes in and comes out."""
END = 2**31 - 1
EPSILON = 1e-5
LIP_COEFFICIENT = 12.0
Change = Callable[[Stored], Stored]


def generator_graph(config: GeneratorConfig, arrays: Mapping[str, Stored]) -> "GeneratorGraph":
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


class GeneratorGraph(Graph):
    """A graph whose weights come from a state dict.

    Args:
        config: Shape of the network.
        arrays: Its state dict; keys and shapes that it lacks or that differ are found in
            ``shapes`` afterwards.
    """

    def __init__(self, config: GeneratorConfig, arrays: Mapping[str, Stored]) -> None:
        super().__init__("generator", {FACES: SIDES})
        self.config = config
        self.arrays = arrays
        self.fits = True
        """Whether all weights so far were there; once one is not, none is kept."""
        self.shapes = self._unused()
        """Shapes of the state dict that the network has, by key."""

    def build(self) -> None:
        """Add the whole network."""
        config, ch = self.config, self.config.channels
        if config.guidance_channels != 3:
            raise ConfigError("this network needs a parsing map beside the face")
        depth = config.depth
        features = self._encoder() if config.variant != "spade" else []
        if config.variant == "lipspade":
            x = features[-1]
        else:
            small = self.every(FACES, config.stride, axes=(2, 3))
            x = self.conv3x3(small, "fc", 3, ch(depth))
        x = self._block("head_0", x, depth, ch(depth), features, upsample=False)
        for index in range(config.middle_blocks):
            name = f"middle.{index}"
            x = self._block(name, x, depth - 1, ch(depth), features, upsample=index == 0)
        for index, level in enumerate(reversed(range(depth - 1))):
            x = self._block(f"ups.{index}", x, level, ch(level), features, upsample=True)
        self.rename(self._head(self.node("LeakyRelu", x, alpha=0.2)), RESTORED)

    def _unused(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of weights that no output depends on."""
        config, ch = self.config, self.config.channels
        outputs = [(3, ch(level), 3, 3) for level in range(config.depth - 2, 0, -1)]
        unused = {f"to_rgb_unused.{i}": shape for i, shape in enumerate(outputs)}
        if config.head != "tanh":
            unused = {}
        if config.variant == "lipspade":
            unused["fc"] = (ch(config.depth), 3, 3, 3)
        shapes: dict[str, tuple[int, ...]] = {}
        for name, shape in unused.items():
            shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
        return shapes

    # weights

    def stored(self, key: str, shape: tuple[int, ...]) -> Stored:
        """Return an array of the state dict.

        If it is not there or has another shape, return zeros that take no memory: a small file may
        claim to be of any network.
        """
        self.shapes[key] = shape
        found = self.arrays.get(key)
        if found is not None and found.shape == shape:
            return found
        self.fits = False
        return np.broadcast_to(np.float32(0), shape)

    def constant(self, value: Weight | Sequence[int] | float, name: str = "") -> str:
        """Keep a constant, unless the network cannot be built; return its name."""
        return super().constant(value if self.fits else [], name)

    def kernel(self, name: str, shape: tuple[int, ...], change: Change | None = None) -> str:
        """Keep the kernel of a convolution, spectral normalisation folded; return its name.

        Args:
            name: Of the convolution.
            shape: (O, C, k, k).
            change: Another order of its numbers.
        """
        key = f"{name}.parametrizations.weight"
        if self.config.spectral_norm and is_spectral(name):
            array = self.stored(f"{key}.original", shape)
            left = self.stored(f"{key}.0._u", shape[:1])
            right = self.stored(f"{key}.0._v", (int(np.prod(shape[1:])),))
            array = folded(array, left, right) if self.fits else array
        else:
            array = self.stored(f"{name}.weight", shape)
        return self.constant(array if change is None else change(array), f"{name}.kernel")

    def vector(self, key: str, channels: int) -> str:
        """Keep a vector of the state dict; return its name."""
        return self.constant(self.stored(key, (channels,)), key)

    # layers

    def conv3x3(
        self,
        x: str,
        name: str,
        channels: int,
        out: int,
        *,
        bias: bool = True,
        stride: int = 1,
        change: Change | None = None,
    ) -> str:
        """Return a convolution padded with zeros, (N, O, H, W) of (N, C, H, W)."""
        inputs = [x, self.kernel(name, (out, channels, 3, 3), change)]
        inputs += [self.vector(f"{name}.bias", out)] if bias else []
        return self.node("Conv", *inputs, pads=[1] * 4, kernel_shape=[3, 3], strides=[stride] * 2)

    def pointwise(
        self, x: str, name: str, channels: int, out: int, *, bias: bool = False, side: int = 1
    ) -> str:
        """Return a 1x1 convolution of a map with its channels last, (N, H, W, O).

        Args:
            x: (N, H, W, C), or (N, H, W, s s C): the neighbours of a pixel row by row.
            name: Of the convolution; that of a parameter if ``side`` is not 1.
            channels: C.
            out: O.
            bias: Add one.
            side: s.
        """
        if side == 1:
            kernel = self.kernel(name, (out, channels, 1, 1), lambda k: k.reshape(out, -1).T)
        else:
            array = self.stored(name, (out, channels, side, side))
            kernel = self.constant(array.transpose(2, 3, 1, 0).reshape(-1, out), name)
        y = self.node("MatMul", x, kernel)
        return self.node("Add", y, self.vector(f"{name}.bias", out)) if bias else y

    def channels_last(self, x: str) -> str:
        """Return (N, H, W, C) of (N, C, H, W)."""
        return self.node("Transpose", x, perm=[0, 2, 3, 1])

    def channels_first(self, x: str) -> str:
        """Return (N, C, H, W) of (N, H, W, C)."""
        return self.node("Transpose", x, perm=[0, 3, 1, 2])

    def normalised(self, x: str, channels: int, kind: str) -> str:
        """Return ``x`` (N, C, H, W) normalised, with its channels last."""
        if kind == "none":
            return self.channels_last(x)
        ones = self.once(f"ones_{channels}", np.ones(channels, np.float32))
        if kind == "layer":
            x = self.channels_last(x)
            return self.node("LayerNormalization", x, ones, axis=-1, epsilon=EPSILON)
        zeros = self.once(f"zeros_{channels}", np.zeros(channels, np.float32))
        x = self.node("InstanceNormalization", x, ones, zeros, epsilon=EPSILON)
        return self.channels_last(x)

    def every(self, x: str, step: int, *, axes: tuple[int, int], start: str = "") -> str:
        """Return every ``step``-th row and column of a map."""
        begin, end = start or self.numbers(0, 0), self.numbers(END, END)
        return self.node("Slice", x, begin, end, self.numbers(*axes), self.numbers(step, step))

    def offsets(self, x: str) -> Iterator[str]:
        """Yield the neighbour at each of the 3x3 offsets of every second pixel, (N, h, w, C)."""
        padded = self.node("Pad", x, self.numbers(0, 1, 1, 0, 0, 1, 1, 0))
        for dy in range(3):
            for dx in range(3):
                ends = self.numbers(*(offset - 2 if offset < 2 else END for offset in (dy, dx)))
                axes, steps = self.numbers(1, 2), self.numbers(2, 2)
                yield self.node("Slice", padded, self.numbers(dy, dx), ends, axes, steps)

    def enlarged(self, x: str, mode: str) -> str:
        """Return (N, C, 2H, 2W) of (N, C, H, W): ``nearest``, or ``linear``."""
        twice = self.once("twice", np.array([1, 1, 2, 2], np.float32))
        how = {"nearest_mode": "floor"} if mode == "nearest" else {}
        place = "asymmetric" if mode == "nearest" else "half_pixel"
        return self.node(
            "Resize", x, "", twice, mode=mode, coordinate_transformation_mode=place, **how
        )

    def pooled(self, x: str, side: int) -> str:
        """Return the mean over each square of ``side`` pixels."""
        return self.node("AveragePool", x, kernel_shape=[side] * 2, strides=[side] * 2)

    # the encoder

    def _encoder(self) -> list[str]:
        """Return the features, (N, C_l, H_l, W_l), from the finest level to the coarsest."""
        config, r = self.config, self.config.stem_stride
        plain = config.encoder_normalisation == "none"

        def reordered(kernel: Stored) -> Stored:  # SpaceToDepth counts colours before places
            by_place = kernel.reshape(-1, 3, r * r, 3, 3).transpose(0, 2, 1, 3, 4)
            return by_place.reshape(kernel.shape)

        x = self.node("SpaceToDepth", FACES, blocksize=r) if r > 1 else FACES
        x = self.conv3x3(
            x, "encoder.head", 3 * r * r, config.width, bias=plain, change=reordered
        )  # fmt: skip
        x = self.node("Relu", self._normalised_first(x, config.width))
        features = [x]
        for level in range(config.depth):
            channels, out = config.channels(level), config.channels(level + 1)
            x = self._suppressed(x, f"encoder.suppress.{level}", channels)
            x = self.conv3x3(x, f"encoder.convs.{level}", channels, out)
            x = self._normalised_first(x, out)
            if level + 1 < config.depth:
                x = self.node("Relu", x)
            features.append(x)
        return features

    def _normalised_first(self, x: str, channels: int) -> str:
        kind = self.config.encoder_normalisation
        return x if kind == "none" else self.channels_first(self.normalised(x, channels, kind))

    def _suppressed(self, x: str, name: str, channels: int) -> str:
        """Return a map halved, (N, C, h, w): see ``networks.suppression``."""
        if self.config.suppression == "fixed":
            return self.conv3x3(x, name, channels, channels, bias=False, stride=2)
        if self.config.suppression == "lip":
            return self._pooled_by_importance(x, name, channels)
        if self.config.suppression != "adaptive":
            raise ConfigError(f"no graph of the suppression {self.config.suppression!r} is known")
        dim, x = self.config.kernel_dim, self.channels_last(x)
        embedded = self.node("Relu", self.pointwise(x, f"{name}.embed.0", channels, dim, bias=True))
        embedded = self.pointwise(embedded, f"{name}.embed.2", dim, dim, bias=True)
        centre, last = self.every(embedded, 2, axes=(1, 2)), self.numbers(-1)
        affinity = [
            self.node("ReduceSum", self.node("Mul", centre, other), last, keepdims=1)
            for other in self.offsets(embedded)
        ]  # (N, h, w, 1) each
        activation = "Sigmoid" if self.config.kernel_activation == "sigmoid" else "Tanh"
        phi = self.node(activation, self.node("Concat", *affinity, axis=3))
        gates = self.split("Split", phi, outputs=9, axis=3, num_outputs=9)
        neighbours = self.offsets(x)
        gated = [self.node("Mul", x, gate) for x, gate in zip(neighbours, gates, strict=True)]
        rows = self.node("Concat", *gated, axis=3)  # (N, h, w, 9 C)
        return self.channels_first(
            self.pointwise(rows, f"{name}.weight", channels, channels, side=3)
        )

    def _pooled_by_importance(self, x: str, name: str, channels: int) -> str:
        logit = self.conv3x3(x, f"{name}.logit", channels, channels, bias=False)
        norm = [self.vector(f"{name}.norm.{part}", channels) for part in ("weight", "bias")]
        logit = self.node("InstanceNormalization", logit, *norm, epsilon=EPSILON)
        half = self.node("Sub", self.node("Sigmoid", logit), self.number(0.5))
        weight = self.node("Exp", self.node("Mul", half, self.number(LIP_COEFFICIENT)))
        how: dict[str, Attribute] = {
            "kernel_shape": [3, 3],
            "strides": [2, 2],
            "pads": [1] * 4,
            "count_include_pad": 1,
        }
        over = self.node("AveragePool", self.node("Mul", x, weight), **how)
        return self.node("Div", over, self.node("AveragePool", weight, **how))

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
        guidance = features[level] if nested else self.every(FACES, scale, axes=(2, 3))
        middle, learned = min(channels, out), channels != out
        modulated = [channels, middle] + [channels] * (learned and config.shortcut == "spade")
        hidden = [min(config.hidden, size) for size in modulated]

        maps = config.channels(level) if nested else config.guidance_channels
        shared = self.node("Relu", self.conv3x3(guidance, f"{name}.shared", maps, sum(hidden)))
        guides = self.split(
            "Split", self.channels_last(shared), self.numbers(*hidden), outputs=len(hidden), axis=3
        )
        normal = self.normalised(x, channels, config.normalisation)
        if upsample:
            normal = self.channels_last(self.enlarged(self.channels_first(normal), "nearest"))
        main = self._modulated(normal, guides[0], f"{name}.modulate.0", hidden[0], channels)
        main = self._activated_conv(main, f"{name}.conv_0", channels, middle)
        main = self.normalised(main, middle, config.normalisation)
        main = self._modulated(main, guides[1], f"{name}.modulate.1", hidden[1], middle)
        main = self._activated_conv(main, f"{name}.conv_1", middle, out)
        if learned and config.shortcut == "spade":
            other = self._modulated(normal, guides[2], f"{name}.modulate.2", hidden[2], channels)
            x = self.channels_first(self.pointwise(other, f"{name}.conv_s", channels, out))
            return self.node("Add", main, x)
        if learned:
            x = self.node("Conv", x, self.kernel(f"{name}.conv_s", (out, channels, 1, 1)))
        return self.node("Add", main, self.enlarged(x, "nearest") if upsample else x)

    def _activated_conv(self, x: str, name: str, channels: int, out: int) -> str:
        x = self.node("LeakyRelu", self.channels_first(x), alpha=0.2)
        return self.conv3x3(x, name, channels, out)

    def _modulated(self, normal: str, guide: str, name: str, hidden: int, channels: int) -> str:
        """Return normal * gamma + beta, (N, H, W, C), of a SPADE layer."""
        side = self.config.modulation_kernel
        kernel = self.stored(f"{name}.weight", (2 * channels, hidden, side, side))
        made = []
        for part, half in (("gamma", kernel[:channels]), ("beta", kernel[channels:])):
            if side == 1:
                weight = self.constant(half.reshape(channels, -1).T, f"{name}.{part}")
                made.append(self.node("MatMul", guide, weight))
            else:
                weight = self.constant(half, f"{name}.{part}")
                planes = self.channels_first(guide)
                made.append(self.channels_last(self.node("Conv", planes, weight, pads=[1] * 4)))
        gamma, beta = made
        if self.config.modulation == "one-plus":
            gamma = self.node("Add", gamma, self.number(1.0))
        return self.node("Add", self.node("Mul", normal, gamma), beta)

    # the output

    def _head(self, x: str) -> str:
        """Return the restored faces, (N, 3, H, W), from the finest features."""
        config, r = self.config, self.config.stem_stride
        added = self.conv3x3(x, "to_rgb", config.width, 3 * r * r)
        added = self._shuffled(added, r)
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
        """Return the gains of each octave, (N, 2, H, W): see ``networks.bands``."""
        config, r = self.config, self.config.stem_stride
        sizes = [gain_channels(octave, r) for octave in range(config.octaves)]
        kernel = self.kernel("to_gains", (sum(sizes), config.width, 1, 1))
        made = self.node("Conv", x, kernel, self.vector("to_gains.bias", sum(sizes)))
        parts = self.split("Split", made, self.numbers(*sizes), outputs=len(sizes), axis=1)
        gains = []
        for octave, part in enumerate(parts):
            coarser = max(1, 2**octave // r)
            part = self._shuffled(part, max(1, r >> octave))
            gains.append(self.pooled(part, coarser) if coarser > 1 else part)
        return gains

    def _scaled_octaves(self, gains: Sequence[str]) -> str:
        images, bands = FACES, []
        for _ in gains:
            smaller = self.pooled(images, 2)
            bands.append(self.node("Sub", images, self.enlarged(smaller, "linear")))
            images = smaller
        change = ""
        for band, gain in reversed(list(zip(bands, gains, strict=True))):
            gray = self.node("ReduceMean", band, self.numbers(1), keepdims=1)
            of_gray, of_colour = self.split("Split", gain, self.numbers(1, 1), outputs=2, axis=1)
            more = self.node("Mul", self.node("Sub", of_gray, of_colour), gray)
            here = self.node("Add", more, self.node("Mul", of_colour, band))
            change = self.node("Add", here, self.enlarged(change, "linear")) if change else here
        return self.node("Add", FACES, change)
