import numpy as np
import pytest
import torch

from faceren.assets import asset, samples_dir
from faceren.errors import ShapeError
from faceren.faces.alignment import TEMPLATE
from faceren.faces.dlib_networks import distance, embedding, first_face
from faceren.images import find_images, read_rgb
from faceren.networks.perceptual import EmbeddingNetwork
from faceren.training.losses import (
    FedLoss,
    adversarial_loss,
    chips,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    perceptual_loss,
)
from faceren.training.objective import Objective, grid_offset
from faceren.training.recipe import LossRecipe


def scores(*scales):
    """Maps of constant value: for each scale its features, and last its scores."""
    return [
        [torch.full((1, 2, 3, 3), value, requires_grad=True) for value in values]
        for values in scales
    ]


def test_adversarial_loss_averages_the_scales():
    found = scores([9.0, 0.5], [9.0, 3.0])
    assert adversarial_loss(found, 1.0).item() == pytest.approx((0.25 + 4) / 2)
    assert generator_loss(found).item() == pytest.approx((0.25 + 4) / 2)


def test_scales_of_different_size_weigh_alike():
    found = [[torch.zeros(1, 1, 8, 8)], [torch.ones(1, 1, 2, 2)]]
    assert adversarial_loss(found, 1.0).item() == pytest.approx(0.5)


def test_discriminator_loss_is_not_halved():
    restored, clean = scores([0.5]), scores([0.25])
    assert discriminator_loss(restored, clean).item() == pytest.approx(0.25 + 0.5625)
    assert discriminator_loss(scores([0.0]), scores([1.0])).item() == 0


def test_feature_matching_leaves_the_scores_out():
    restored = scores([2.0, 1.0, 50.0], [0.0, 3.0, 70.0])
    clean = scores([0.0, 0.0, 0.0], [0.0, 0.0, 0.0])
    assert feature_matching_loss(restored, clean).item() == pytest.approx((2 + 1 + 3) / 2)


def test_no_gradient_reaches_the_clean_image():
    restored, clean = scores([2.0, 1.0]), scores([0.0, 0.0])
    feature_matching_loss(restored, clean).backward()
    assert restored[0][0].grad is not None
    assert clean[0][0].grad is None


def test_perceptual_loss_weighs_the_coarsest_map_most():
    clean = [torch.zeros(2, 3, size, size) for size in (16, 8, 4, 2, 1)]
    restored = [features + index + 1 for index, features in enumerate(clean)]
    expected = 1 / 32 + 2 / 16 + 3 / 8 + 4 / 4 + 5
    assert perceptual_loss(restored, clean).item() == pytest.approx(expected)


def test_maps_that_do_not_fit_are_named():
    five = [torch.zeros(1, 1, 2, 2)] * 5
    with pytest.raises(ShapeError, match="expected 5 maps each.*got 4 and 5"):
        perceptual_loss(five[:4], five)
    with pytest.raises(ShapeError, match=r"got \(1, 1, 3, 3\) and \(1, 1, 2, 2\)"):
        perceptual_loss([torch.zeros(1, 1, 3, 3)] * 5, five)


@pytest.fixture(scope="module")
def portraits():
    """Three aligned faces, (3, 3, 512, 512), and their paths' pixels as dlib takes them."""
    found = list(find_images([samples_dir() / "clean"]))[:3]
    pixels = [read_rgb(one.path) for one in found]
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2) / 255, pixels


def test_it_sees_about_what_dlib_sees(portraits):
    faces, pixels = portraits
    network = EmbeddingNetwork(asset("dlib-embedding"))
    ours = network(chips(faces, (1, 1))).double().numpy()
    for seen, rgb in zip(ours, pixels, strict=True):
        assert distance(seen, embedding(rgb, first_face(rgb))) < 0.25  # 0.6 is another person


def test_the_loss_is_the_distance(portraits):
    faces, _ = portraits
    loss = FedLoss()
    network = EmbeddingNetwork(asset("dlib-embedding"))
    ours, theirs = (network(chips(x, (0, 3))) for x in (faces, faces.flip(0)))
    expected = np.mean([np.linalg.norm(a - b) for a, b in zip(ours, theirs, strict=True)])
    assert loss(faces, faces.flip(0), offset=(0, 3)).item() == pytest.approx(expected, abs=1e-3)
    assert loss(faces, faces).item() < 1e-3


@pytest.mark.parametrize("offset", [grid_offset(step) for step in range(16)])
def test_all_places_hold_eyes_nose_and_mouth(offset):
    marked = torch.zeros(1, 3, 512, 512)
    for x, y in TEMPLATE.round().astype(int):
        marked[..., y, x] = 1
    seen = chips(marked, offset)
    assert seen.shape == (1, 3, 150, 150)
    # of 512 pixels 320, 346, 372 or 398 become the chip's 150
    side = {0: 320, 1: 346, 2: 372, 3: 398}[sum(offset) % 4]
    scale = (150 / side) ** 2  # a resized picture keeps its mean
    assert seen.sum().item() == pytest.approx(255 * scale * marked.sum().item(), rel=0.05)


def test_whole_faces_alone_get_a_gradient(portraits):
    faces, _ = portraits
    objective = Objective(LossRecipe(fed=2))
    output = (0.9 * faces[:2]).requires_grad_()
    whole = torch.tensor([False, True])
    parts = objective.parts(objective.views(output, faces[:2], faces[:2], whole=whole), None)
    objective.total(parts).backward()
    assert (output.grad.abs().sum((1, 2, 3)) > 0).tolist() == [False, True]
    assert objective.total(parts).item() == pytest.approx(2 * parts["fed"].item())
    views = objective.views(output, faces[:2], faces[:2], whole=torch.tensor([False, False]))
    none = objective.parts(views, None)
    assert none["fed"].item() == 0
    output.grad = None
    objective.total(none).backward()
    assert not output.grad.any()


def test_equal_faces_have_a_finite_gradient(portraits):
    faces, _ = portraits
    output = faces[:1].clone().requires_grad_()
    FedLoss()(output, faces[:1]).backward()
    assert output.grad.isfinite().all()
