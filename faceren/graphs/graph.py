"""A network as an ONNX file: nodes put one behind the other, weights beside them.

The file format is protocol buffers; what little of it such a file needs is written here, because
a run writes its graph anew each time, and the package ``onnx`` would add to every start what a
small photo takes. Field numbers: ``onnx.proto`` (IR version 8, opset 18).
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
