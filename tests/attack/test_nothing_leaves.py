"""Nothing leaves the machine: no command opens a connection."""

import socket

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def guarded(monkeypatch):
    """Any try to connect, to ask for an address or to send is an error, and is remembered."""
    tries = []

    def refuse(name):
        def call(*arguments, **_):
            tries.append((name, arguments[1:]))
            raise AssertionError(f"{name} was called")

        return call

    for name in ("connect", "connect_ex", "sendto", "sendmsg"):
        monkeypatch.setattr(socket.socket, name, refuse(name))
    for name in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse(name))
    return tries


def test_restoring_degrading_and_scoring_stay_here(guarded, tmp_path, run):
    ramp = np.add.outer(np.arange(96), np.arange(96)).astype(np.uint8)
    (tmp_path / "clean").mkdir()
    Image.fromarray(np.dstack([ramp, ramp.T, 255 - ramp])).save(tmp_path / "clean" / "a.png")
    bad, out = tmp_path / "bad", tmp_path / "out"
    commands = [
        ("degrade", tmp_path / "clean", "-o", bad, "--task", "denoise", "--size", "keep"),
        ("restore", bad, "-o", out, "--aligned", "-m", "compact", "--ensemble", "off"),
        ("evaluate", out, "--metrics", "psnr,ssim", "--html", tmp_path / "e.html"),
        ("restore", "--report-only", out),
        ("restore", "--verify", out),
    ]
    for command in commands:
        status, _, stderr = run(*command)
        assert status == 0, stderr
    assert guarded == []


def test_the_guard_does_guard(guarded):
    with socket.socket() as ours, pytest.raises(AssertionError, match="connect was called"):
        ours.connect(("127.0.0.1", 9))
    assert guarded == [("connect", (("127.0.0.1", 9),))]
