import dataclasses

import pytest
import torch

from faceren.errors import ConfigError
from faceren.networks import widening
from faceren.networks.generator import build_generator
from faceren.networks.widening import widened
from tests.networks.shapes import COMPACT

SMALL = dataclasses.replace(COMPACT, width=8, hidden=8, kernel_dim=4)
LARGE = dataclasses.replace(SMALL, width=16, hidden=12, middle_blocks=2)
FACES = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def trained():
    """A small network that has left its starting point: no weight is zero."""
    torch.manual_seed(0)
    network = build_generator(SMALL).eval()
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return network


def test_every_channel_twice_computes_the_same(monkeypatch):
    monkeypatch.setattr(widening, "NOISE", 0.0)
    monkeypatch.setattr(  # the statistics over channels stay when each is there twice
        widening, "_copies", lambda count, wanted, _: torch.arange(wanted) % count
    )
    small = trained()
    large = widened(small, dataclasses.replace(LARGE, hidden=16), seed=0).eval()
    with torch.inference_mode():
        assert not torch.allclose(small(FACES), FACES, atol=0.1)
        torch.testing.assert_close(large(FACES), small(FACES), rtol=1e-4, atol=1e-5)


def test_some_channels_twice_computes_nearly_the_same():
    small = trained()
    with torch.inference_mode():
        expected = small(FACES)
        change = (expected - FACES).std()
        error = (widened(small, LARGE, seed=0).eval()(FACES) - expected).std()
    assert 0 < error < change / 3


def test_copies_differ_so_that_they_can_part():
    flat = widened(trained(), LARGE, seed=0).encoder.head.weight.flatten(1)
    assert len(torch.unique(flat, dim=0)) == len(flat) == 16


def test_the_seed_decides_and_the_global_one_stays():
    before = torch.random.get_rng_state()
    one, same, other = (widened(trained(), LARGE, seed=seed) for seed in (1, 1, 2))
    torch.random.set_rng_state(before)
    weights = [list(network.parameters()) for network in (one, same, other)]
    assert all(map(torch.equal, weights[0], weights[1]))
    assert not all(map(torch.equal, weights[0], weights[2]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 4}, "model.width: expected at least 8 to widen that of init, got 4"),
        ({"depth": 2}, "model.depth: expected 3 to widen that of init, got 2"),
        ({"head": "residual"}, "model.head: expected 'bands'"),
    ],
)
def test_other_shapes_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        widened(trained(), dataclasses.replace(LARGE, **changes), seed=0)


def test_spectral_norm_is_refused():
    spectral = dataclasses.replace(SMALL, spectral_norm=True)
    with pytest.raises(ConfigError, match=r"model.spectral_norm: expected false.*got true"):
        widened(build_generator(spectral), spectral, seed=0)
