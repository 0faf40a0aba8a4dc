"""The models that ship with faceren, and networks written for ONNX Runtime and spandrel."""

import dataclasses
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors.numpy import save

from faceren.assets import DEFAULT_MODEL, PREFIX, asset, model_path, shipped_models
from faceren.checks import Json
from faceren.config import BaselineConfig
from faceren.errors import ConfigError
from faceren.files import atomic_write
from faceren.graphs.generator import RESTORED, SIDES, generator_graph
from faceren.weights import NCNN, PICKLES, StoredWeights, check_fit, read_header, read_weights

SPANDREL_TAKES = {
    "variant": "hifacegan",
    "suppression": "adaptive",
    "normalisation": "layer",
    "encoder_normalisation": "none",
    "modulation": "one-plus",
    "shortcut": "plain",
    "spectral_norm": False,
    "head": "bands",
    "kernel_activation": "sigmoid",
}
"""What ``hosts/spandrel_faceren.py`` computes; all else it tells by the weights' shapes."""


def export(model: str, output: Path) -> Path:
    """Write the graph of a model with its weights, or its weights alone; return the file.

    One input, ``faces``, and one output, ``restored``: (n, 3, height, width) float32, RGB in
    [0, 1], sides multiples of the metadata's ``side_multiple`` and at least twice that. Faces are
    aligned as FFHQ's; the output is not clamped. A self-ensemble is left to the caller.

    Args:
        model: A shipped model's name or the path of a checkpoint.
        output: The file: ``.onnx``, or ``.safetensors`` for spandrel.

    Raises:
        ConfigError: If the model is unknown, the file has another suffix, or spandrel's entry does
            not know such a network.
        MachineError: If the weights are not there, or the file cannot be written.
    """
    suffix = output.suffix.lower()
    if suffix not in (".onnx", ".safetensors"):
        raise ConfigError(
            f"-o: expected a file name ending in .onnx or .safetensors, got {output.name!r}"
        )
    path = model_path(model)
    stored = _loaded(path) if path.suffix in (*PICKLES, NCNN) else read_weights(path)
    graph = generator_graph(stored.config, stored.arrays)
    check_fit(path, graph.shapes, {key: array.shape for key, array in stored.arrays.items()})
    if suffix == ".onnx":
        atomic_write(
            output,
            graph.to_bytes(
                {RESTORED: SIDES},
                {
                    "name": stored.info.name,
                    "licence": stored.info.licence,
                    "training_data": stored.info.training_data,
                    "weights_sha256": stored.sha256,
                    "side_multiple": str(stored.config.stride),
                    "config": json.dumps(dataclasses.asdict(stored.config)),
                },
            ),
        )
    else:
        for name, taken in SPANDREL_TAKES.items():
            if (value := getattr(stored.config, name)) != taken:
                raise ConfigError(
                    f"{path.name}: spandrel's entry takes networks with {name} {taken!r}, "
                    f"this one has {value!r}; export it to .onnx"
                )
        # tensors by name, as spandrel takes them
        own = path.suffix == ".safetensors"
        atomic_write(output, path.read_bytes() if own else save(dict(stored.arrays)))
    return output


def _loaded(path: Path) -> StoredWeights:
    """Return the weights of a published state dict, which torch reads."""
    from faceren.checkpoint import load_checkpoint

    loaded = load_checkpoint(path)
    if isinstance(loaded.network.config, BaselineConfig):
        raise ConfigError(
            f"{path.name}: expected one of our networks, got {loaded.network.config.architecture}, "
            f"which runs in torch only"
        )
    return StoredWeights(
        config=loaded.network.config,
        info=loaded.info,
        arrays={key: value.numpy() for key, value in loaded.network.state_dict().items()},
        sha256=loaded.sha256,
    )


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model."""

    name: str
    """As ``--model`` takes it."""
    default: bool
    path: Path
    size: int
    """Bytes."""
    self_ensemble: bool
    """Whether ``--ensemble auto`` takes the mean over mirror images."""
    training_data: str
    licence: str

    def to_json(self) -> Json:
        """Return what ``--json`` prints."""
        return asdict(self) | {"path": str(self.path)}

    def lines(self) -> list[str]:
        """Return what a person reads, a line each."""
        mean = ", restores mirror images, too" if self.self_ensemble else ""
        return [
            f"{self.name}{' (default)' if self.default else ''}: {self.size / 1e6:.1f} MB{mean}",
            f"  {self.path}",
            f"  {self.licence}",
        ]


def models() -> list[Model]:
    """Return the models that ship with faceren, the default first.

    Raises:
        MachineError: If a file is missing or damaged.
    """
    found = []
    for name in sorted(shipped_models(), key=lambda name: name != DEFAULT_MODEL):
        path = asset(PREFIX + name)
        info = read_header(path)[1]
        found.append(
            Model(
                name=name,
                default=name == DEFAULT_MODEL,
                path=path,
                size=path.stat().st_size,
                self_ensemble=info.self_ensemble,
                training_data=info.training_data,
                licence=info.licence,
            )
        )
    return found
