"""Which engine a request gets, and that it never gets another in silence."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from faceren.assets import model_path
from faceren.checkpoint import load_checkpoint, save_checkpoint
from faceren.engines import OnnxRestorer, has_gpu, load_engine, padded_to
from faceren.errors import ConfigError, FaceError, MachineError, ShapeError
from faceren.inference import TorchRestorer, _pad, load_restorer
from faceren.networks.generator import build_generator
from faceren.weights import CheckpointInfo
from tests.networks.shapes import TINY
from tests.networks.twins import randomise


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "tiny.safetensors"
    network = build_generator(TINY)
    torch.manual_seed(0)
    torch.nn.init.normal_(network.to_rgb.weight, std=0.5)
    save_checkpoint(path, network, info=CheckpointInfo(name="tiny"), half=False)
    return path


def pictures(*shapes):
    rng = np.random.default_rng(0)
    return [rng.random((*shape, 3), np.float32) for shape in shapes]


@pytest.mark.parametrize("ensemble", ["on", "off"])
def test_both_engines_restore_alike(weights, ensemble):
    onnx = load_engine(weights, device="cpu", ensemble=ensemble)
    theirs = load_engine(weights, device="cpu", ensemble=ensemble, engine="torch")
    assert isinstance(onnx, OnnxRestorer)
    assert isinstance(theirs, TorchRestorer)
    assert (onnx.computed, theirs.computed) == ("onnx cpu fp32", "torch cpu fp32")
    assert onnx.checkpoint.sha256 == theirs.checkpoint.sha256
    for picture in pictures((16, 16), (64, 64), (37, 90), (130, 64)):
        (ours,), (expected,) = (e.restore_pictures([picture]) for e in (onnx, theirs))
        assert ours.shape == picture.shape
        assert ours.dtype == np.float32
        assert 0 <= ours.min() <= ours.max() <= 1
        np.testing.assert_allclose(ours, expected, atol=1e-4)


@pytest.mark.parametrize("shape", [(4, 5), (16, 200), (64, 63), (17, 17)])
def test_padding_is_torch_s(shape):
    (picture,) = pictures(shape)
    expected = _pad(torch.from_numpy(picture).permute(2, 0, 1)[None], 32)[0].permute(1, 2, 0)
    assert (padded_to(picture, 32) == expected.numpy()).all()


@pytest.mark.parametrize(
    ("request_", "computed"),
    [
        ({"precision": "fp32"}, "onnx cpu fp32"),
        ({"precision": "bf16"}, "torch cpu bf16"),
        ({"engine": "torch"}, "torch cpu fp32"),
        ({"engine": "onnx"}, "onnx cpu fp32"),
    ],
)
def test_what_is_asked_for_decides(weights, request_, computed):
    assert load_engine(weights, device="cpu", **request_).computed == computed


def test_published_state_dicts_go_through_torch(tmp_path):
    from tests.networks.shapes import BASE  # any configuration names the error's other half

    assert BASE.variant == "hifacegan"
    path = tmp_path / "theirs.pth"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(ConfigError, match=r"theirs.pth, published weights, needs --engine t"):
        load_engine(path, device="cpu", engine="onnx")
    with pytest.raises(ConfigError, match="theirs.pth: "):  # torch's reader says what is wrong
        load_engine(path, device="cpu")


def test_what_onnx_cannot_do_is_refused(weights):
    with pytest.raises(ConfigError, match="--engine onnx: --precision bf16 needs --engine torch"):
        load_engine(weights, device="cpu", precision="bf16", engine="onnx")
    with pytest.raises(ConfigError, match="--engine onnx: --device cuda needs --engine torch"):
        load_engine(weights, device="cuda", engine="onnx")
    with pytest.raises(ConfigError, match="--engine: expected one of 'auto', 'onnx', 'torch'"):
        load_engine(weights, device="cpu", engine="tensorrt")


def test_without_torch_it_is_said_what_needs_it(weights):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path; from faceren.engines import load_engine\n"
        "from faceren.errors import MachineError\n"
        "path = Path(sys.argv[1]); load_engine(path)\n"
        "try: load_engine(path, device='cpu', precision='bf16')\n"
        "except MachineError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, weights], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("--precision bf16 needs torch, which is not installed; install")
    assert done.stdout.endswith("pip install 'faceren[torch]'\n")


def test_weights_that_do_not_fit_are_named_as_torch_names_them(tmp_path, weights):
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    tensors = load_file(weights)
    with safe_open(weights, "np") as file:
        metadata = file.metadata()
    del tensors["fc.bias"]
    tensors["extra"] = np.zeros((2, 3), np.float32)
    tensors["to_rgb.bias"] = np.zeros(7, np.float32)
    path = tmp_path / "other.safetensors"
    save_file(tensors, path, metadata=metadata)
    said = []
    for load in (load_engine, load_restorer):
        with pytest.raises(ConfigError) as found:
            load(path, device="cpu")
        said.append(sorted(str(found.value).replace("configuration: ", "; ").split("; ")))
    assert said[0] == said[1]
    assert any("'extra': not part of the network" in part for part in said[0])


def test_a_missing_library_is_said_at_once_and_a_refused_network_before_the_first_face(
    monkeypatch, weights
):
    def refused(graph, outputs):
        raise MachineError("ONNX Runtime 1.19 cannot load the network")

    monkeypatch.setattr("faceren.engines.session_of", refused)
    restorer = load_engine(weights, device="cpu")
    for _ in range(2):
        with pytest.raises(MachineError, match="cannot load the network"):
            restorer.restore_pictures(pictures((32, 32)))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MachineError, match="cannot be imported"):
        load_engine(weights, device="cpu")


def test_damaged_weights_are_an_error(tmp_path, weights):
    path = tmp_path / "cut.safetensors"
    path.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(MachineError, match=r"cut.safetensors cannot be read"):
        load_engine(path, device="cpu")


def test_what_is_no_picture_is_refused_and_what_is_not_finite_is_no_output(tmp_path):
    path = tmp_path / "huge.safetensors"
    network = randomise(build_generator(TINY))
    torch.nn.init.constant_(network.to_rgb.bias, 3e38)
    torch.nn.init.constant_(network.to_rgb.weight, 3e38)
    save_checkpoint(path, network, info=CheckpointInfo(name="huge"), half=False)
    restorer = load_engine(path, device="cpu")
    (picture,) = pictures((64, 64))
    with pytest.raises(FaceError, match="not finite"):
        restorer.restore_pictures([picture])
    with pytest.raises(ShapeError, match="NaN"):
        restorer.restore_pictures([picture * np.float32("nan")])
    with pytest.raises(ShapeError, match="16 pixels or more"):
        restorer.restore_pictures([picture[:8]])


def test_a_gpu_is_asked_for_only_where_its_driver_is(monkeypatch, tmp_path):
    monkeypatch.setattr("faceren.engines.sys.platform", "linux")
    monkeypatch.setattr("faceren.engines.GPU_FILES", (str(tmp_path / "none"),))
    monkeypatch.setattr("faceren.inference.pick_device", lambda _: torch.device("cuda"))
    assert not has_gpu()
    monkeypatch.setattr("faceren.engines.GPU_FILES", (str(tmp_path),))
    monkeypatch.setattr("importlib.metadata.version", lambda _: "2.9.0+cu130")
    assert has_gpu()
    monkeypatch.setattr("importlib.metadata.version", lambda _: "2.9.0+cpu")
    assert not has_gpu()
    monkeypatch.setattr("faceren.engines.importlib.util.find_spec", lambda _: None)
    assert not has_gpu()


def test_weights_are_those_that_torch_loads(weights):
    restorer = load_engine(model_path("compact"), device="cpu")
    loaded = load_checkpoint(model_path("compact"))
    assert (restorer.checkpoint.info, restorer.checkpoint.config) == (loaded.info, loaded.config)
