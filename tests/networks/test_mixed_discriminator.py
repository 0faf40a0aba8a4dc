import pytest
import torch

from faceren.assets import asset
from faceren.errors import ShapeError
from faceren.networks.discriminator import score_pair
from faceren.networks.projected import (
    MIXED,
    MixedDiscriminator,
    MixedFeatures,
    augmented,
)
from faceren.training.losses import discriminator_loss


@pytest.fixture(scope="module")
def features():
    return MixedFeatures(asset("efficientnet-lite1")).eval()


def images(count=2, side=64, seed=0):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def seen(features, batch):
    return [batch, *features(batch)]


def test_the_projections_are_the_same_in_every_process(features):
    again = MixedFeatures(asset("efficientnet-lite1"))
    for a, b in zip(features.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    sums = [conv.weight.sum().item() for conv in features.across_channels]
    assert sums == pytest.approx([-0.206, 10.718, -11.375, 14.144], abs=0.01)


def test_maps_have_unit_power_until_coarser_ones_are_added(features):
    maps = features(images())
    assert [tuple(x.shape) for x in maps] == [
        (2, channels, 64 // stride, 64 // stride)
        for channels, stride in zip(MIXED, (4, 8, 16, 32), strict=True)
    ]
    power = maps[-1].square().mean(1)  # the coarsest has none added
    torch.testing.assert_close(power, torch.ones_like(power))


def test_it_learns_to_tell_and_passes_gradients_on(features, one_thread):
    torch.manual_seed(0)
    discriminator = MixedDiscriminator(width=8)
    damaged, clean = images(4), images(4, seed=1)
    restored = (clean * 0.5 + 0.25).requires_grad_()  # of half the contrast
    optimiser = torch.optim.Adam(discriminator.parameters(), lr=3e-3)
    losses = []
    for _ in range(25):
        pairs = [seen(features, x) for x in (damaged, restored, clean)]
        loss = discriminator_loss(*score_pair(discriminator, *pairs))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    assert restored.grad.abs().sum() > 0


def test_the_inner_face_has_scores_of_its_own_or_none(features):
    discriminator = MixedDiscriminator(width=4, inner=True)
    whole, inner = seen(features, images()), seen(features, images(1))
    assert len(discriminator(whole + inner, whole + inner)) == 10
    assert len(discriminator(whole, whole)) == 5  # a step of crops alone
    for scores in discriminator(whole + inner, whole + inner):
        assert scores[-1].shape[1] == 1


def test_what_is_missing_is_named(features):
    discriminator = MixedDiscriminator(width=4)
    whole = seen(features, images())
    with pytest.raises(ShapeError, match="expected images and their mixed maps, 5 tensors"):
        discriminator(whole[:3], whole[:3])
    with pytest.raises(ShapeError, match="of one shape each"):
        discriminator(whole, seen(features, images(side=96)))


def test_faces_are_cut_and_coloured_alike_and_each_otherwise():
    batch = images(3, side=32)
    first, second = augmented([batch, batch], seed=5, side=24)
    assert first.shape == (3, 3, 24, 24)
    assert torch.equal(first, second)
    assert not torch.equal(first, augmented([batch], seed=6, side=24)[0])
    same = augmented([batch[:1].repeat(3, 1, 1, 1)], seed=5, side=24)[0]
    assert not torch.equal(same[0], same[1])
    assert augmented([batch], seed=5, side=64)[0].shape == (3, 3, 32, 32)


def test_a_gray_image_stays_gray_and_a_flat_one_flat():
    """Saturation and contrast act about the mean: both leave a flat gray image flat."""
    flat = torch.full((4, 3, 16, 16), 0.5)
    (done,) = augmented([flat], seed=1, side=16)
    assert done.std((1, 2, 3)).max() < 1e-6
    assert (done.mean((1, 2, 3)) - 0.5).abs().max() <= 0.2
