"""Other people's weights: read without running anything in their files, and under our names.

Files are pickled, or of ncnn: its text file (``.param``) names the layers in the order in which
they are run; the binary one has, for each convolution in that order, a word of four bytes, the
kernel, and the bias in float32. The word says what the kernel is in: 0 float32, ``HALF`` float16,
its end filled up to four bytes.

HiFaceGAN was published in two layouts: that of the paper's authors (variants ``hifacegan``,
``lipspade`` and ``spade``) and BasicSR's (``lipspade``, the middle blocks in lower case). Both
store the convolutions of a SPADE layer one by one, spectral normalisation as ``weight_orig`` with
its vectors u and v, and buffers of a batch normalisation that no face restored alone needs. Shape
letters: n width of the network, C channels of a normalised map, S channels of the guidance.
"""

import math
import pickle
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from faceren.config import GeneratorConfig, Variant
from faceren.errors import ConfigError, MachineError
from faceren.files import read_bounded
from faceren.weights import summary

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
            values = dict(word.split("=", 1) for word in rest if "=" in word)
            try:
                outputs, side, size = (int(values[key]) for key in (OUTPUTS, SIDE, SIZE))
            except (KeyError, ValueError) as error:
                raise MachineError(
                    f"{path.with_suffix('.param')}: a layer is damaged ({error})"
                ) from error
            square = outputs * side**2
            if outputs < 1 or side < 1 or size < 1 or size % square or values.get(BIAS) != "1":
                raise ConfigError(
                    f"{path.name}: expected convolutions with a bias, got {' '.join(rest)[:80]}"
                )
            found.append(Convolution(outputs, size // square, side))
        elif kind not in WITHOUT_WEIGHTS:
            raise ConfigError(f"{path.name}: expected a chain of convolutions, got a {kind}")
    return found


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
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    inside = sum(item.file_size for item in archive.infolist())
                if inside > path.stat().st_size:
                    raise ValueError(f"{inside:,} bytes are packed into it")
            return torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGED as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise MachineError(
            f"{path} cannot be read as plain tensors ({lines[0]}); it is damaged, or holds code, "
            f"which is never run"
        ) from error


DEPTH = 5
MULTIPLIER = 16
LIP_INDICES = (3, 7, 11, 15, 19)
"""Places of the suppression layers in the flat encoder of ``lipspade``."""
BATCH_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
WRAPPERS = ("params_ema", "params", "state_dict")


@dataclass(frozen=True)
class Part:
    """One published tensor: its key and shape, and the key of ours that it is stacked into."""

    published: str
    ours: str
    shape: tuple[int, ...]


def import_published(state: Mapping[str, object]) -> tuple[GeneratorConfig, dict[str, Tensor]]:
    """Return the configuration and our state dict of a published one.

    Variant, width, guidance channels and spectral normalisation are read from the keys and their
    shapes. The singular vectors take one power iteration, as in the first forward pass of the
    published code, so that folding the result gives that pass's weights.

    Args:
        state: Published state dict; ``module.`` prefixes and the usual wrapping dicts
            (``params_ema``, ``params``, ``state_dict``) are accepted.

    Returns:
        The configuration, and float32 tensors for ``Generator(configuration)``.

    Raises:
        ConfigError: If a key is missing, left over or of another shape; the message names them.
    """
    tensors = tidy(state)
    config = detect(tensors)
    parts = list(layout(config))
    check(config, tensors, parts)
    merged: dict[str, list[Tensor]] = {}
    for part in parts:
        merged.setdefault(part.ours, []).append(tensors[part.published].float())
    ours = {key: torch.cat(values) for key, values in merged.items()}
    for key in [key for key in ours if key.endswith(".weight.original")]:
        advance_power_iteration(ours, key.removesuffix("original"))
    return config, ours


def tidy(state: Mapping[str, object]) -> dict[str, Tensor]:
    """Return the tensors of a published state dict under the authors' keys, buffers dropped."""
    inner = next((state[name] for name in WRAPPERS if isinstance(state.get(name), Mapping)), state)
    if not isinstance(inner, Mapping) or not inner:
        raise ConfigError("expected a dict of tensors by name, got none; is this a state dict?")
    tensors = {}
    for name, value in inner.items():
        if not isinstance(value, Tensor):
            raise ConfigError(
                f"expected tensors only, got a {type(value).__name__} under {name!r}; "
                f"only the generator's state dict can be imported"
            )
        key = str(name).removeprefix("module.").replace("g_middle_", "G_middle_")
        key = key.replace("parametrizations.weight.original", "weight_orig")
        key = key.replace("parametrizations.weight.0._", "weight_")
        if not key.endswith(BATCH_BUFFERS):
            tensors[key] = value
    return tensors


def detect(tensors: Mapping[str, Tensor]) -> GeneratorConfig:
    """Return the configuration whose keys and shapes ``tensors`` (see ``tidy``) seem to have."""
    variant: Variant = "spade"
    if any(key.startswith("lip_encoder.") for key in tensors):
        variant = "lipspade"
    elif any(key.startswith("encoder.") for key in tensors):
        variant = "hifacegan"
    start = _first(tensors, "fc.weight")
    shared = _first(tensors, "head_0.norm_0.mlp_shared.0.weight")
    if start.shape[0] % MULTIPLIER:
        raise ConfigError(
            f"key 'fc.weight' has shape {tuple(start.shape)}; "
            f"expected a multiple of {MULTIPLIER} channels first"
        )
    return GeneratorConfig(
        variant=variant,
        width=start.shape[0] // MULTIPLIER,
        suppression="lip",
        guidance_channels=shared.shape[1] if variant == "spade" else 3,
        spectral_norm=any(key.endswith("weight_orig") for key in tensors),
    )


def _first(tensors: Mapping[str, Tensor], key: str) -> Tensor:
    if key not in tensors or tensors[key].ndim != 4:
        found = f"shape {tuple(tensors[key].shape)}" if key in tensors else "none"
        raise ConfigError(
            f"expected a kernel under {key!r}, got {found}; this is no published HiFaceGAN "
            f"generator (its first key: {next(iter(tensors), None)!r})"
        )
    return tensors[key]


def layout(config: GeneratorConfig) -> Iterator[Part]:
    """Yield every tensor of the published network, in the order in which ours stacks them."""
    n = config.width
    start = config.guidance_channels
    yield from _conv("fc", "fc", MULTIPLIER * n, start)
    top = config.channels(DEPTH)
    for name, ours, channels, level in (
        ("head_0", "head_0", top, DEPTH),
        ("G_middle_0", "middle.0", top, DEPTH - 1),
        ("G_middle_1", "middle.1", top, DEPTH - 1),
    ):
        yield from _block(config, name, ours, (top, channels), level)
    for index, level in enumerate(reversed(range(DEPTH - 1))):
        ends = (config.channels(level + 1), config.channels(level))
        yield from _block(config, f"ups.{index}", f"ups.{index}", ends, level)
    for index, level in enumerate(reversed(range(1, DEPTH - 1))):
        yield from _conv(f"to_rgbs.{index}", f"to_rgb_unused.{index}", 3, config.channels(level))
    yield from _conv(f"to_rgbs.{DEPTH - 2}", "to_rgb", 3, n)
    if config.variant != "spade":
        flat = config.variant == "lipspade"
        head = "lip_encoder.model.0" if flat else "encoder.head.0"
        yield Part(f"{head}.weight", "encoder.head.weight", (config.width, 3, 3, 3))
        for level, place in enumerate(LIP_INDICES):
            c, out = config.channels(level), config.channels(level + 1)
            lip = f"lip_encoder.model.{place}" if flat else f"encoder.encoder_{level}.0"
            conv = f"lip_encoder.model.{place + 1}" if flat else f"encoder.encoder_{level}.1"
            ours = f"encoder.suppress.{level}"
            yield Part(f"{lip}.logit.0.weight", f"{ours}.logit.weight", (c, c, 3, 3))
            yield Part(f"{lip}.logit.1.weight", f"{ours}.norm.weight", (c,))
            yield Part(f"{lip}.logit.1.bias", f"{ours}.norm.bias", (c,))
            yield from _conv(conv, f"encoder.convs.{level}", out, c)


def _conv(name: str, ours: str, out: int, into: int) -> Iterator[Part]:
    yield Part(f"{name}.weight", f"{ours}.weight", (out, into, 3, 3))
    yield Part(f"{name}.bias", f"{ours}.bias", (out,))


def _block(
    config: GeneratorConfig, name: str, ours: str, ends: tuple[int, int], level: int
) -> Iterator[Part]:
    fin, fout = ends
    middle = min(ends)
    guidance = config.channels(level) if config.variant == "hifacegan" else config.guidance_channels
    layers = {"norm_0": fin, "norm_1": middle} | ({"norm_s": fin} if fin != fout else {})
    for index, (layer, channels) in enumerate(layers.items()):
        hidden, prefix = min(config.hidden, channels), f"{name}.{layer}"
        kernel = (hidden, guidance, 3, 3)
        yield Part(f"{prefix}.mlp_shared.0.weight", f"{ours}.shared.weight", kernel)
        yield Part(f"{prefix}.mlp_shared.0.bias", f"{ours}.shared.bias", (hidden,))
        for half in ("gamma", "beta"):
            target = f"{ours}.modulate.{index}.weight"
            yield Part(f"{prefix}.mlp_{half}.weight", target, (channels, hidden, 3, 3))
    for conv, shape in {
        "conv_0": (middle, fin, 3, 3),
        "conv_1": (fout, middle, 3, 3),
        **({"conv_s": (fout, fin, 1, 1)} if fin != fout else {}),
    }.items():
        theirs, target = f"{name}.{conv}.weight", f"{ours}.{conv}"
        if config.spectral_norm:
            inner = f"{target}.parametrizations.weight"
            yield Part(f"{theirs}_orig", f"{inner}.original", shape)
            yield Part(f"{theirs}_u", f"{inner}.0._u", shape[:1])
            yield Part(f"{theirs}_v", f"{inner}.0._v", (math.prod(shape[1:]),))
        else:
            yield Part(theirs, f"{target}.weight", shape)
        if shape[2] == 3:  # the 1x1 shortcut has no bias
            yield Part(f"{name}.{conv}.bias", f"{target}.bias", shape[:1])


def check(config: GeneratorConfig, tensors: Mapping[str, Tensor], parts: list[Part]) -> None:
    """Raise ConfigError unless ``tensors`` are exactly ``parts``."""
    wanted = {part.published: part.shape for part in parts}
    wrong = [
        f"{key!r}: expected shape {shape}, got "
        + (str(tuple(tensors[key].shape)) if key in tensors else "none")
        for key, shape in wanted.items()
        if key not in tensors or tuple(tensors[key].shape) != shape
    ]
    wrong += [
        f"{key!r}: not part of it, got shape {tuple(value.shape)}"
        for key, value in tensors.items()
        if key not in wanted
    ]
    if wrong:
        raise ConfigError(
            f"this looks like a published {config.variant!r} generator of width {config.width}, "
            f"but does not fit it: {summary(wrong)}"
        )


def advance_power_iteration(state: dict[str, Tensor], prefix: str) -> None:
    """Renew the singular vectors of one kernel: v = n(W^T u), u = n(W v), as published."""
    matrix = state[f"{prefix}original"].flatten(1)
    v = F.normalize(matrix.T @ state[f"{prefix}0._u"], dim=0, eps=1e-12)
    state[f"{prefix}0._v"] = v
    state[f"{prefix}0._u"] = F.normalize(matrix @ v, dim=0, eps=1e-12)
