"""The generators as graphs against torch's: every kind of layer, and the shipped weights."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from faceren.assets import model_path, samples_dir
from faceren.checkpoint import load_checkpoint, save_checkpoint
from faceren.config import (
    Activation,
    DetectorConfig,
    GeneratorConfig,
    Head,
    Modulation,
    Normalisation,
    Shortcut,
    Suppression,
    Variant,
)
from faceren.errors import ConfigError
from faceren.graphs.generator import (
    FACES,
    GRAY,
    MARKED,
    RESTORED,
    SIDES,
    detector_graph,
    detector_shapes,
    generator_graph,
)
from faceren.graphs.session import session_of
from faceren.images import find_images, read_rgb
from faceren.networks.detector import build_detector
from faceren.networks.generator import build_generator
from faceren.weights import CheckpointInfo, check_fit, read_detector, read_weights
from tests.networks.shapes import TINY
from tests.networks.twins import randomise

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = replace(TINY, depth=2, max_multiplier=2, stem_stride=2, octaves=3)
PUBLISHED = GeneratorConfig(width=2, max_multiplier=4, depth=4, suppression="lip")
SHAPES = {
    "as shipped": SMALL,
    "wide kernels": replace(SMALL, modulation_kernel=3, modulation="plain"),
    "more middle blocks": replace(SMALL, middle_blocks=3, width=6, hidden=5),
    "coarse octaves": replace(SMALL, stem_stride=1, octaves=2, kernel_activation="tanh"),
    "residual": replace(SMALL, head="residual", encoder_normalisation="layer"),
    "fixed": replace(SMALL, suppression="fixed", shortcut="spade"),
    "without normalisation": replace(SMALL, normalisation="none", encoder_normalisation="none"),
    "published": PUBLISHED,
    "lipspade": replace(PUBLISHED, variant="lipspade"),
    "spade": replace(PUBLISHED, variant="spade", suppression="adaptive"),
}


def stored(folder, config):
    path = folder / "random.safetensors"
    network = randomise(build_generator(config), seed=1).eval()
    save_checkpoint(path, network, info=CheckpointInfo(name="random"), half=False)
    return path


@pytest.mark.parametrize("config", SHAPES.values(), ids=SHAPES)
def test_every_shape_of_network_computes_what_torch_computes(tmp_path, config):
    path = stored(tmp_path, config)
    weights = read_weights(path)
    graph = generator_graph(weights.config, weights.arrays)
    check_fit(path, graph.shapes, {key: array.shape for key, array in weights.arrays.items()})
    onnx.checker.check_model(graph.to_bytes({RESTORED: SIDES}), full_check=True)
    shape = (2, 3, 2 * config.stride, 3 * config.stride)
    faces = np.random.default_rng(0).random(shape, np.float32)
    (found,) = session_of(graph, {RESTORED: SIDES}).run({FACES: faces})
    exact = load_checkpoint(path).network.double()
    with torch.no_grad():
        expected = exact(torch.from_numpy(faces).double()).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4 * abs(expected).max())


@pytest.mark.parametrize(
    ("field", "known"),
    [
        ("variant", Variant),
        ("suppression", Suppression),
        ("kernel_activation", Activation),
        ("normalisation", Normalisation),
        ("encoder_normalisation", Normalisation),
        ("modulation", Modulation),
        ("shortcut", Shortcut),
        ("head", Head),
    ],
)
def test_every_value_that_a_shape_may_have_is_among_the_shapes(field, known):
    assert {getattr(shape, field) for shape in SHAPES.values()} == set(get_args(known))


def test_a_network_that_needs_more_than_a_face_is_refused():
    config = replace(SHAPES["spade"], guidance_channels=5)
    with pytest.raises(ConfigError, match="parsing map"):
        generator_graph(config, {})


@pytest.mark.parametrize("model", ["base", "compact"])
def test_shipped_weights_restore_as_in_torch(model):
    weights = read_weights(model_path(model))
    session = session_of(generator_graph(weights.config, weights.arrays), {RESTORED: SIDES})
    network = load_checkpoint(model_path(model)).network
    for found in list(find_images([samples_dir() / "clean"]))[:2]:
        face = (read_rgb(found.path)[::2, ::2] / np.float32(255)).transpose(2, 0, 1)[None]
        face = np.ascontiguousarray(face, np.float32)
        (restored,) = session.run({FACES: face})
        with torch.inference_mode():
            expected = network(torch.from_numpy(face)).numpy()
        assert abs(restored - expected).max() < 0.01 / 255


@pytest.mark.parametrize("model", ["base", "compact"])
def test_no_number_of_cores_and_no_neighbour_changes_a_bit(model):
    weights = read_weights(model_path(model))
    graph = generator_graph(weights.config, weights.arrays)
    faces = np.random.default_rng(0).random((8, 3, 160, 192), np.float32)
    alone = None
    for cores in (1, 2, 3, 4):
        session = session_of(graph, {RESTORED: SIDES}, cores)
        for batch in (faces[5:6], faces[4:6], faces[3:6], faces):
            (together,) = session.run({FACES: batch})
            found = together[5 if len(batch) == 8 else len(batch) - 1]
            alone = found if alone is None else alone
            assert (found == alone).all(), (cores, len(batch))


def test_maps_of_the_decoder_stay_in_blocks_of_channels(tmp_path):
    weights = read_weights(model_path("compact"))
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4
    file = generator_graph(weights.config, weights.arrays).to_bytes({RESTORED: SIDES})
    onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    kinds = Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)
    if not kinds["ReorderInput"]:
        pytest.skip("ONNX Runtime knows no blocks on this processor")
    assert not kinds["LeakyRelu"]
    # a normalisation is one copy there and back; beside them, what goes in and the two outputs
    assert kinds["ReorderInput"] == kinds["LayerNormalization"] + 1
    assert kinds["ReorderOutput"] == kinds["LayerNormalization"] + 2
    assert kinds["Add"] == 2 * weights.config.octaves + 1  # all others are part of a convolution


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
    gray = np.random.default_rng(1).random((2, 1, 64, 96), np.float32)
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
