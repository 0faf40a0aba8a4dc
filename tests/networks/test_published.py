import pickle

import numpy as np
import pytest
import torch

from faceren.checkpoint import load_checkpoint, recognised
from faceren.config import GeneratorConfig
from faceren.errors import ConfigError, MachineError
from faceren.networks.generator import build_generator
from faceren.networks.published import (
    HALF,
    import_published,
    load_safetensors,
    load_tensors,
    read_convolutions,
)
from tests.networks.literal import LiteralGenerator, randomise
from tests.networks.test_baselines import picture, tiny

HEAD = "7767517\n9 9\nInput input.1 0 1 data\n"


def write(path, convolutions, *, half=True, text=None):
    """Write kernels and biases as ncnn does."""
    lines, data = [], b""
    for number, (kernel, bias) in enumerate(convolutions):
        out, _, side, _ = kernel.shape
        lines.append(
            f"Convolution c{number} 1 1 a b 0={out} 1={side} 4=1 5=1 6={kernel.numel()} 9=2 "
            f"-23310=1,2.000000e-01"
        )
        stored = kernel.numpy().astype(np.float16 if half else np.float32).tobytes()
        data += (HALF if half else 0).to_bytes(4, "little") + stored + bytes(-len(stored) % 4)
        data += bias.numpy().astype(np.float32).tobytes()
    path.write_bytes(data)
    body = "Split s 1 2 a b c\n".join(f"{line}\n" for line in lines)
    path.with_suffix(".param").write_text(text or HEAD + body)
    return path


def of_esrgan():
    values = list(tiny("esrgan").body.state_dict().values())
    return list(zip(values[::2], values[1::2], strict=True))


@pytest.mark.parametrize("half", [True, False])
def test_a_chain_of_convolutions_is_read_in_its_order(tmp_path, half):
    # an odd number of half floats is filled up to four bytes
    given = [(torch.rand(3, 1, 3, 3), torch.rand(3)), (torch.rand(1, 3, 1, 1), torch.rand(1))]
    found = read_convolutions(write(tmp_path / "x.bin", given, half=half))
    for (kernel, bias), (theirs, added) in zip(given, found, strict=True):
        assert torch.allclose(theirs, kernel, atol=1e-3 if half else 0)
        assert torch.equal(added, bias)


def test_esrgan_from_ncnn_is_that_network(tmp_path):
    loaded = load_checkpoint(write(tmp_path / "mine.bin", of_esrgan(), half=False))
    assert loaded.config == tiny("esrgan").config
    assert loaded.info.name == "mine"
    with torch.no_grad():
        expected = tiny("esrgan").eval()(picture())
        assert torch.allclose(loaded.network(picture()), expected, atol=1e-5)
    assert recognised(tmp_path / "mine.bin")


def test_other_numbers_of_convolutions_are_no_esrgan(tmp_path):
    path = write(tmp_path / "x.bin", of_esrgan()[:-1])
    with pytest.raises(ConfigError, match=r"x.bin: expected the 6 \+ 15·n convolutions of ESRGAN"):
        load_checkpoint(path)
    first, second, third, *rest = of_esrgan()
    path = write(tmp_path / "x.bin", [first, third, second, *rest])
    with pytest.raises(ConfigError, match="the weights do not fit esrgan"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: data[:-4], "ends too early"),
        (lambda data: data + b"\0\0\0\0", "4 bytes are left"),
        (lambda data: b"\1" + data[1:], "expected float32 or float16, got 0x1306b01"),
    ],
)
def test_damaged_bytes_are_named(tmp_path, spoil, message):
    path = write(tmp_path / "x.bin", [(torch.rand(2, 2, 3, 3), torch.rand(2))])
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(MachineError, match=message):
        read_convolutions(path)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("hello", MachineError, "expected a text file of ncnn"),
        (HEAD + "PReLU p 1 1 a b 0=64", ConfigError, "a chain of convolutions, got a PReLU"),
        (HEAD + "Convolution c 1 1 a b 0=2 1=3 6=x", MachineError, "a layer is damaged"),
        (HEAD + "Convolution c 1 1 a b 0=2 1=3 6=36", ConfigError, "with a bias"),
        (HEAD + "Convolution c 1 1 a b 0=0 1=3 5=1 6=36", ConfigError, "with a bias"),
    ],
)
def test_damaged_text_is_named(tmp_path, text, kind, message):
    path = write(tmp_path / "x.bin", [(torch.rand(2, 2, 3, 3), torch.rand(2))], text=text)
    with pytest.raises(kind, match=message):
        read_convolutions(path)


def test_the_text_file_must_lie_beside(tmp_path):
    path = write(tmp_path / "x.bin", [(torch.rand(2, 2, 3, 3), torch.rand(2))])
    path.with_suffix(".param").unlink()
    with pytest.raises(MachineError, match="expected weights of ncnn and their .param"):
        read_convolutions(path)


def test_tensors_and_containers_come_back(tmp_path):
    held = {"params": {"a": torch.arange(3.0)}, "epoch": 3, "names": ["x", None]}
    torch.save(held, tmp_path / "a.pth")
    found = load_tensors(tmp_path / "a.pth")
    assert found["params"]["a"].tolist() == [0, 1, 2]
    assert (found["epoch"], found["names"]) == (3, ["x", None])


class Code:
    def __reduce__(self):
        return print, ("this must not run",)


def test_code_is_refused_and_does_not_run(tmp_path, capsys):
    torch.save({"a": Code()}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(Code()))
    for name in ("a.pth", "b.pth"):
        with pytest.raises(MachineError, match=f"{name} cannot be read as plain tensors"):
            load_tensors(tmp_path / name)
    assert "must not run" not in capsys.readouterr().out


def test_a_torn_file_is_named(tmp_path):
    torch.save({"a": torch.zeros(99)}, tmp_path / "a.pth")
    (tmp_path / "a.pth").write_bytes((tmp_path / "a.pth").read_bytes()[:300])
    with pytest.raises(MachineError, match=r"a\.pth cannot be read .* it is damaged"):
        load_tensors(tmp_path / "a.pth")


@pytest.mark.parametrize("data", [b"", b"\xff" * 20, b"\x02\0\0\0\0\0\0\0{"])
def test_a_damaged_safetensors_file_is_said(tmp_path, data):
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    with pytest.raises(MachineError, match=rf"{path} cannot be read as tensors \("):
        load_safetensors(path)


def test_a_disk_that_fails_while_torch_maps_a_file_is_said(tmp_path, monkeypatch):
    def fails(path, **_):
        raise RuntimeError(f"unable to open file <{path}> in read-only mode: (5)")

    monkeypatch.setattr("faceren.networks.published.load_file", fails)
    with pytest.raises(MachineError, match="cannot be read as .*unable to open file"):
        load_safetensors(tmp_path / "a.safetensors")


def literal(variant, width, **changes):
    config = GeneratorConfig(variant=variant, width=width, suppression="lip", **changes)
    return randomise(LiteralGenerator(config).double())


def basicsr(state):
    return {key.replace("G_middle", "g_middle"): value for key, value in state.items()}


@pytest.mark.parametrize(
    ("variant", "tensors"), [("hifacegan", 230), ("lipspade", 230), ("spade", 204)]
)
def test_the_test_layout_has_the_published_number_of_tensors(variant, tensors):
    assert len(literal(variant, 2).state_dict()) == tensors


@pytest.mark.parametrize("variant", ["hifacegan", "lipspade", "spade"])
@pytest.mark.parametrize("width", [1, 3])
def test_imported_network_equals_the_published_one(variant, width):
    network = literal(variant, width)
    config, state = import_published(network.state_dict())
    assert config == network.config
    fast = build_generator(config).eval()
    fast.load_state_dict(state)
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(3)).double()
    with torch.no_grad():
        expected = network(x)
        error = (fast.double()(x) - expected).abs().max()
    assert error < 1e-5 * expected.abs().max()  # the import is in float32


@pytest.mark.parametrize("width", [48, 64])
@pytest.mark.parametrize("variant", ["hifacegan", "lipspade", "spade"])
def test_full_widths_fit_by_shape(variant, width):
    config = GeneratorConfig(variant=variant, width=width, suppression="lip")
    with torch.device("meta"):
        state = LiteralGenerator(config).state_dict()
        found, ours = import_published(state)
        wanted = build_generator(config).state_dict()
    assert found == config
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in wanted.items()}


def test_shapes_named_in_error_logs_of_users():
    with torch.device("meta"):
        config = GeneratorConfig(variant="lipspade", width=48, suppression="lip")
        shapes = {k: tuple(v.shape) for k, v in LiteralGenerator(config).state_dict().items()}
    assert shapes["fc.weight"] == (768, 3, 3, 3)
    assert shapes["ups.3.norm_0.mlp_beta.weight"] == (96, 96, 3, 3)
    assert shapes["ups.3.norm_1.mlp_shared.0.weight"] == (48, 3, 3, 3)
    assert shapes["ups.2.norm_s.mlp_shared.0.weight"] == (128, 3, 3, 3)
    assert shapes["ups.3.conv_0.weight_orig"] == (48, 96, 3, 3)


def wrappings(state):
    with_prefix = {f"module.{key}": value for key, value in state.items()}
    return {
        "basicsr": basicsr(state),
        "prefix": with_prefix,
        "params": {"params": state},
        "params_ema": {"params_ema": with_prefix, "params": {}},
        "no buffers": {k: v for k, v in state.items() if "param_free_norm" not in k},
    }


@pytest.mark.parametrize("kind", ["basicsr", "prefix", "params", "params_ema", "no buffers"])
def test_wrappings_are_tolerated(kind):
    state = literal("lipspade", 1).state_dict()
    config, expected = import_published(state)
    found, ours = import_published(wrappings(state)[kind])
    assert found == config
    assert ours.keys() == expected.keys()
    assert all(ours[key].equal(expected[key]) for key in expected)


def test_without_spectral_norm_and_with_a_parsing_map():
    network = literal("spade", 2, guidance_channels=19, spectral_norm=False)
    config, _ = import_published(network.state_dict())
    assert config == network.config


def broken(change):
    state = dict(literal("hifacegan", 2).state_dict())
    change(state)
    return state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: s.pop("ups.3.norm_1.mlp_beta.weight"),
            r"'hifacegan' generator of width 2.*'ups.3.norm_1.mlp_beta.weight': "
            r"expected shape \(2, 2, 3, 3\), got none",
        ),
        (
            lambda s: s.update({"encoder.encoder_5.1.bias": torch.zeros(32)}),
            r"'encoder.encoder_5.1.bias': not part of it, got shape \(32,\)",
        ),
        (
            lambda s: s.update({"to_rgbs.3.weight": torch.zeros(3, 4, 3, 3)}),
            r"'to_rgbs.3.weight': expected shape \(3, 2, 3, 3\), got \(3, 4, 3, 3\)",
        ),
        (lambda s: s.pop("fc.weight"), "expected a kernel under 'fc.weight', got none"),
        (
            lambda s: s.update({"fc.weight": torch.zeros(20, 3, 3, 3)}),
            r"'fc.weight' has shape \(20, 3, 3, 3\); expected a multiple of 16",
        ),
        (lambda s: s.update({"epoch": 3}), "got a int under 'epoch'"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    with pytest.raises(ConfigError, match=message):
        import_published(broken(change))


def test_many_misfits_are_counted():
    state = literal("spade", 2).state_dict()
    few = {key: value for key, value in state.items() if not key.startswith("ups.")}
    with pytest.raises(ConfigError, match=r"'ups.0.*; and \d+ more$"):
        import_published(few)


def test_an_empty_dict_is_no_state_dict():
    with pytest.raises(ConfigError, match="is this a state dict"):
        import_published({})
