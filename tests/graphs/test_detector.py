from pathlib import Path

import numpy as np
import pytest
import torch

from faceren.checkpoint import save_checkpoint
from faceren.config import DetectorConfig
from faceren.errors import ConfigError
from faceren.graphs.detector import GRAY, MARKED, SIDES, detector_graph, detector_shapes
from faceren.graphs.session import session_of
from faceren.networks.detector import build_detector
from faceren.weights import CheckpointInfo, read_detector

CONFIGS = [DetectorConfig(), DetectorConfig(channels=(4, 6)), DetectorConfig(channels=(3, 5, 9))]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_graph_computes_what_torch_does(config: DetectorConfig, tmp_path: Path) -> None:
    network = build_detector(config, seed=3).eval()
    with torch.no_grad():
        network.last.weight.normal_(
            generator=torch.Generator().manual_seed(4)
        )  # small at first, so that every pixel would say the same
    save_checkpoint(tmp_path / "d.safetensors", network, info=CheckpointInfo(name="d"), half=False)
    stored = read_detector(tmp_path / "d.safetensors")
    assert stored.config == config
    graph = detector_graph(stored.config, stored.arrays)
    session = session_of(graph, {MARKED: SIDES}, 1)
    gray = np.random.default_rng(1).random((2, 1, 48, 80), np.float32)
    (found,) = session.run({GRAY: gray})
    with torch.no_grad():
        wanted = network(torch.from_numpy(gray).repeat(1, 3, 1, 1)).sigmoid().numpy()
    assert wanted.std() > 0.01
    assert np.abs(found - wanted).max() < 1e-5


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_shapes_are_those_of_the_state_dict(config: DetectorConfig) -> None:
    state = build_detector(config, 0).state_dict()
    assert detector_shapes(config) == {key: tuple(value.shape) for key, value in state.items()}


def test_a_generator_is_no_detector() -> None:
    from faceren.assets import asset

    with pytest.raises(ConfigError, match="expected a detector of marks, got another network"):
        read_detector(asset("faceren-compact"))
