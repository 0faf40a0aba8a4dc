import pytest
import torch

from faceren.errors import ShapeError
from faceren.networks.losses import (
    adversarial_loss,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    perceptual_loss,
)


def judgement(*scales):
    """Maps of constant value: for each scale its features, and last its scores."""
    return [
        [torch.full((1, 2, 3, 3), value, requires_grad=True) for value in values]
        for values in scales
    ]


def test_adversarial_loss_averages_the_scales():
    scores = judgement([9.0, 0.5], [9.0, 3.0])
    assert adversarial_loss(scores, 1.0).item() == pytest.approx((0.25 + 4) / 2)
    assert generator_loss(scores).item() == pytest.approx((0.25 + 4) / 2)


def test_scales_of_different_size_weigh_alike():
    scores = [[torch.zeros(1, 1, 8, 8)], [torch.ones(1, 1, 2, 2)]]
    assert adversarial_loss(scores, 1.0).item() == pytest.approx(0.5)


def test_discriminator_loss_is_not_halved():
    restored, clean = judgement([0.5]), judgement([0.25])
    assert discriminator_loss(restored, clean).item() == pytest.approx(0.25 + 0.5625)
    assert discriminator_loss(judgement([0.0]), judgement([1.0])).item() == 0


@pytest.mark.parametrize(("distance", "expected"), [("l1", (2 + 1 + 3) / 2), ("l2", 14 / 2)])
def test_feature_matching_leaves_the_scores_out(distance, expected):
    restored = judgement([2.0, 1.0, 50.0], [0.0, 3.0, 70.0])
    clean = judgement([0.0, 0.0, 0.0], [0.0, 0.0, 0.0])
    loss = feature_matching_loss(restored, clean, distance=distance)
    assert loss.item() == pytest.approx(expected)


def test_no_gradient_reaches_the_clean_image():
    restored, clean = judgement([2.0, 1.0]), judgement([0.0, 0.0])
    feature_matching_loss(restored, clean).backward()
    assert restored[0][0].grad is not None
    assert clean[0][0].grad is None


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 1 / 32 + 2 / 16 + 3 / 8 + 4 / 4 + 5),
        ({"layer_weights": [1] * 5, "distance": "l2"}, 55.0),  # eq. 5 as printed
    ],
)
def test_perceptual_loss(settings, expected):
    clean = [torch.zeros(2, 3, size, size) for size in (16, 8, 4, 2, 1)]
    restored = [features + index + 1 for index, features in enumerate(clean)]
    assert perceptual_loss(restored, clean, **settings).item() == pytest.approx(expected)


def test_maps_that_do_not_fit_are_named():
    five = [torch.zeros(1, 1, 2, 2)] * 5
    with pytest.raises(ShapeError, match="expected 5 maps each.*got 4 and 5"):
        perceptual_loss(five[:4], five)
    with pytest.raises(ShapeError, match=r"got \(1, 1, 3, 3\) and \(1, 1, 2, 2\)"):
        perceptual_loss([torch.zeros(1, 1, 3, 3)] * 5, five)
