"""Other people's networks: how each gets its input, and what is said when one cannot be read."""

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from faceren.bench.quality.peers import Peer, load_peer
from faceren.errors import ConfigError, FaceError, MachineError


class Descriptor:
    """What Peer uses of a description of spandrel; notes the sizes that come in."""

    device = torch.device("cpu")

    def __init__(self, *, scale=1, channels=3, minimum=0, purpose="Restoration", fails=False):
        self.scale, self.input_channels, self.purpose = scale, channels, purpose
        self.size_requirements = SimpleNamespace(minimum=minimum)
        self.architecture = SimpleNamespace(name="Fake")
        self.fails, self.seen = fails, []

    def __call__(self, image):
        if self.fails:
            raise RuntimeError("mat1 and mat2 shapes\nmore")
        self.seen.append(tuple(image.shape))
        return nn.functional.interpolate(image, scale_factor=self.scale)


@pytest.mark.parametrize(
    ("wants", "sees"),
    [
        ({}, [(1, 3, 96, 128)]),
        ({"scale": 4, "purpose": "SR"}, [(1, 3, 24, 32)]),
        ({"channels": 1}, [(1, 1, 96, 128)] * 3),
        ({"minimum": 192}, [(1, 3, 192, 256)]),
        ({"minimum": 256, "purpose": "FaceSR"}, [(1, 3, 256, 256)]),
    ],
)
def test_each_gets_the_size_it_wants(photo, wants, sees):
    model = Descriptor(**wants)
    image = photo[:96]
    result = Peer("fake", model)(image)
    assert model.seen == sees
    assert result.shape == image.shape
    assert np.abs(result.astype(int) - image).mean() < 12


def test_one_that_keeps_the_size_changes_nothing_by_itself(photo):
    assert np.array_equal(Peer("fake", Descriptor())(photo), photo)
    assert np.array_equal(Peer("fake", Descriptor(channels=1))(photo), photo)


def test_one_that_cannot_take_the_image_says_so_in_a_line(photo):
    with pytest.raises(FaceError, match="Fake cannot take a face of 128x128 pixels") as caught:
        Peer("fake", Descriptor(fails=True))(photo)
    assert "\n" not in str(caught.value)


def test_without_spandrel_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MachineError, match=r"faceren\[peers\]"):
        load_peer(tmp_path / "x.pth")


@pytest.mark.slow  # importing spandrel takes ten seconds
def test_real_checkpoints_are_read_and_others_refused(tmp_path, photo):
    spandrel = pytest.importorskip("spandrel.architectures.Compact")
    network = spandrel.Compact(num_feat=8, num_conv=2, upscale=4)
    torch.save({"params": network.state_dict()}, tmp_path / "tiny.pth")
    peer = load_peer(tmp_path / "tiny.pth", device="cpu")
    assert peer.name == "tiny"
    assert peer.kind == "peer"
    assert "×4" in peer.note
    assert peer.function(photo).shape == photo.shape
    torch.save({"a.weight": torch.zeros(3)}, tmp_path / "unknown.pth")
    with pytest.raises(ConfigError, match="knows no network with such weights"):
        load_peer(tmp_path / "unknown.pth")
    (tmp_path / "torn.pth").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(MachineError, match="cannot be read"):
        load_peer(tmp_path / "torn.pth")
    with pytest.raises(MachineError, match="not there"):
        load_peer(tmp_path / "gone.pth")
