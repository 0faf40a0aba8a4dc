import pickle

import pytest
import torch

from faceren.errors import MachineError
from faceren.networks.pickled import load_safetensors, load_tensors


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

    monkeypatch.setattr("faceren.networks.pickled.load_file", fails)
    with pytest.raises(MachineError, match="cannot be read as .*unable to open file"):
        load_safetensors(tmp_path / "a.safetensors")
