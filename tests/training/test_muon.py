import copy

import pytest
import torch
from torch import nn

from faceren.training.muon import SIZE, Muon, orthogonal


def singular(matrix):
    return torch.linalg.svdvals(matrix.double())


@pytest.mark.parametrize("shape", [(24, 60), (60, 24), (40, 40)])
def test_singular_values_become_about_one_and_the_directions_stay(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    left, values, right = torch.linalg.svd(matrix.double(), full_matrices=False)
    found = orthogonal(matrix)
    assert found.shape == shape
    large = (values / values.norm() > 0.003).sum()
    assert large >= min(shape) - 1
    assert singular(found)[:large].min() > 0.8
    assert singular(found).max() < 1.2
    turned = left.T @ found.double() @ right.T
    assert (turned - turned.diag().diag()).abs().max() < 1e-3  # of the same singular vectors


def test_a_matrix_of_zeros_stays():
    assert torch.equal(orthogonal(torch.zeros(9, 12)), torch.zeros(9, 12))


def test_size_and_sign_of_the_gradient_do_not_change_the_size_of_a_step():
    matrix = torch.randn(16, 30, generator=torch.Generator().manual_seed(2))
    found = orthogonal(matrix)
    assert torch.allclose(orthogonal(1e-3 * matrix), found, atol=1e-3)
    assert torch.allclose(orthogonal(-matrix), -found, atol=1e-6)


def test_a_convolution_moves_by_its_flattened_matrix_at_the_size_of_adamw_s_step():
    weight = nn.Parameter(torch.zeros(16, 8, 3, 3))
    gradient = torch.randn(16, 8, 3, 3, generator=torch.Generator().manual_seed(3))
    weight.grad = gradient.clone()
    Muon([weight], lr=0.01, betas=(0.9, 0.99), weight_decay=0).step()
    moved = weight.detach().flatten(1)
    left, _, right = torch.linalg.svd(gradient.flatten(1), full_matrices=False)
    nearest = -0.01 * SIZE * 72**0.5 * left @ right
    assert (moved - nearest).norm() < 0.2 * nearest.norm()
    # a step of AdamW at this rate is 0.01 times some tenths for every weight
    assert moved.square().mean().sqrt() == pytest.approx(0.01 * SIZE, rel=0.15)


def test_what_is_no_matrix_moves_as_adamw_moves_it():
    generator = torch.Generator().manual_seed(4)
    ours, theirs = (nn.Parameter(torch.ones(3, 5, 1, 1)) for _ in range(2))
    options = {"lr": 0.1, "betas": (0.8, 0.9), "weight_decay": 0.01}
    steps = Muon([ours], **options), torch.optim.AdamW([theirs], **options)
    for _ in range(4):
        ours.grad = theirs.grad = torch.randn(3, 5, 1, 1, generator=generator)
        for optimiser in steps:
            optimiser.step()
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_it_learns_a_matrix_that_it_is_not_told():
    generator = torch.Generator().manual_seed(5)
    layer, wanted = nn.Linear(12, 10, bias=False), torch.randn(10, 12, generator=generator)
    nn.init.zeros_(layer.weight)
    optimiser = Muon(layer.parameters(), lr=0.1, betas=(0.9, 0.99), weight_decay=0)
    for step in range(300):
        images = torch.randn(64, 12, generator=generator)
        optimiser.zero_grad()
        (layer(images) - images @ wanted.T).square().mean().backward()
        for group in optimiser.param_groups:
            group["lr"] = 0.1 * (1 - step / 300)
        optimiser.step()
    assert (layer.weight - wanted).abs().max() < 0.02


def test_momentum_goes_on_after_a_load():
    weight = nn.Parameter(torch.zeros(8, 9))
    begun = Muon([weight], lr=0.1, betas=(0.9, 0.99), weight_decay=0)
    weight.grad = torch.randn(8, 9, generator=torch.Generator().manual_seed(6))
    begun.step()
    copied = nn.Parameter(weight.detach().clone())
    resumed = Muon([copied], lr=0.1, betas=(0.9, 0.99), weight_decay=0)
    resumed.load_state_dict(copy.deepcopy(begun.state_dict()))
    for parameter, optimiser in ((weight, begun), (copied, resumed)):
        parameter.grad = torch.ones(8, 9)
        optimiser.step()
    assert torch.equal(weight, copied)
