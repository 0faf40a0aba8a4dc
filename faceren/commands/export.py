"""Write a network for programs that know nothing of faceren: ONNX Runtime, or spandrel."""

import dataclasses
import json
from pathlib import Path

from safetensors.numpy import save

from faceren.assets import model_path
from faceren.config import BaselineConfig
from faceren.errors import ConfigError
from faceren.files import atomic_write
from faceren.graphs.generator import RESTORED, SIDES, generator_graph
from faceren.weights import NCNN, PICKLES, StoredWeights, check_fit, read_weights

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
        atomic_write(output, graph.to_bytes({RESTORED: SIDES}, _notes(stored)))
    else:
        _check_spandrel(path, stored)
        # tensors by name, as spandrel takes them
        own = path.suffix == ".safetensors"
        atomic_write(output, path.read_bytes() if own else save(dict(stored.arrays)))
    return output


def _check_spandrel(path: Path, stored: StoredWeights) -> None:
    for name, taken in SPANDREL_TAKES.items():
        if (value := getattr(stored.config, name)) != taken:
            raise ConfigError(
                f"{path.name}: spandrel's entry takes networks with {name} {taken!r}, this one has "
                f"{value!r}; export it to .onnx"
            )


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


def _notes(stored: StoredWeights) -> dict[str, str]:
    return {
        "name": stored.info.name,
        "licence": stored.info.licence,
        "training_data": stored.info.training_data,
        "weights_sha256": stored.sha256,
        "side_multiple": str(stored.config.stride),
        "config": json.dumps(dataclasses.asdict(stored.config)),
    }
