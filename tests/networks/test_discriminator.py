import pytest
import torch
from torch import nn

from faceren.errors import ShapeError
from faceren.networks.discriminator import Discriminator, score_pair


def images(count=1, side=32, seed=0):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def small(**changes):
    torch.manual_seed(0)
    return Discriminator(width=4, **changes).eval()


def test_parameter_count_is_the_published_one():
    assert sum(parameter.numel() for parameter in Discriminator().parameters()) == 5_533_826


@pytest.mark.parametrize(
    ("side", "sides"),
    [
        (512, [[257, 129, 65, 66, 67], [129, 65, 33, 34, 35]]),
        (256, [[129, 65, 33, 34, 35], [65, 33, 17, 18, 19]]),
    ],
)
def test_map_sizes_are_the_published_ones(side, sides):
    with torch.device("meta"):
        scores = Discriminator().eval()(*[torch.empty(1, 3, side, side)] * 2)
    assert [[features.shape[2] for features in scale] for scale in scores] == sides
    assert [[features.shape[1] for features in scale] for scale in scores] == [
        [64, 128, 256, 512, 1]
    ] * 2


def test_second_scale_sees_the_mean_of_what_lies_inside():
    network = small()
    seen = []
    network.scales[1].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    damaged, restored = images(seed=1), images(seed=2)
    network(damaged, restored)
    corner = damaged[0, :, :2, :2].mean((1, 2))  # of the 3x3 window, 4 pixels are inside
    torch.testing.assert_close(seen[0][0, :3, 0, 0], corner)
    inner = restored[0, :, 1:4, 1:4].mean((1, 2))
    torch.testing.assert_close(seen[0][0, 3:, 1, 1], inner)


def test_one_scale_by_hand():
    network = small(scales=1)
    x = torch.cat([images(seed=1), images(seed=2)], dim=1)
    scale, maps = network.scales[0], network(images(seed=1), images(seed=2))[0]
    first = nn.functional.leaky_relu(scale.first(x), 0.2)
    torch.testing.assert_close(maps[0], first)
    second = scale.convs[0](first)
    second = (second - second.mean((2, 3), keepdim=True)) / (
        second.var((2, 3), unbiased=False, keepdim=True) + 1e-5
    ).sqrt()
    torch.testing.assert_close(maps[1], nn.functional.leaky_relu(second, 0.2))


def test_pair_in_one_pass_equals_two_passes():
    network = small()
    damaged, restored, clean = (images(2, seed=seed) for seed in (1, 2, 3))
    fake, real = score_pair(network, damaged, restored, clean)
    for together, alone in ((fake, network(damaged, restored)), (real, network(damaged, clean))):
        for ours, expected in zip(together, alone, strict=True):
            torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-6)


def test_gradient_reaches_every_parameter():
    network = small().train()
    scores = network(images(2, seed=1), images(2, seed=2))
    sum(scale[-1].square().sum() for scale in scores).backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())


@pytest.mark.parametrize(
    ("damaged", "restored", "message"),
    [
        ((1, 3, 32, 32), (1, 3, 32, 40), r"got \(1, 3, 32, 32\) and \(1, 3, 32, 40\)"),
        ((1, 1, 32, 32), (1, 1, 32, 32), r"\(N, 3, H, W\)"),
        ((1, 3, 16, 32), (1, 3, 16, 32), "sides of at least 32"),
    ],
)
def test_wrong_shapes_are_named(damaged, restored, message):
    with pytest.raises(ShapeError, match=message):
        small()(torch.zeros(damaged), torch.zeros(restored))
