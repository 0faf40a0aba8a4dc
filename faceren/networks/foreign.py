"""Reading other people's files of weights, pickled or of ncnn, without running anything in them.

The text file (``.param``) names the layers in the order in which they are run; the binary one has,
for each convolution in that order, a word of four bytes, the kernel, and the bias in float32. The
word says what the kernel is in: 0 float32, ``HALF`` float16, its end filled up to four bytes.
"""

import pickle
import struct
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from faceren.errors import ConfigError, MachineError
from faceren.files import read_bounded

MAGIC = "7767517"
HALF = 0x01306B47
WITHOUT_WEIGHTS = ("Input", "Split", "Concat", "Eltwise", "BinaryOp", "Interp")
LARGEST_TEXT, LARGEST = 2**20, 2**30
"""Bytes of the two files."""
OUTPUTS, SIDE, BIAS, SIZE = "0", "1", "5", "6"
"""Keys of a convolution: its channels, its kernel's side, whether it has a bias, its weights."""


@dataclass(frozen=True)
class Convolution:
    """What the text file says of a convolution."""

    outputs: int
    inputs: int
    side: int


def read_convolutions(path: Path) -> list[tuple[Tensor, Tensor]]:
    """Return kernel (out, in, side, side) and bias (out,) of every convolution, float32, in order.

    Args:
        path: The binary file, beside which the text file lies.

    Raises:
        MachineError: If a file is missing or damaged; every byte must be used.
        ConfigError: If there are other layers with weights.
    """
    try:
        data = read_bounded(path, LARGEST)
        text = read_bounded(path.with_suffix(".param"), LARGEST_TEXT).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MachineError(
            f"{path}: expected weights of ncnn and their .param ({error})"
        ) from error
    found, place = [], 0
    for layer in _convolutions(path, text):
        count = layer.outputs * layer.inputs * layer.side**2
        flag = int.from_bytes(data[place : place + 4], "little")
        if flag not in (0, HALF):
            raise MachineError(
                f"{path}: expected float32 or float16, got {flag:#x}; is it damaged?"
            )
        kind = np.float16 if flag else np.float32
        kernel = data[place + 4 :][: count * np.dtype(kind).itemsize]
        place += 4 + -(-count * np.dtype(kind).itemsize // 4) * 4
        bias = data[place : place + 4 * layer.outputs]
        place += 4 * layer.outputs
        if place > len(data):
            raise MachineError(f"{path} ends too early, at {len(data):,} bytes; it is damaged")
        shape = (layer.outputs, layer.inputs, layer.side, layer.side)
        weights = np.frombuffer(kernel, kind).astype(np.float32).reshape(shape)
        found.append(
            (torch.from_numpy(weights), torch.from_numpy(np.frombuffer(bias, np.float32).copy()))
        )
    if place != len(data):
        raise MachineError(f"{path}: {len(data) - place:,} bytes are left; it is damaged")
    return found


def _convolutions(path: Path, text: str) -> list[Convolution]:
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if len(lines) < 3 or lines[0] != [MAGIC]:
        raise MachineError(f"{path.with_suffix('.param')}: expected a text file of ncnn")
    found = []
    for kind, *rest in lines[2:]:
        if kind == "Convolution":
            found.append(_convolution(path, rest))
        elif kind not in WITHOUT_WEIGHTS:
            raise ConfigError(f"{path.name}: expected a chain of convolutions, got a {kind}")
    return found


def _convolution(path: Path, words: list[str]) -> Convolution:
    values = dict(word.split("=", 1) for word in words if "=" in word)
    try:
        outputs, side, size = (int(values[key]) for key in (OUTPUTS, SIDE, SIZE))
    except (KeyError, ValueError) as error:
        raise MachineError(f"{path.with_suffix('.param')}: a layer is damaged ({error})") from error
    square = outputs * side**2
    if outputs < 1 or side < 1 or size < 1 or size % square or values.get(BIAS) != "1":
        raise ConfigError(
            f"{path.name}: expected convolutions with a bias, got {' '.join(words)[:80]}"
        )
    return Convolution(outputs, size // square, side)


DAMAGED = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    BufferError,
    ImportError,
    MemoryError,
    OSError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What the restricted unpickler raises on bytes that are no pickle of tensors."""
UNREADABLE = (SafetensorError, OSError, RuntimeError)
"""What safetensors raises; a RuntimeError where torch cannot map the file, if the disk fails."""


def load_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a ``.safetensors`` file.

    Raises:
        MachineError: If it is damaged, or cannot be read.
    """
    try:
        return dict(load_file(path))
    except UNREADABLE as error:
        raise MachineError(f"{path} cannot be read as tensors ({error}); is it damaged?") from error


def load_tensors(path: Path) -> object:
    """Return what a pickled file holds, if that is nothing but tensors, numbers and containers.

    Raises:
        MachineError: If it is damaged, or holds anything that would have to be run.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # on unusual pickle protocols
            _check_archive(path)
            return torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGED as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise MachineError(
            f"{path} cannot be read as plain tensors ({lines[0]}); it is damaged, or holds code, "
            f"which is never run"
        ) from error


def _check_archive(path: Path) -> None:
    """Raise ValueError if what is in the file would be larger than it: tensors are stored."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            inside = sum(item.file_size for item in archive.infolist())
        if inside > path.stat().st_size:
            raise ValueError(f"{inside:,} bytes are packed into it")
