import warnings

import numpy as np
import pytest
import torch
from torch import nn

from faceren.errors import ConfigError, MachineError
from faceren.faces.alignment import TEMPLATE
from faceren.training.embedding import (
    ARCFACE_TEMPLATE,
    SIDE,
    FaceEmbedding,
    arcface_window,
    identity_loss,
)
from faceren.training.loss_recipe import LossRecipe
from faceren.training.objective import Objective


class Tiny(nn.Module):
    """Mean colours of the four quarters: 12 numbers."""

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        return nn.functional.adaptive_avg_pool2d(faces, 2).flatten(1)


class Flat(nn.Module):
    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        return faces


def script(network, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(network), str(path))
    return path


@pytest.fixture
def weights(tmp_path):
    return script(Tiny(), tmp_path / "tiny.pt")


def faces(seed, count=2):
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(seed))


def test_the_window_puts_the_landmarks_where_arcface_wants_them():
    side, left, top = arcface_window()
    seen = TEMPLATE * side / 512 - [left, top]
    assert np.abs(seen - ARCFACE_TEMPLATE).max() < 2.5  # the templates differ in shape, too
    assert np.abs((seen - ARCFACE_TEMPLATE).mean(0)).max() < 0.6
    assert 0 <= left <= side - SIDE
    assert 0 <= top <= side - SIDE


def test_embeddings_have_unit_length_whatever_the_size(weights):
    network = FaceEmbedding(weights)
    for size in (64, 200):
        batch = torch.rand(3, 3, size, size)
        assert network(batch).norm(dim=1).numpy() == pytest.approx(1, rel=1e-6)


def test_the_loss_is_one_minus_the_cosine(weights):
    network = FaceEmbedding(weights)
    ours, theirs = network(faces(0)).double().numpy(), network(faces(1)).double().numpy()
    angles = [
        np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
        for a, b in zip(ours, theirs, strict=True)
    ]
    assert identity_loss(network, faces(0), faces(1)).item() == pytest.approx(
        1 - np.mean(angles), abs=1e-6
    )
    assert identity_loss(network, faces(0), faces(0)).item() == pytest.approx(0, abs=1e-6)


def test_only_whole_faces_count(weights):
    objective = Objective(LossRecipe(identity=1, identity_weights=str(weights)))
    output, clean = faces(0, 3).requires_grad_(), faces(1, 3)
    whole = torch.tensor([True, False, True])
    loss = objective.parts(objective.views(output, clean, clean, whole=whole), None)["identity"]
    alone = identity_loss(FaceEmbedding(weights), output[[0, 2]], clean[[0, 2]])
    assert loss.item() == pytest.approx(alone.item(), abs=1e-7)
    loss.backward()
    moved = output.grad.abs().sum((1, 2, 3)) > 0
    assert moved.tolist() == [True, False, True]


def test_a_batch_without_a_whole_face_has_no_identity_loss(weights):
    objective = Objective(LossRecipe(l1=1, identity=1, identity_weights=str(weights)))
    output = faces(0).requires_grad_()
    none = torch.zeros(2, dtype=bool)
    parts = objective.parts(objective.views(output, faces(1), faces(1), whole=none), None)
    assert parts["identity"].item() == 0
    parts["identity"].backward(retain_graph=True)
    assert not output.grad.any()
    objective.total(parts).backward()
    assert output.grad.any()


def test_missing_and_unfit_networks_are_named(tmp_path):
    with pytest.raises(MachineError, match=r"expected a TorchScript file, .*none\.pt is none"):
        FaceEmbedding(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("no network")
    with pytest.raises(ConfigError, match="is another kind"):
        FaceEmbedding(tmp_path / "text.pt")
    with pytest.raises(ConfigError, match=r"to \(N, D\), got \(2, 3, 112, 112\) for N 2"):
        FaceEmbedding(script(Flat(), tmp_path / "flat.pt"))
    with pytest.raises(ConfigError, match="which fails: .*shape"):
        FaceEmbedding(script(nn.Linear(5, 2), tmp_path / "linear.pt"))
    with pytest.raises(ConfigError, match=r"loss\.identity_weights: the identity loss needs"):
        LossRecipe(identity=1)
