import pytest
import torch

from faceren.assets import asset
from faceren.errors import ShapeError
from faceren.networks.discriminator import score_pair
from faceren.networks.perceptual import CHANNELS, LpipsAlexNet
from faceren.networks.projected import ProjectedDiscriminator


def images(count=1, side=64, seed=0):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def alexnet():
    return LpipsAlexNet(asset("lpips-alexnet"))


@pytest.fixture
def discriminator():
    torch.manual_seed(0)
    return ProjectedDiscriminator(width=4).eval()


@pytest.fixture
def seen(alexnet):
    """What the discriminator takes of images."""
    return lambda pictures: [pictures, *alexnet.maps(pictures)]


def test_pixels_and_five_maps_are_scored(discriminator, seen):
    scores = discriminator(seen(images(2, seed=1)), seen(images(2, seed=2)))
    assert [tuple(scale[-1].shape) for scale in scores] == [
        (2, 1, 16, 16),
        (2, 1, 15, 15),
        (2, 1, 7, 7),
        *[(2, 1, 3, 3)] * 3,
    ]


def test_a_map_by_hand(discriminator, seen):
    damaged, restored = seen(images(seed=1)), seen(images(seed=2))
    head, found = discriminator.whole.maps[2], discriminator(damaged, restored)[3]
    weight = head.mix.weight[:, :, 0, 0]
    channels = CHANNELS[2]
    mixed = torch.einsum("oc,nchw->nohw", weight[:, :channels], damaged[3])
    mixed = mixed + torch.einsum("oc,nchw->nohw", weight[:, channels:], restored[3])
    mixed = mixed + head.mix.bias[:, None, None]
    torch.testing.assert_close(found[0], torch.where(mixed > 0, mixed, 0.2 * mixed))
    norm = torch.linalg.matrix_norm(head.look.weight.flatten(1), 2)
    assert norm.item() == pytest.approx(1, abs=0.3)  # nearly: by power iteration


def test_it_learns_and_passes_gradients_on_to_the_images(discriminator, seen):
    restored = images(2, seed=2).requires_grad_()
    scores = discriminator.train()(seen(images(2, seed=1)), seen(restored))
    sum(scale[-1].square().sum() for scale in scores).backward()
    assert restored.grad.abs().sum() > 0
    assert all(parameter.grad.any() for parameter in discriminator.parameters())


def test_pair_in_one_pass_equals_two_passes(discriminator, seen):
    damaged, restored, clean = (seen(images(2, seed=seed)) for seed in (1, 2, 3))
    fake, real = score_pair(discriminator, damaged, restored, clean)
    for together, alone in (
        (fake, discriminator(damaged, restored)),
        (real, discriminator(damaged, clean)),
    ):
        for ours, expected in zip(together, alone, strict=True):
            torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("damaged", "restored", "message"),
    [
        ((1, 3, 64, 64), (1, 3, 64, 72), r"got \[\(1, 3, 64, 64\).*\] and \[\(1, 3, 64, 72\)"),
        ((1, 1, 64, 64), (1, 1, 64, 64), r"\(N, 3, H, W\)"),
        ((1, 3, 32, 64), (1, 3, 32, 64), "sides of at least 48"),
    ],
)
def test_wrong_shapes_are_named(discriminator, alexnet, damaged, restored, message):
    maps = alexnet.maps(images())
    with pytest.raises(ShapeError, match=message):
        discriminator([torch.zeros(damaged), *maps], [torch.zeros(restored), *maps])


def test_missing_maps_are_named(discriminator):
    with pytest.raises(ShapeError, match="and their maps, 6 tensors"):
        discriminator([images()], [images()])
