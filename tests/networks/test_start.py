"""What an untrained paper's network does with its features, and whether it learns from there."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from faceren.assets import samples_dir
from faceren.config import GeneratorConfig
from faceren.networks.generator import Generator, build_generator

VARIANTS = [("adaptive", "sigmoid"), ("adaptive", "tanh"), ("fixed", "sigmoid"), ("lip", "sigmoid")]


def clean_faces(side: int = 128, count: int = 4) -> Tensor:
    """Return real faces, (N, 3, side, side) in [0, 1]."""
    files = sorted((samples_dir() / "clean").glob("*.*"))[:count]
    images = [cv2.resize(cv2.imread(str(file)), (side, side)) for file in files]
    return torch.from_numpy(np.stack(images)[..., ::-1].transpose(0, 3, 1, 2) / 255).float()


def network(suppression: str, activation: str) -> Generator:
    torch.manual_seed(0)
    return build_generator(
        GeneratorConfig(
            width=8, hidden=16, suppression=suppression, kernel_activation=activation, depth=5
        )
    )


def gate_spreads(generator: Generator, faces: Tensor) -> list[float]:
    """Return the standard deviation of phi at each level; print them."""
    assert generator.encoder is not None
    with torch.no_grad():
        features = generator.encoder(faces)
        gates = [s.gates(x) for s, x in zip(generator.encoder.suppress, features, strict=False)]
    spreads = [float(level.std()) for level in gates]
    print("  gates", " ".join(f"{level.mean():.2f}±{level.std():.3f}" for level in gates))
    return spreads


def train(generator: Generator, steps: int) -> list[float]:
    """Restore blurred faces by the L1 loss and the paper's optimiser; return the losses."""
    clean = clean_faces(64)
    damaged = torch.nn.functional.interpolate(
        torch.nn.functional.avg_pool2d(clean, 8), scale_factor=8, mode="bilinear"
    )
    optimiser = torch.optim.Adam(generator.parameters(), lr=1e-4, betas=(0.0, 0.9))
    losses = []
    for _ in range(steps):
        loss = (generator(damaged) - clean * 2 + 1).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize(("suppression", "activation"), VARIANTS)
def test_features_keep_their_strength_from_level_to_level(suppression, activation):
    generator = network(suppression, activation)
    assert generator.encoder is not None
    with torch.no_grad():
        deviations = [float(x.std()) for x in generator.encoder(clean_faces())]
    assert all(0.1 < deviation < 2 for deviation in deviations), deviations
    assert all(1 / 3 < after / before < 3 for before, after in pairwise(deviations)), deviations


@pytest.mark.parametrize(("activation", "least"), [("sigmoid", 0.02), ("tanh", 0.1)])
def test_gates_differ_before_any_training(activation, least):
    spreads = gate_spreads(network("adaptive", activation), clean_faces())
    assert min(spreads) > least, spreads


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_every_level_gets_a_gradient_from_the_first_step_on(activation):
    generator = network("adaptive", activation)
    assert generator.encoder is not None
    train(generator, 2)
    for name, value in generator.encoder.named_parameters():
        if name.startswith("suppress."):
            assert value.grad is not None
            assert value.grad.abs().max() > 0, name


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_gates_stay_apart_for_five_thousand_steps(activation):
    generator, faces = network("adaptive", activation), clean_faces()
    print(f"\n{activation}: at the start, after 100, 1,000 and 5,000 steps")
    spreads, losses = gate_spreads(generator, faces), []
    for steps in (100, 900, 4000):
        losses += train(generator, steps)
        spreads += gate_spreads(generator, faces)
    assert min(spreads) > 0.02
    assert losses[-1] < losses[0]
