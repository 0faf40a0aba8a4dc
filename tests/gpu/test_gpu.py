"""The checks of a GPU: on one, if there is one; and in small on the CPU, so that they are tried."""

import pytest
import torch

from faceren.errors import MachineError
from tests.gpu import __main__ as script
from tests.gpu.checks import CHECKS, Scale, faces, levels


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here")
@pytest.mark.parametrize("check", CHECKS)
def test_on_a_gpu(check):
    print(check(Scale()))


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("check", CHECKS)
def test_the_checks_themselves(check):
    assert check(Scale("cpu", small=True))


def test_levels_are_those_of_bytes():
    given = faces(2, 32)
    assert given.shape == (2, 3, 32, 32)
    assert not torch.equal(given[0], given[1])
    moved = given.clamp(0.1, 0.9)
    assert levels(moved, moved + 2 / 255).max() == 2


def test_a_check_that_fails_is_told_and_the_others_go_on(monkeypatch, capsys):
    def good(scale):
        return f"on {scale.device}"

    def bad(scale):
        raise AssertionError("up to 7 levels")

    def none(scale):
        raise MachineError("no device")

    def broken(scale):
        raise RuntimeError("CUDA error")

    monkeypatch.setattr(script, "CHECKS", (bad, none, broken, good))
    assert script.main(["--device", "cpu", "--small"]) == 1
    *lines, last = capsys.readouterr().out.splitlines()
    assert last.endswith(" s in all")
    assert [line.partition(": ")[2] for line in lines] == [
        "FAILED: up to 7 levels",
        "FAILED: no device",
        "FAILED: CUDA error",
        "on cpu",
    ]
    assert script.main(["--device", "cpu", "--only", "good"]) == 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_it_says_so(capsys):
    assert script.main([]) == 4
    assert "torch sees no CUDA device here" in capsys.readouterr().out
