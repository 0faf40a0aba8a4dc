import pytest
import torch
import torch.nn.functional as F

from faceren.assets import asset
from faceren.errors import ConfigError, MachineError
from faceren.networks.efficientnet import CHANNELS, EfficientNetLite1


@pytest.fixture(scope="module")
def network():
    return EfficientNetLite1(asset("efficientnet-lite1")).eval()


@pytest.fixture(scope="module")
def state():
    return torch.load(asset("efficientnet-lite1"), weights_only=True)


def images(height=96, width=128):
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(3))


def test_four_maps_at_four_strides(network):
    maps = network.maps(images())
    assert [tuple(x.shape) for x in maps] == [
        (2, channels, 96 // stride, 128 // stride)
        for channels, stride in zip(CHANNELS, (4, 8, 16, 32), strict=True)
    ]
    assert [tuple(x.shape[2:]) for x in network.maps(images(65, 70))][-1] == (3, 3)


def test_it_has_the_papers_weights_without_the_classifier(network):
    assert sum(p.numel() for p in network.parameters()) == 3_697_968
    assert not any(p.requires_grad for p in network.parameters())


def normalised(x, state, name):
    mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    return F.batch_norm(x, mean, var, state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-3)


def test_the_first_layers_by_hand_with_their_batch_norms_apart(network, state):
    """Unfolded, and padded as TensorFlow does: a pixel more at the right and at the bottom."""
    x = (images() * 255 - 127) / 128
    x = F.conv2d(F.pad(x, (0, 1, 0, 1)), state["_conv_stem.weight"], stride=2)
    x = F.relu6(normalised(x, state, "_bn0"))
    block = "_blocks.0"
    x = F.conv2d(x, state[f"{block}._depthwise_conv.weight"], padding=1, groups=32)
    x = F.relu6(normalised(x, state, f"{block}._bn1"))
    x = normalised(F.conv2d(x, state[f"{block}._project_conv.weight"]), state, f"{block}._bn2")
    ours = network.stages[0](F.relu6(network.stem(images() * (255 / 128) - 127 / 128)))
    torch.testing.assert_close(ours, x, atol=2e-4, rtol=1e-4)


def test_files_that_are_none_of_it_are_told(tmp_path, state):
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(MachineError, match="cannot be read as plain tensors"):
        EfficientNetLite1(tmp_path / "text.pth")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ConfigError, match="expected the weights of EfficientNet-Lite1, found no"):
        EfficientNetLite1(tmp_path / "other.pth")
    wider = state | {"_conv_stem.weight": torch.zeros(32, 3, 5, 5)}
    torch.save(wider, tmp_path / "wider.pth")
    with pytest.raises(ConfigError, match=r"stem.conv.weight has the shape \(32, 3, 5, 5\)"):
        EfficientNetLite1(tmp_path / "wider.pth")
