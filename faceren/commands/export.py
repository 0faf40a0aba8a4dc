"""Write a network as an ONNX file, for programs that know nothing of faceren."""

import dataclasses
import json
from pathlib import Path

from faceren.assets import model_path
from faceren.config import BaselineConfig
from faceren.errors import ConfigError
from faceren.files import atomic_write
from faceren.graphs.generator import RESTORED, SIDES, generator_graph
from faceren.graphs.graph import Graph
from faceren.weights import NCNN, PICKLES, StoredWeights, check_fit, read_weights


def export(model: str, output: Path) -> Path:
    """Write the graph of a model with its weights; return the file.

    One input, ``faces``, and one output, ``restored``: (n, 3, height, width) float32, RGB in
    [0, 1], sides multiples of the metadata's ``side_multiple`` and at least twice that. Faces are
    aligned as FFHQ's; the output is not clamped. A self-ensemble is left to the caller.

    Args:
        model: A shipped model's name or the path of a checkpoint.
        output: The file, ``.onnx``.

    Raises:
        ConfigError: If the model is unknown, or the file has another suffix.
        MachineError: If the weights are not there, or the file cannot be written.
    """
    if output.suffix.lower() != ".onnx":
        raise ConfigError(f"-o: expected a file name ending in .onnx, got {output.name!r}")
    path = model_path(model)
    stored = _loaded(path) if path.suffix in (*PICKLES, NCNN) else read_weights(path)
    graph = generator_graph(stored.config, stored.arrays)
    check_fit(path, graph.shapes, {key: array.shape for key, array in stored.arrays.items()})
    atomic_write(output, _file(graph, stored))
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


def _file(graph: Graph, stored: StoredWeights) -> bytes:
    notes = {
        "name": stored.info.name,
        "licence": stored.info.licence,
        "training_data": stored.info.training_data,
        "weights_sha256": stored.sha256,
        "side_multiple": str(stored.config.stride),
        "config": json.dumps(dataclasses.asdict(stored.config)),
    }
    return graph.to_bytes({RESTORED: SIDES}, notes)
