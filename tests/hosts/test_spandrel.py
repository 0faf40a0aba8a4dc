"""spandrel's entry: the file alone, with spandrel, against the network that faceren runs."""

import ast
import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from faceren.assets import samples_dir
from faceren.checkpoint import load_checkpoint, save_checkpoint
from faceren.images import find_images, read_rgb
from faceren.networks.generator import build_generator
from faceren.weights import CheckpointInfo
from tests.networks.shapes import COMPACT, TINY
from tests.networks.twins import randomise

spandrel = pytest.importorskip("spandrel")
ENTRY = Path(__file__).parents[2] / "hosts" / "spandrel_faceren.py"
SHAPES = {
    "shallow": replace(TINY, depth=2, max_multiplier=2, stem_stride=2, octaves=3),
    "no blocks of pixels": replace(TINY, stem_stride=1, octaves=2),
    "coarse octaves": replace(TINY, stem_stride=2, octaves=4),
    "wide kernels": replace(TINY, modulation_kernel=3, kernel_dim=5),
    "eleven middle blocks": replace(TINY, middle_blocks=11, hidden=3),
}


@pytest.fixture(scope="module")
def entry():
    """The file as ComfyUI reads it; spandrel's list of networks is put back."""
    registry = spandrel.MAIN_REGISTRY
    before = dict(vars(registry))
    spec = importlib.util.spec_from_file_location("spandrel_faceren", ENTRY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    vars(registry).update(before)


def faces():
    """Ten faces of 128 pixels, one after the other."""
    paths = [found.path for found in find_images([samples_dir() / "clean"])]
    for index in range(10):
        rgb = read_rgb(paths[index % len(paths)])[::4, ::4][:, :: (-1) ** (index // len(paths))]
        face = rgb.transpose(2, 0, 1)[None] / np.float32(255)
        yield torch.from_numpy(np.ascontiguousarray(face))


@pytest.mark.parametrize(("model", "tag"), [("base", "72nf"), ("compact", "48nf")])
def test_ten_faces_come_out_as_faceren_restores_them(entry, run, tmp_path, model, tag):
    file = tmp_path / "net.safetensors"
    assert run("export", model, "-o", file) == (0, "", f"wrote {file}\n")
    described = spandrel.ModelLoader().load_from_file(file).eval()
    assert isinstance(described, spandrel.ImageModelDescriptor)
    assert (described.architecture.id, described.tags) == ("FaceRen", [tag])
    assert (described.scale, described.purpose) == (1, "Restoration")
    network = load_checkpoint(file).network
    with torch.inference_mode():
        for face in faces():
            expected = network(face).clamp(0, 1)
            assert abs(described(face) - expected).max() < 0.01 / 255
            assert abs(expected - face).max() > 8 / 255


@pytest.mark.parametrize("config", SHAPES.values(), ids=SHAPES)
def test_every_shape_that_may_be_exported_is_told_by_its_weights(entry, run, tmp_path, config):
    network = randomise(build_generator(config), seed=1).eval()
    save_checkpoint(tmp_path / "a.safetensors", network, info=CheckpointInfo(), half=False)
    assert run("export", tmp_path / "a.safetensors", "-o", tmp_path / "b.safetensors")[0] == 0
    described = spandrel.ModelLoader().load_from_file(tmp_path / "b.safetensors")
    sizes = described.size_requirements
    assert (sizes.minimum, sizes.multiple_of) == (2 * config.stride, config.stride)
    torch.manual_seed(0)
    pictures = torch.rand(2, 3, 2 * config.stride, 3 * config.stride)
    with torch.inference_mode():
        expected = network(pictures)
        found = described.model(pictures)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_a_photo_of_any_size_is_extended_by_spandrel(entry, run, tmp_path):
    run("export", "compact", "-o", tmp_path / "net.safetensors")
    described = spandrel.ModelLoader().load_from_file(tmp_path / "net.safetensors").eval()
    assert described(torch.rand(1, 3, 40, 70)).shape == (1, 3, 40, 70)


def test_it_is_no_other_network_and_no_other_is_it(entry):
    ours = build_generator(COMPACT).state_dict()
    others = [kind for kind in spandrel.MAIN_REGISTRY if kind.architecture.id != "FaceRen"]
    assert len(others) > 30
    assert not any(kind.detect(ours) for kind in others)
    assert not entry.FaceRenArch().detect({"conv.weight": torch.zeros(1)})


def test_the_file_needs_torch_and_spandrel_alone():
    nodes = list(ast.walk(ast.parse(ENTRY.read_text(encoding="utf-8"))))
    named = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    named |= {each.name for node in nodes if isinstance(node, ast.Import) for each in node.names}
    assert {name.partition(".")[0] for name in named} == {"torch", "spandrel"}
