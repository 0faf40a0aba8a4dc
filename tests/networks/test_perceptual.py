import numpy as np
import pytest
import torch

from faceren.assets import asset
from faceren.errors import ShapeError
from faceren.networks.perceptual import LpipsAlexNet


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
