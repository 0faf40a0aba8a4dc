import numpy as np
import pytest
import torch

from faceren.assets import asset, samples_dir
from faceren.faces.alignment import TEMPLATE
from faceren.faces.embedding import EmbeddingNetwork
from faceren.faces.identity import distance, embedding, first_face
from faceren.images import find_images, read_rgb
from faceren.training.fed_loss import FedLoss, chips
from faceren.training.loss_recipe import LossRecipe
from faceren.training.objective import Objective
from faceren.training.views import phase_of


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
    assert loss(faces, faces.flip(0), phase=(0, 3)).item() == pytest.approx(expected, abs=1e-3)
    assert loss(faces, faces).item() < 1e-3


@pytest.mark.parametrize("phase", [phase_of(step) for step in range(16)])
def test_all_places_hold_eyes_nose_and_mouth(phase):
    marked = torch.zeros(1, 3, 512, 512)
    for x, y in TEMPLATE.round().astype(int):
        marked[..., y, x] = 1
    seen = chips(marked, phase)
    assert seen.shape == (1, 3, 150, 150)
    side = 359 + 26 * (sum(phase) % 4 - 1.5)
    scale = (round(512 * 150 / side) / 512) ** 2  # a resized picture keeps its mean
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
