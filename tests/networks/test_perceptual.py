import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from faceren.assets import asset
from faceren.errors import ConfigError, MachineError, ShapeError
from faceren.networks.perceptual import LpipsAlexNet, VggFeatures

# numbers of torchvision's convolutions, and its ReLUs that follow the first of each stage
NUMBERS = {
    "vgg16": [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28],
    "vgg19": [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34],
}
FIRST = {"vgg16": [0, 5, 10, 17, 24], "vgg19": [0, 5, 10, 19, 28]}


def state(kind, base=2):
    """A VGG state dict as torchvision writes it, thin, with a classifier that nobody needs."""
    generator = torch.Generator().manual_seed(0)
    widths = {"vgg16": [2, 2, 3, 3, 3], "vgg19": [2, 2, 4, 4, 4]}[kind]
    out = [base * min(2**stage, 8) for stage, count in enumerate(widths) for _ in range(count)]
    tensors = {"classifier.0.weight": torch.zeros(4, 4)}
    for number, into, width in zip(NUMBERS[kind], [3, *out[:-1]], out, strict=True):
        tensors[f"features.{number}.weight"] = torch.randn(width, into, 3, 3, generator=generator)
        tensors[f"features.{number}.bias"] = torch.randn(width, generator=generator)
    return tensors


def naive(tensors, kind, x):
    """Walk the layers by torchvision's numbers: a gap of 3 is a ReLU and a pooling between."""
    maps, last = [], None
    for number in NUMBERS[kind]:
        if last is not None and number - last == 3:
            x = F.max_pool2d(x, kernel_size=2, stride=2)
        x = F.conv2d(
            x, tensors[f"features.{number}.weight"], tensors[f"features.{number}.bias"], padding=1
        ).clamp(min=0)
        if number in FIRST[kind]:
            maps.append(x)
        last = number
    return maps


@pytest.mark.parametrize("kind", ["vgg16", "vgg19"])
def test_maps_equal_torchvision_order(tmp_path, kind):
    tensors, x = state(kind), torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(1))
    save_file(tensors, tmp_path / "vgg.safetensors")
    network = VggFeatures(tmp_path / "vgg.safetensors")
    assert network.kind == kind
    for ours, theirs in zip(network(x), naive(tensors, kind, x), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


def test_reads_pickled_and_numbered_state_dicts(tmp_path):
    tensors = state("vgg16")
    torch.save(tensors, tmp_path / "vgg.pth")
    plain = {
        f"convs.{index}.{kind}": tensors[f"features.{number}.{kind}"].half()
        for index, number in enumerate(NUMBERS["vgg16"])
        for kind in ("weight", "bias")
    }
    save_file(plain, tmp_path / "vgg.safetensors")
    x = torch.rand(1, 3, 16, 16)
    pickled, numbered = (VggFeatures(tmp_path / f"vgg.{end}") for end in ("pth", "safetensors"))
    torch.testing.assert_close(pickled(x)[1], numbered(x)[1], rtol=0.05, atol=0.05)
    assert not any(parameter.requires_grad for parameter in pickled.parameters())


def test_files_that_are_no_vgg_are_named(tmp_path):
    with pytest.raises(MachineError, match="no such file"):
        VggFeatures(tmp_path / "none.pth")
    (tmp_path / "bad.safetensors").write_bytes(b"no tensors here")
    with pytest.raises(MachineError, match=r"bad.safetensors cannot be read"):
        VggFeatures(tmp_path / "bad.safetensors")
    save_file({"fc.weight": torch.zeros(2, 2)}, tmp_path / "other.safetensors")
    with pytest.raises(ConfigError, match=r"keys like 'features.0.weight', got 'fc.weight'"):
        VggFeatures(tmp_path / "other.safetensors")
    short = {key: v for key, v in state("vgg19").items() if ".28." not in key and ".3" not in key}
    save_file(short, tmp_path / "short.safetensors")
    with pytest.raises(ConfigError, match=r"vgg19 needs \(16, 16, 3, 3\) as convolution 12, got"):
        VggFeatures(tmp_path / "short.safetensors")


def test_wrong_images_are_named(tmp_path):
    save_file(state("vgg16"), tmp_path / "vgg.safetensors")
    with pytest.raises(ShapeError, match=r"sides of at least 16, got \(1, 3, 8, 16\)"):
        VggFeatures(tmp_path / "vgg.safetensors")(torch.zeros(1, 3, 8, 16))


@pytest.fixture(scope="module")
def lpips():
    return LpipsAlexNet(asset("lpips-alexnet"))


def images(seed, count=2, side=64):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def test_equal_images_are_not_apart_and_others_are_alike_far_either_way(lpips):
    one, other = images(1), images(2)
    assert lpips(one, one).tolist() == [0, 0]
    assert (lpips(one, other) > 0.05).all()
    torch.testing.assert_close(lpips(one, other), lpips(other, one))


def test_the_distance_by_hand(lpips):
    """Vectors of unit length at each place, squared differences, weighted, averaged, summed."""
    expected = 0.0
    for a, b, weight in zip(
        lpips.maps(images(1, 1)), lpips.maps(images(2, 1)), lpips.weights, strict=True
    ):
        ours, theirs = (x[0].double().numpy() for x in (a, b))
        unit = [x / np.linalg.norm(x, axis=0).clip(1e-10) for x in (ours, theirs)]
        squares = (unit[0] - unit[1]) ** 2 * weight.double().numpy().reshape(-1, 1, 1)
        expected += squares.sum(0).mean()
    assert lpips(images(1, 1), images(2, 1)).item() == pytest.approx(expected, rel=1e-4)


def test_the_first_map_looks_at_every_fourth_pixel(lpips):
    assert [tuple(x.shape) for x in lpips.maps(images(1, 1))] == [
        (1, 64, 15, 15),
        (1, 192, 7, 7),
        (1, 384, 3, 3),
        (1, 256, 3, 3),
        (1, 256, 3, 3),
    ]


def test_nothing_in_it_learns(lpips):
    assert not any(parameter.requires_grad for parameter in lpips.parameters())


@pytest.mark.parametrize("shape", [(2, 3, 64, 60), (2, 1, 64, 64), (3, 64, 64)])
def test_other_shapes_are_named(lpips, shape):
    with pytest.raises(ShapeError, match=r"two \(N, 3, H, W\) batches of one shape"):
        lpips(torch.zeros(shape), images(1))
