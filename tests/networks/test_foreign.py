import pickle

import numpy as np
import pytest
import torch

from faceren.checkpoint import load_checkpoint, recognised
from faceren.errors import ConfigError, MachineError
from faceren.networks.foreign import HALF, load_safetensors, load_tensors, read_convolutions
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

    monkeypatch.setattr("faceren.networks.foreign.load_file", fails)
    with pytest.raises(MachineError, match="cannot be read as .*unable to open file"):
        load_safetensors(tmp_path / "a.safetensors")
