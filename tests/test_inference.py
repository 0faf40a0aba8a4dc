from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from faceren.assets import model_path, samples_dir
from faceren.checkpoint import LoadedCheckpoint, load_checkpoint, save_checkpoint
from faceren.config import GeneratorConfig
from faceren.errors import ConfigError, FaceError, MachineError, ShapeError
from faceren.images import find_images, read_rgb
from faceren.images.photo import to_tensor
from faceren.inference import (
    ManyGpus,
    TorchRestorer,
    _pad,
    devices_of,
    load_restorer,
    pick_device,
    pick_dtype,
)
from faceren.networks.generator import build_generator
from faceren.restoration.stream import SharedNetwork
from faceren.weights import CheckpointInfo

TINY = GeneratorConfig(
    width=4,
    depth=2,
    max_multiplier=2,
    middle_blocks=1,
    stem_stride=2,
    hidden=4,
    normalisation="layer",
    encoder_normalisation="none",
    spectral_norm=False,
    shortcut="plain",
    head="residual",
)
SUMS = 5e-6
"""A thousandth of a level: another layout in memory sums in another order."""


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    network = build_generator(TINY)
    torch.nn.init.normal_(network.to_rgb.weight, std=0.5)
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(path, network, info=CheckpointInfo(name="tiny"), half=False)
    return path


def test_any_size_comes_back_in_its_size_and_range(weights):
    restorer = load_restorer(weights, device="cpu")
    for height, width in [(16, 16), (64, 64), (37, 90), (130, 64)]:
        faces = torch.rand(2, 3, height, width)
        restored = restorer.restore(faces)
        assert restored.shape == faces.shape
        assert 0 <= float(restored.min()) <= float(restored.max()) <= 1


def test_multiples_of_the_stride_are_the_network_s_own_output(weights):
    restorer = load_restorer(weights, device="cpu")
    faces = torch.rand(1, 3, 64, 48)
    expected = load_checkpoint(weights).network(faces).clamp(0, 1)
    torch.testing.assert_close(restorer.restore(faces), expected, atol=SUMS, rtol=0)


def test_a_batch_equals_its_faces_alone_to_the_bit(weights):
    restorer = load_restorer(weights, device="cpu", batch_size=8)
    faces = torch.rand(5, 3, 64, 64)
    together = restorer.restore(faces)
    alone = torch.cat([restorer.restore(face[None]) for face in faces])
    assert torch.equal(together, alone)


def test_a_self_ensemble_is_the_mean_of_both_views_as_the_weights_or_the_user_say(
    tmp_path, weights
):
    network = load_checkpoint(weights).network
    path = tmp_path / "both.safetensors"
    info = CheckpointInfo(name="both", self_ensemble=True)
    save_checkpoint(path, network, info=info, half=False)
    faces = torch.rand(2, 3, 64, 48)
    one, other = network(faces), network(faces.flip(-1)).flip(-1)
    mean = (0.5 * one + 0.5 * other).clamp(0, 1)
    for file, ensemble, expected in (
        *((path, "auto", mean), (path, "on", mean), (path, "off", one.clamp(0, 1))),
        *((weights, "auto", one.clamp(0, 1)), (weights, "on", mean)),
    ):
        restored = load_restorer(file, device="cpu", ensemble=ensemble).restore(faces)
        torch.testing.assert_close(restored, expected, atol=SUMS, rtol=0)
    assert (mean - one.clamp(0, 1)).abs().max() > 0.01


def test_an_unknown_ensemble_says_what_there_is(weights):
    with pytest.raises(
        ConfigError, match="--ensemble: expected one of 'auto', 'on', 'off', got 'both'"
    ):
        load_restorer(weights, device="cpu", ensemble="both")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_leaves_the_picture_its_digits(tmp_path, precision):
    path = tmp_path / "untrained.safetensors"  # it returns its input
    save_checkpoint(path, build_generator(TINY), info=CheckpointInfo(name="tiny"), half=False)
    faces = torch.rand(2, 3, 64, 64)
    restored = load_restorer(path, device="cpu", precision=precision).restore(faces)
    assert torch.equal(restored, faces)


@pytest.mark.parametrize(("precision", "levels"), [("bf16", 0.1), ("fp16", 0.02)])
def test_half_precision_is_near_full_precision(precision, levels):
    face = to_tensor(read_rgb(next(find_images([samples_dir() / "clean"])).path))
    full, half = (
        load_restorer(model_path("base"), device="cpu", precision=name).restore(face)
        for name in ("fp32", precision)
    )
    assert 0 < 255 * (full - half).abs().mean().item() < levels


def test_padding_reflects_and_reaches_two_strides():
    faces = torch.arange(20.0).view(1, 1, 4, 5)
    padded = _pad(faces, 8)
    assert padded.shape == (1, 1, 16, 16)
    assert torch.equal(padded[..., :4, :5], faces)
    assert padded[0, 0, 0, 5:9].tolist() == [3, 2, 1, 0]


NO_ROOM = torch.OutOfMemoryError("Tried to allocate 2 GiB")
NO_ENGINE = "GET was unable to find an engine to execute this computation"
"""What cuDNN says, through torch, where it has no memory to work in."""


class Exploding(torch.nn.Module):
    stride = 8

    def __init__(self, value=float("nan"), limit=None, error=NO_ROOM):
        super().__init__()
        self.value, self.limit, self.error = value, limit, error

    def forward(self, faces):
        if self.limit is not None and len(faces) > self.limit:
            raise self.error
        return faces * self.value


def with_network(weights, network, device="cpu", batch_size=4):
    loaded = load_checkpoint(weights)
    checkpoint = LoadedCheckpoint(
        network=network, config=loaded.config, info=loaded.info, sha256=loaded.sha256
    )
    return TorchRestorer(checkpoint, torch.device(device), torch.float32, batch_size)


def test_values_that_are_not_finite_are_an_error_never_an_output(weights):
    restorer = with_network(weights, Exploding())
    with pytest.raises(FaceError, match="--precision fp32"):
        restorer.restore(torch.rand(1, 3, 64, 64))
    with pytest.raises(ShapeError, match="NaN"):
        restorer.restore(torch.full((1, 3, 64, 64), float("nan")))


@pytest.mark.parametrize("error", [NO_ROOM, RuntimeError(NO_ENGINE)])
def test_running_out_of_memory_halves_the_batch_and_goes_on(weights, error):
    network = Exploding(1.0, limit=1, error=error)
    restorer = with_network(weights, network, device="cpu", batch_size=8)
    object.__setattr__(restorer, "device", torch.device("meta"))
    restorer._pass = lambda faces: restorer.checkpoint.network(faces)
    faces = torch.rand(7, 3, 64, 64)
    assert torch.equal(restorer.restore(faces), faces)
    assert restorer.batch_size == 1


def test_no_memory_for_one_face_says_so(weights):
    restorer = with_network(weights, Exploding(1.0, limit=0), batch_size=1)
    with pytest.raises(MachineError, match="does not fit into the memory"):
        restorer.restore(torch.rand(1, 3, 64, 64))


def test_another_error_of_a_device_is_no_want_of_memory(weights):
    error = RuntimeError("CUDA error: an illegal memory access was encountered")
    restorer = with_network(weights, Exploding(1.0, limit=0, error=error))
    with pytest.raises(RuntimeError, match="illegal memory access"):
        restorer.restore(torch.rand(1, 3, 64, 64))
    assert restorer.batch_size == 4


def test_float32_is_not_rounded_on_a_gpu(weights, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    load_restorer(weights, device="cpu", precision="bf16")
    assert torch.backends.cudnn.allow_tf32
    load_restorer(weights, device="cpu", precision="fp32")
    assert not torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 1, 64, 64), (1, 3, 8, 64)])
def test_other_shapes_are_refused(weights, shape):
    with pytest.raises(ShapeError, match=r"expected \(N, 3, H, W\)"):
        load_restorer(weights, device="cpu").restore(torch.zeros(shape))


def test_devices_and_types_are_checked():
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_dtype("auto", torch.device("cpu")) is torch.float32
    assert pick_dtype("bf16", torch.device("cpu")) is torch.bfloat16
    with pytest.raises(ConfigError, match="got 'gpu'"):
        pick_device("gpu")
    with pytest.raises(ConfigError, match="got 'fp8'"):
        pick_dtype("fp8", torch.device("cpu"))
    with pytest.raises(MachineError, match="use --device cpu"):
        pick_device("cuda:99")


def test_pictures_are_restored_as_tensors_are(weights):
    restorer = load_restorer(weights, device="cpu")
    faces = torch.rand(2, 3, 40, 64)
    pictures = [face.permute(1, 2, 0).numpy() for face in faces]
    for picture, expected in zip(
        restorer.restore_pictures(pictures), restorer.restore(faces), strict=True
    ):
        assert picture.shape == (40, 64, 3)
        assert (picture == expected.permute(1, 2, 0).numpy()).all()


def test_cores_are_those_of_the_calling_thread(weights):
    restorer = load_restorer(weights, device="cpu")
    before = restorer.cores
    restorer.use_cores(before + 1)
    assert restorer.cores == torch.get_num_threads() == before + 1
    restorer.use_cores(before)
    assert restorer.cores == before


def test_several_devices_restore_as_one_does(weights):
    """Two copies on the CPU stand for two GPUs."""
    one = load_restorer(weights, device="cpu")
    both = ManyGpus(one, [torch.device("cpu")] * 2)
    assert both.devices == 2
    assert both.computed == one.computed
    assert len({id(copy.checkpoint.network) for copy in both.copies}) == 2
    used = []
    for number, copy in enumerate(both.copies):
        restored = copy.restore
        copy.restore = lambda x, n=number, honest=restored: used.append(n) or honest(x)
    pictures = [torch.rand(48, 40, 3).numpy() for _ in range(8)]
    network = SharedNetwork(both)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda picture: network.run([picture])[0], pictures))
    expected = load_restorer(weights, device="cpu").restore_pictures(pictures)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours.pixels, theirs)
    assert set(used) == {0, 1}


def test_a_device_that_fails_is_free_again(weights):
    both = ManyGpus(load_restorer(weights, device="cpu"), [torch.device("cpu")] * 2)
    for _ in range(3):
        with pytest.raises(ShapeError):
            both.restore_pictures([np.zeros((4, 4, 3), np.float32)])
    assert both.restore_pictures([np.zeros((16, 16, 3), np.float32)])[0].shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("asked", "first", "used"),
    [
        ("auto", "cuda", ["cuda:0", "cuda:1", "cuda:2"]),
        ("cuda", "cuda", ["cuda:0", "cuda:1", "cuda:2"]),
        ("cuda:1", "cuda:1", ["cuda:1"]),
        ("auto", "cpu", ["cpu"]),
    ],
)
def test_all_gpus_are_used_unless_one_is_named(monkeypatch, asked, first, used):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert [str(device) for device in devices_of(asked, torch.device(first))] == used
