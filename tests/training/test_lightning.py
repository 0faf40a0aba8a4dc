import pytest
import torch

from faceren.training.lightning import wastes_bf16


@pytest.mark.parametrize(
    ("tiles", "precision", "device", "told"),
    [
        (True, "auto", "cpu", True),
        (True, "fp32", "cpu", True),
        (True, "bf16", "cpu", False),
        (False, "auto", "cpu", False),
        (True, "fp32", "cuda", False),
    ],
)
def test_who_could_compute_bf16_in_tiles_but_does_not_is_told(
    monkeypatch, tiles, precision, device, told
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": tiles}, raising=False)
    assert wastes_bf16(precision, torch.device(device)) is told


def test_a_torch_that_cannot_tell_is_not_asked(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not wastes_bf16("fp32", torch.device("cpu"))
