"""Generators on disk: our own ``.safetensors`` and published state dicts.

A checkpoint is one ``.safetensors`` file. Its tensors are the generator's state dict as it is
trained: spectral normalisation stays unfolded (kernel and singular vectors), so that the same
file can be trained further; ``load_checkpoint`` folds it unless told otherwise. Kernels are
stored in half precision if asked, vectors always in float32. Its metadata has one key,
``faceren`` (with more, equal weights would not give equal bytes), a JSON object of

* ``format_version``: 1;
* ``config``: the fields of ``GeneratorConfig``; one that is missing has its default; or, in a
  file with a detector, ``detector`` with those of ``DetectorConfig``, with another paper's network
  ``baseline`` with those of ``BaselineConfig``;
* ``info``: the fields of ``CheckpointInfo``; the same.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.utils import parametrize

from faceren.config import BaselineConfig, GeneratorConfig
from faceren.errors import ConfigError, MachineError
from faceren.files import atomic_write, sha256_of
from faceren.networks.baselines.baseline import Baseline, build_network
from faceren.networks.baselines.published import import_baseline, import_ncnn
from faceren.networks.detector import Detector
from faceren.networks.generator import Generator
from faceren.networks.published import (
    DAMAGED,
    UNREADABLE,
    import_published,
    load_tensors,
    read_convolutions,
)
from faceren.weights import (
    FORMAT_VERSION,
    METADATA_KEY,
    NCNN,
    PICKLES,
    CheckpointInfo,
    check_fit,
    check_weights_file,
    read_header,
)

Read = tuple[GeneratorConfig | BaselineConfig, CheckpointInfo, dict[str, Tensor]]
"""What a file holds: shape, what it says of itself, and the weights."""


@dataclass(frozen=True, kw_only=True)
class LoadedCheckpoint:
    """A generator ready for use, with everything the file says about it."""

    network: Generator | Baseline
    """The network in ``eval()``, float32, channels-last."""
    config: GeneratorConfig | BaselineConfig
    """As stored; ``network.config`` differs in ``spectral_norm`` once that is folded."""
    info: CheckpointInfo
    sha256: str
    """SHA-256 of the file."""


def save_checkpoint(
    path: Path, network: Generator | Detector | Baseline, *, info: CheckpointInfo, half: bool = True
) -> None:
    """Write a network to one ``.safetensors`` file, whole or not at all.

    Args:
        path: File to write; its folder is made if needed.
        network: Generator, detector or baseline on any device; it stays as it is.
        info: What to say about the weights.
        half: Store kernels in float16; otherwise everything in float32.

    Raises:
        ConfigError: If ``path`` does not end in ``.safetensors``, or a weight is not finite or
            too large for float16.
        MachineError: If the disk is full or the folder cannot be written.
    """
    if path.suffix != ".safetensors":
        raise ConfigError(f"expected a checkpoint name ending in .safetensors, got {path.name!r}")
    tensors = {}
    for key, value in network.state_dict().items():
        kind = torch.float16 if half and value.ndim > 1 else torch.float32
        tensors[key] = value.detach().to(device="cpu", dtype=kind).contiguous()
        if not tensors[key].isfinite().all():
            raise ConfigError(
                f"{path.name}: {key!r} has values that are not finite as {kind}; "
                f"not written (half=False stores larger values)"
            )
    kind_of_config = "config"
    if not isinstance(network, Generator):
        kind_of_config = "detector" if isinstance(network, Detector) else "baseline"
    header = {
        "format_version": FORMAT_VERSION,
        kind_of_config: dataclasses.asdict(network.config),
        "info": dataclasses.asdict(info),
    }
    atomic_write(path, save(tensors, metadata={METADATA_KEY: json.dumps(header)}))


def load_checkpoint(
    path: Path, *, device: torch.device | str = "cpu", trainable: bool = False
) -> LoadedCheckpoint:
    """Read a checkpoint of ours, or a published one.

    Published are state dicts (``.pth``, ``.pt``, ``.h5``) of HiFaceGAN and of what
    ``baselines.published`` knows, and files of ncnn (``.bin``, its ``.param`` beside it) of ESRGAN.

    Args:
        path: File to read.
        device: Where the network goes.
        trainable: Keep spectral normalisation and gradients, to train further. Otherwise the
            normalisation is folded into the kernels and gradients are off.

    Returns:
        The network in ``eval()``, float32, channels-last, with what the file says about it.

    Raises:
        MachineError: If the file is not there or is damaged.
        ConfigError: If its format version is unknown, keys or shapes do not fit, or a weight is not
            finite; the message names them.
    """
    check_weights_file(path)
    read = _read_published if path.suffix in (*PICKLES, NCNN) else _read_safetensors
    config, info, tensors = read(path)
    with torch.device("meta"):  # no memory and no random numbers for weights about to be replaced
        network = build_network(config)
    wanted = network.state_dict()
    shapes = {key: value.shape for key, value in tensors.items()}
    what = config.architecture if isinstance(config, BaselineConfig) else "its configuration"
    check_fit(path, {key: value.shape for key, value in wanted.items()}, shapes, what)
    for key, value in tensors.items():
        if not value.isfinite().all():
            raise ConfigError(f"{path.name}: {key!r:.80} has values that are not finite")
    network.load_state_dict(tensors, assign=True)
    network.eval()
    if not trainable:
        network.requires_grad_(requires_grad=False)
        if isinstance(network, Generator):
            fold_spectral_norm(network)
    network.to(device=device).to(memory_format=torch.channels_last)
    return LoadedCheckpoint(network=network, config=config, info=info, sha256=sha256_of(path))


def recognised(path: Path) -> bool:
    """Say whether a file says of itself that it holds a network that ``load_checkpoint`` reads.

    Of published state dicts only those of ``baselines.published`` do so, by their keys.

    Raises:
        MachineError: If the file is damaged.
    """
    if path.suffix == NCNN:
        return True
    if path.suffix in PICKLES:
        state = load_tensors(path)
        return isinstance(state, Mapping) and import_baseline(state) is not None
    try:
        with safe_open(path, framework="pt") as file:
            return METADATA_KEY in (file.metadata() or {})
    except UNREADABLE as error:
        raise MachineError(f"{path} cannot be read ({error}); it is damaged") from error


def fold_spectral_norm(network: Generator) -> None:
    """Replace spectrally normalised kernels by plain ones of the same value, in place.

    The network is put in ``eval()`` first, so that its stored singular vectors are used.
    """
    network.eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")
    network.config = dataclasses.replace(network.config, spectral_norm=False)


def _read_safetensors(path: Path) -> Read:
    config, info = read_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
    except (*UNREADABLE, *DAMAGED) as error:
        raise MachineError(f"{path} cannot be read ({error}); it is damaged") from error
    return config, info, tensors


def _read_published(path: Path) -> Read:
    config: GeneratorConfig | BaselineConfig
    try:
        if path.suffix == NCNN:
            config, tensors = import_ncnn(read_convolutions(path))
        else:
            state = load_tensors(path)
            if not isinstance(state, Mapping):
                raise ConfigError(f"expected a state dict, got a {type(state).__name__}")
            config, tensors = import_baseline(state) or import_published(state)
    except ConfigError as error:
        raise ConfigError(f"{path.name}: {error}") from error
    info = CheckpointInfo(
        name="".join(c if c.isprintable() else "?" for c in path.stem),
        training_data="unknown: a published state dict",
        licence="unknown: the terms of whoever published the file",
    )
    return config, info, tensors
