import json
import pickle
from dataclasses import asdict, replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from faceren.checkpoint import fold_spectral_norm, load_checkpoint, save_checkpoint
from faceren.config import GeneratorConfig
from faceren.errors import ConfigError, MachineError
from faceren.files import sha256_of
from faceren.networks.generator import build_generator
from faceren.weights import METADATA_KEY, CheckpointInfo, read_header
from tests.networks.literal import LiteralGenerator, randomise
from tests.networks.shapes import TINY

pytestmark = pytest.mark.usefixtures("one_thread")

SPECTRAL = GeneratorConfig(width=2, suppression="lip")
INFO = CheckpointInfo(
    name="tiny", recipe_sha256="ab" * 32, training_data="noise", licence="CC0", images_seen=7
)


def network(config, seed=0):
    return randomise(build_generator(config), seed=seed).eval()


def faces():
    return torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "model.safetensors"


@pytest.mark.parametrize("config", [TINY, SPECTRAL, replace(SPECTRAL, suppression="adaptive")])
def test_round_trip(path, config):
    saved = network(config)
    save_checkpoint(path, saved, info=INFO, half=False)
    loaded = load_checkpoint(path)
    assert (loaded.config, loaded.info, loaded.sha256) == (config, INFO, sha256_of(path))
    assert not loaded.network.training
    with torch.no_grad():
        expected = saved.double()(faces().double())
        again = loaded.network.double()(faces().double())
    torch.testing.assert_close(again, expected, rtol=1e-4, atol=1e-5)
    assert read_header(path) == (config, INFO)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_half_precision_stores_kernels_in_float16_and_vectors_in_float32(path):
    save_checkpoint(path, network(SPECTRAL), info=INFO)
    stored = load_file(path)
    kinds = {value.ndim > 1: value.dtype for value in stored.values()}
    assert kinds == {True: torch.float16, False: torch.float32}
    loaded = load_checkpoint(path).network
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    with torch.no_grad():
        error = (loaded(faces()) - network(SPECTRAL)(faces())).abs().mean()
    assert 0 < error < 0.005


def test_loaded_weights_are_folded_frozen_and_channels_last(path):
    save_checkpoint(path, network(SPECTRAL), info=INFO)
    loaded = load_checkpoint(path).network
    assert not any("parametrizations" in key for key in loaded.state_dict())
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    kernels = [parameter for parameter in loaded.parameters() if parameter.ndim == 4]
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)
    assert loaded.config == replace(SPECTRAL, spectral_norm=False)


def test_trainable_checkpoints_go_on_as_they_were(path):
    saved = network(SPECTRAL)
    save_checkpoint(path, saved, info=INFO, half=False)
    loaded = load_checkpoint(path, trainable=True).network
    ours, theirs = loaded.state_dict(), saved.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(ours[key].equal(theirs[key]) for key in theirs)
    loaded.train()(faces()).sum().backward()
    assert loaded.head_0.conv_0.parametrizations.weight.original.grad.any()


def test_a_folded_network_can_be_saved_again(path, tmp_path):
    saved = network(SPECTRAL)
    fold_spectral_norm(saved)
    save_checkpoint(path, saved, info=INFO, half=False)
    with torch.no_grad():
        again = load_checkpoint(path).network.double()(faces().double())
        expected = saved.double()(faces().double())
    torch.testing.assert_close(again, expected, rtol=1e-4, atol=1e-5)


def test_equal_weights_give_equal_bytes(path, tmp_path):
    save_checkpoint(path, network(TINY), info=INFO)
    save_checkpoint(tmp_path / "again.safetensors", network(TINY), info=INFO)
    assert path.read_bytes() == (tmp_path / "again.safetensors").read_bytes()


@pytest.mark.parametrize("value", [float("nan"), 1e6])
def test_weights_that_cannot_be_stored_are_refused(path, value):
    broken = network(TINY)
    torch.nn.init.constant_(broken.fc.weight, value)
    save_checkpoint(path, network(TINY), info=INFO)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"'fc.weight' has values that are not finite"):
        save_checkpoint(path, broken, info=INFO)
    assert path.read_bytes() == before


def test_only_safetensors_are_written(tmp_path):
    with pytest.raises(ConfigError, match=r"ending in .safetensors, got 'model.pth'"):
        save_checkpoint(tmp_path / "model.pth", network(TINY), info=INFO)


def rewrite(path, **changes):
    """Write the tiny checkpoint with another header or other tensors."""
    save_checkpoint(path, network(TINY), info=INFO)
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()[METADATA_KEY])
    tensors |= changes.pop("tensors", {})
    for key in changes.pop("without", []):
        del tensors[key]
    save_file(tensors, path, metadata={METADATA_KEY: json.dumps(header | changes)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 9}, r"expected format version 1, got 9; update faceren"),
        ({"config": asdict(TINY) | {"widht": 3}}, "no field 'widht'; did you mean 'width'"),
        ({"config": asdict(TINY) | {"width": -1}}, "width: expected int of at least 1"),
        ({"config": 3}, "expected the fields of GeneratorConfig, got 3"),
        ({"info": {"lisence": ""}}, "CheckpointInfo has no field 'lisence'; did you mean"),
        ({"without": ["fc.bias"]}, r"'fc.bias': expected shape \(16,\), got none"),
        (
            {"tensors": {"fc.bias": torch.zeros(9)}},
            r"'fc.bias': expected shape \(16,\), got \(9,\)",
        ),
        (
            {"tensors": {"extra": torch.zeros(2, 3)}},
            r"'extra': not part of the network, got shape \(2, 3\)",
        ),
    ],
)
def test_what_does_not_fit_is_named(path, changes, message):
    rewrite(path, **changes)
    with pytest.raises(ConfigError, match=message):
        load_checkpoint(path)


def test_a_field_that_older_files_lack_has_its_default(path):
    old = asdict(TINY)
    del old["kernel_activation"]
    rewrite(path, config=old)
    assert load_checkpoint(path).config == TINY


def test_files_that_are_no_checkpoints(tmp_path):
    with pytest.raises(MachineError, match="no such file"):
        load_checkpoint(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"\x89PNG not tensors")
    with pytest.raises(MachineError, match=r"bad.safetensors cannot be read as a safetensors"):
        load_checkpoint(tmp_path / "bad.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors", metadata={"a": "b"})
    with pytest.raises(ConfigError, match="expected a faceren checkpoint, got other safetensors"):
        load_checkpoint(tmp_path / "other.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "text.safetensors", metadata={METADATA_KEY: "{"})
    with pytest.raises(ConfigError, match="metadata are no JSON"):
        load_checkpoint(tmp_path / "text.safetensors")


def test_a_truncated_checkpoint_is_damaged(path):
    save_checkpoint(path, network(TINY), info=INFO)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(MachineError, match="damaged"):
        load_checkpoint(path)


@pytest.mark.parametrize("variant", ["hifacegan", "lipspade", "spade"])
def test_published_state_dicts_load(tmp_path, variant):
    literal = randomise(LiteralGenerator(replace(SPECTRAL, variant=variant)))
    torch.save(literal.state_dict(), tmp_path / "latest_net_G.pth")
    loaded = load_checkpoint(tmp_path / "latest_net_G.pth")
    assert loaded.config == replace(SPECTRAL, variant=variant)
    assert (loaded.info.name, loaded.info.licence[:7]) == ("latest_net_G", "unknown")
    with torch.no_grad():
        expected = literal(faces())
        assert (loaded.network(faces()) - expected).abs().max() < 1e-4 * expected.abs().max()


def test_published_state_dicts_become_checkpoints(tmp_path, path):
    literal = randomise(LiteralGenerator(SPECTRAL))
    torch.save({"params": literal.state_dict()}, tmp_path / "g.pt")
    imported = load_checkpoint(tmp_path / "g.pt", trainable=True)
    save_checkpoint(path, imported.network, info=imported.info, half=False)
    with torch.no_grad():
        torch.testing.assert_close(
            load_checkpoint(path).network(faces()), imported.network(faces())
        )


class Code:
    def __reduce__(self):
        return print, ("this must not run",)


def test_pickled_code_never_runs(tmp_path, capsys):
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Code()))
    torch.save({"fc.weight": Code()}, tmp_path / "worse.pt")
    for name in ("evil.pth", "worse.pt"):
        with pytest.raises(MachineError, match=f"{name} cannot be read as plain tensors"):
            load_checkpoint(tmp_path / name)
    assert "must not run" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half a zip", b"text", b"\x80\x02}q"])
def test_damaged_pickles_are_one_clear_error(tmp_path, content):
    (tmp_path / "bad.pth").write_bytes(content)
    with pytest.raises(MachineError, match=r"bad.pth cannot be read"):
        load_checkpoint(tmp_path / "bad.pth")


def test_published_files_that_do_not_fit_are_named(tmp_path):
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ConfigError, match=r"list.pth: expected a state dict, got a list"):
        load_checkpoint(tmp_path / "list.pth")
    torch.save({"conv.weight": torch.zeros(2)}, tmp_path / "esrgan.pth")
    with pytest.raises(ConfigError, match=r"esrgan.pth: .*no published HiFaceGAN.*'conv.weight'"):
        load_checkpoint(tmp_path / "esrgan.pth")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "a Git LFS pointer: fetch"),
        ("\n<!DOCTYPE html>\n<html>", "a web page: download the file itself"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_a_download_left_in_place_of_weights_is_named(tmp_path, content, said, suffix):
    path = tmp_path / f"weights{suffix}"
    path.write_text(content)
    with pytest.raises(MachineError, match=f"expected weights in .*, got {said}"):
        load_checkpoint(path)
