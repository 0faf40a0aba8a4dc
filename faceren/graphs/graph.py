"""A network as an ONNX file: nodes put one behind the other, weights beside them; and its layers.

The file format is protocol buffers; what little of it such a file needs is written here, because
a run writes its graph anew each time, and the package ``onnx`` would add to every start what a
small photo takes. Field numbers: ``onnx.proto`` (IR version 8, opset 18).

Layers are those of ``networks``, their weights from a state dict. ONNX Runtime keeps maps in blocks
of channels while convolutions, products, sums and rectifiers follow one another, and computes a sum
inside the convolution before it; other operations cost a copy before and after. So whatever can be
said as a convolution is one here, and ``at`` says which maps have one shape, without which products
and sums are not taken for such.

Shape letters: N batch, C channels (in), O channels out, k kernel side, H and W pixels of a map.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceren.config import GeneratorConfig
from faceren.weights import WeightArray

IR_VERSION = 8
OPSET = 18
FLOAT, INT64, FLOAT16 = 1, 7, 10
"""Types of tensors, as ONNX numbers them."""
HALF = ".half"
"""Ends the name of a weight as it is stored, if that is in half precision."""
TYPES = {"float32": FLOAT, "int64": INT64, "float16": FLOAT16}

Weight = NDArray[np.float32] | NDArray[np.float16] | NDArray[np.int64]
Attribute = int | float | str | Sequence[int]
Sides = tuple[int | str, ...]
"""Shape of an input or output; a side that may vary has a name."""


@dataclass
class Graph:
    """A network in the making. Values are known by their names, which ``node`` gives out."""

    name: str
    inputs: dict[str, Sides]
    """What goes in, float32."""
    weights: dict[str, Weight] = field(default_factory=dict)
    """Constant values, by name."""
    nodes: list[bytes] = field(default_factory=list)
    known: dict[str, Sides] = field(default_factory=dict)
    """Shapes of values on the way, by name, for those who cannot infer them."""

    def constant(self, value: Weight | Sequence[int] | float, name: str = "") -> str:
        """Keep a constant; return its name.

        Args:
            value: An array, whole numbers, or one float.
            name: Default: a number of its own.
        """
        array: NDArray[Any]
        if isinstance(value, np.ndarray):
            array = np.ascontiguousarray(value)
        else:
            array = np.array(value, np.float32 if isinstance(value, float) else np.int64)
        name = name or f"constant_{len(self.weights)}"
        self.weights[name] = array
        return name

    def numbers(self, *values: int) -> str:
        """Return the name of whole numbers."""
        return self.once("numbers_" + "_".join(map(str, values)), np.array(values, np.int64))

    def number(self, value: float) -> str:
        """Return the name of a number."""
        return self.once(f"number_{value}", np.array(value, np.float32))

    def once(self, name: str, value: Weight) -> str:
        """Keep a constant that several nodes share; return its name."""
        return name if name in self.weights else self.constant(value, name)

    def node(self, kind: str, *inputs: str, **attributes: Attribute) -> str:
        """Add an operation with one output; return the output's name."""
        return self.split(kind, *inputs, outputs=1, **attributes)[0]

    def split(self, kind: str, *inputs: str, outputs: int, **attributes: Attribute) -> list[str]:
        """Add an operation with several outputs; return their names."""
        number = len(self.nodes)
        names = [f"{kind}_{number}" + f"_{i}" * (outputs > 1) for i in range(outputs)]
        parts = [_text(1, name) for name in inputs] + [_text(2, name) for name in names]
        parts += [_text(3, f"{kind}_{number}"), _text(4, kind)]
        parts += [_block(5, _attribute(*item)) for item in attributes.items()]
        self.nodes.append(b"".join(parts))
        return names

    def sized(self, value: str, sides: Sides) -> str:
        """Say what shape a value has; return its name.

        ONNX Runtime joins an addition with a convolution only where it knows that both of its
        summands have one shape.
        """
        self.known[value] = sides
        return value

    def rename(self, value: str, name: str) -> None:
        """Give a value a second name: that of an output."""
        self.nodes.append(_text(1, value) + _text(2, name) + _text(3, name) + _text(4, "Identity"))

    def to_bytes(
        self, outputs: Mapping[str, Sides], notes: Mapping[str, str] | None = None
    ) -> bytes:
        """Return the file; weights in half precision are made float32 as it is loaded.

        Args:
            outputs: Names and shapes of what comes out, float32.
            notes: Metadata.
        """
        graph: list[bytes | memoryview] = [_block(1, node) for node in self._casts() + self.nodes]
        graph.append(_text(2, self.name))
        for name, array in self.weights.items():
            graph += _tensor(name, array)
        graph += [_block(11, _value(*item)) for item in self.inputs.items()]
        graph += [_block(12, _value(*item)) for item in outputs.items()]
        graph += [_block(13, _value(*item)) for item in self.known.items()]
        model: list[bytes | memoryview] = [_number(1, IR_VERSION), _text(2, "faceren")]
        model += [_head(7, sum(map(len, graph))), *graph]
        model.append(_block(8, _text(1, "") + _number(2, OPSET)))
        model += [_block(14, _text(1, k) + _text(2, v)) for k, v in (notes or {}).items()]
        return b"".join(model)  # the one copy of the weights

    def _casts(self) -> list[bytes]:
        return [
            _text(1, name + HALF)
            + _text(2, name)
            + _text(4, "Cast")
            + _block(5, _attribute("to", FLOAT))
            for name, array in self.weights.items()
            if array.dtype == np.float16
        ]


def _tensor(name: str, array: Weight) -> list[bytes | memoryview]:
    """Return an initializer in two pieces, the second of them the array's own memory."""
    fields = [_number(1, side) for side in array.shape] + [_number(2, TYPES[array.dtype.name])]
    fields += [_text(8, name + HALF * (array.dtype == np.float16)), _head(9, array.nbytes)]
    head = b"".join(fields)
    return [_head(5, len(head) + array.nbytes) + head, array.data.cast("B")]


def _varint(value: int) -> bytes:
    value &= 2**64 - 1  # a negative number is written as its two's complement
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _number(key: int, value: int) -> bytes:
    return _varint(key << 3) + _varint(value)


def _head(key: int, length: int) -> bytes:
    return _varint(key << 3 | 2) + _varint(length)


def _block(key: int, data: bytes) -> bytes:
    return _head(key, len(data)) + data


def _text(key: int, text: str) -> bytes:
    return _block(key, text.encode())


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, 2)
    if isinstance(value, float):
        return _text(1, name) + _varint(2 << 3 | 5) + struct.pack("<f", value) + _number(20, 1)
    if isinstance(value, str):
        return _text(1, name) + _text(4, value) + _number(20, 3)
    return _text(1, name) + b"".join(_number(8, item) for item in value) + _number(20, 7)


def _value(name: str, sides: Sides) -> bytes:
    dims = [_block(1, _number(1, s) if isinstance(s, int) else _text(2, s)) for s in sides]
    tensor = _number(1, FLOAT) + _block(2, b"".join(dims))
    return _text(1, name) + _block(2, _block(1, tensor))


def folded(kernel: WeightArray, left: WeightArray, right: WeightArray) -> WeightArray:
    """Return a kernel (O, C, k, k) divided by its largest singular value.

    Args:
        kernel: As trained.
        left: (O,), its singular vector.
        right: (C k k,), the other one.
    """
    wide, (u, v) = kernel.astype(np.float32), (x.astype(np.float32) for x in (left, right))
    with np.errstate(all="ignore"):  # what is not finite is seen in what the network makes of it
        return np.asarray(wide / (u @ wide.reshape(len(wide), -1) @ v), np.float32)


def is_spectral(name: str) -> bool:
    """Say whether a convolution is one of those that training normalises spectrally."""
    return name.rpartition(".")[2] in ("conv_0", "conv_1", "conv_s")


FACES, RESTORED = "faces", "restored"
SIDES = ("n", 3, "height", "width")
"""Shape of what goes in and comes out."""
END = 2**31 - 1
EPSILON = 1e-5
Change = Callable[[WeightArray], WeightArray]


class LayerGraph(Graph):
    """A graph whose weights come from a state dict.

    Args:
        config: Shape of the network.
        arrays: Its state dict; keys and shapes that it lacks or that differ are found in
            ``shapes`` afterwards.
    """

    def __init__(self, config: GeneratorConfig, arrays: Mapping[str, WeightArray]) -> None:
        super().__init__("generator", {FACES: SIDES})
        self.config = config
        self.arrays = arrays
        self.fits = True
        """Whether all weights so far were there; once one is not, none is kept."""
        self.shapes: dict[str, tuple[int, ...]] = {}
        """Shapes of the state dict that the network has, by key."""

    # weights

    def stored(self, key: str, shape: tuple[int, ...]) -> WeightArray:
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

    def at(self, level: int, x: str, channels: int) -> str:
        """Say that a map is (N, C, H, W) with the sides of a level; return its name."""
        scale = self.config.stem_stride * 2**level
        sides = [f"{side}/{scale}" if scale > 1 else side for side in ("height", "width")]
        return self.sized(x, ("n", channels, *sides))

    def channels(self, x: str) -> int:
        """Return the channels of a map of which ``at`` has said them."""
        return int(self.known[x][1])

    def convolved(
        self, x: str, kernel: str, bias: str = "", *, side: int = 3, stride: int = 1, group: int = 1
    ) -> str:
        """Return a convolution padded with zeros, (N, O, H, W) of (N, C, H, W).

        Args:
            x: The map.
            kernel: (O, C / group, side, side).
            bias: (O,).
            side: Of the kernel.
            stride: Every so many pixels are computed.
            group: As ONNX counts groups of channels.
        """
        inputs = [x, kernel, bias] if bias else [x, kernel]
        how = {"kernel_shape": [side] * 2, "pads": [side // 2] * 4, "strides": [stride] * 2}
        return self.node("Conv", *inputs, **how, group=group)

    def conv(
        self,
        x: str,
        name: str,
        channels: int,
        out: int,
        *,
        bias: bool = True,
        side: int = 3,
        stride: int = 1,
        change: Change | None = None,
    ) -> str:
        """Return a convolution of the state dict; see ``convolved``."""
        kernel = self.kernel(name, (out, channels, side, side), change)
        vector = self.vector(f"{name}.bias", out) if bias else ""
        return self.convolved(x, kernel, vector, side=side, stride=stride)

    def kept(self, x: str) -> str:
        """Return a map as it is, computed as a convolution: so it comes in blocks."""
        count = self.channels(x)
        ones = self.once(f"kept_{count}", np.ones((count, 1, 1, 1), np.float32))
        return self._like(x, self.convolved(x, ones, self.full(0.0, count), side=1, group=count))

    def rectified(self, x: str) -> str:
        """Return max(x, x / 5); the convolution before it does that on its way."""
        return self._like(x, self.node("LeakyRelu", self.kept(x), alpha=0.2))

    def _like(self, x: str, y: str) -> str:
        """Say that ``y`` has the shape of ``x``; return its name."""
        return self.sized(y, self.known[x])

    def full(self, value: float, channels: int) -> str:
        """Return the name of a vector of equal numbers."""
        return self.once(f"{value:g}x{channels}", np.full(channels, value, np.float32))

    def normalised(self, x: str, kind: str) -> str:
        """Return a map normalised, (N, C, H, W): see ``networks.spade``."""
        if kind == "none":
            return x
        ones = self.full(1.0, self.channels(x))
        if kind == "instance":
            zeros = self.full(0.0, self.channels(x))
            y = self.node("InstanceNormalization", x, ones, zeros, epsilon=EPSILON)
            return self._like(x, y)
        y = self.node("Transpose", x, perm=[0, 2, 3, 1])
        y = self.node("LayerNormalization", y, ones, axis=-1, epsilon=EPSILON)
        return self._like(x, self.node("Transpose", y, perm=[0, 3, 1, 2]))

    def every(self, x: str, step: int) -> str:
        """Return every ``step``-th row and column of a map."""
        begin, end = self.numbers(0, 0), self.numbers(END, END)
        return self.node("Slice", x, begin, end, self.numbers(2, 3), self.numbers(step, step))

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
