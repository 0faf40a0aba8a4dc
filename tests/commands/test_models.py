"""``faceren export``: the file in ONNX Runtime, as a stranger would run it."""

import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from faceren.assets import model_path, samples_dir
from faceren.checkpoint import load_checkpoint, save_checkpoint
from faceren.config import GeneratorConfig
from faceren.files import sha256_of
from faceren.images import find_images, read_rgb
from faceren.networks.generator import build_generator
from faceren.weights import CheckpointInfo
from tests.networks.literal import LiteralGenerator, randomise
from tests.networks.shapes import TINY


@pytest.mark.parametrize("model", ["base", "compact"])
def test_ten_faces_come_out_as_torch_restores_them(model, run, tmp_path):
    file = tmp_path / "net.onnx"
    assert run("export", model, "-o", file) == (0, "", f"wrote {file}\n")
    onnx.checker.check_model(str(file), full_check=True)
    notes = {p.key: p.value for p in onnx.load(file).metadata_props}
    assert notes["weights_sha256"] == sha256_of(model_path(model))
    assert "non-commercial" in notes["licence"]
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    network = load_checkpoint(model_path(model)).network
    assert int(notes["side_multiple"]) == network.stride == json.loads(notes["config"])[
        "stem_stride"
    ] * 2 ** json.loads(notes["config"])["depth"]  # fmt: skip
    paths = [found.path for found in find_images([samples_dir() / "clean"])]
    for index in range(10):
        rgb = read_rgb(paths[index % len(paths)])[::4, ::4][:, :: (-1) ** index]
        side = 64 + 32 * (index // len(paths) % 2)
        face = np.ascontiguousarray(rgb[:side, :128].transpose(2, 0, 1)[None] / np.float32(255))
        (restored,) = session.run(["restored"], {"faces": face})
        with torch.inference_mode():
            expected = network(torch.from_numpy(face)).numpy()
        assert abs(restored - expected).max() < 0.01 / 255


def test_a_file_is_smaller_than_its_weights_in_single_precision(run, tmp_path):
    run("export", "compact", "-o", tmp_path / "net.onnx")
    size = (tmp_path / "net.onnx").stat().st_size
    assert size < 1.05 * model_path("compact").stat().st_size


def test_weights_for_spandrel_are_weights_that_faceren_takes(run, tmp_path):
    assert run("export", "compact", "-o", tmp_path / "net.safetensors")[0] == 0
    assert sha256_of(tmp_path / "net.safetensors") == sha256_of(model_path("compact"))


def test_a_network_that_spandrel_would_compute_wrongly_is_refused(run, tmp_path):
    config = replace(TINY, normalisation="instance")
    file = tmp_path / "a.safetensors"
    save_checkpoint(file, build_generator(config), info=CheckpointInfo())
    status, _, said = run("export", file, "-o", tmp_path / "b.safetensors")
    assert status == 2
    assert "takes networks with normalisation 'layer', this one has 'instance'" in said
    assert not (tmp_path / "b.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["compact", "-o", "net.pth"], 2, "ending in .onnx or .safetensors, got 'net.pth'"),
        (["compcat", "-o", "net.onnx"], 2, "did you mean 'compact'"),
        (["gone.safetensors", "-o", "net.onnx"], 4, "gone.safetensors is not there"),
    ],
)
def test_what_cannot_be_exported_is_said(run, tmp_path, monkeypatch, arguments, status, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = run("export", *arguments)
    assert (code, out) == (status, "")
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_a_published_state_dict_can_be_exported(run, tmp_path):
    config = GeneratorConfig(width=2, suppression="lip")
    published = randomise(LiteralGenerator(config)).eval()
    torch.save(published.state_dict(), tmp_path / "theirs.pth")
    file = tmp_path / "theirs.onnx"
    assert run("export", tmp_path / "theirs.pth", "-o", file)[0] == 0
    faces = np.random.default_rng(0).random((1, 3, 64, 96), np.float32)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"faces": faces})
    expected = load_checkpoint(tmp_path / "theirs.pth").network(torch.from_numpy(faces))
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-3)
