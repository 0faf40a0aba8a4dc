"""What a run needs, and what can be wrong with it, before its first step."""

import dataclasses
from dataclasses import replace

import pytest
import torch

from faceren.config import BaselineConfig, DetectorConfig
from faceren.errors import ConfigError
from faceren.networks.baselines.baseline import build_network
from faceren.networks.detector import build_detector
from faceren.networks.generator import build_generator
from faceren.training import setup
from faceren.training.recipe import Recipe
from faceren.training.recipe_file import load_recipe
from faceren.training.setup import (
    ImageSets,
    check_division,
    initial_network,
    notes,
    read_sets,
    widened,
)
from tests.networks.shapes import COMPACT
from tests.training.test_samples import make_set
from tests.training.tiny import write_images, write_recipe

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
    monkeypatch.setattr(setup, "NOISE", 0.0)
    monkeypatch.setattr(  # the statistics over channels stay when each is there twice
        setup, "_copies", lambda count, wanted, _: torch.arange(wanted) % count
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


def plan(folder, **sections) -> Recipe:
    return load_recipe(write_recipe(folder, **sections))


def sets_of(recipe: Recipe) -> ImageSets:
    reading = read_sets(recipe)
    while True:
        try:
            next(reading)
        except StopIteration as end:
            return end.value


def test_the_first_weights_come_from_the_seed_alone(tmp_path):
    recipe, before = plan(tmp_path), torch.random.get_rng_state()
    one, same, other = (
        initial_network(replace(recipe, seed=seed)).encoder.head.weight for seed in (1, 1, 2)
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_what_no_output_depends_on_is_not_trained(tmp_path):
    network = initial_network(plan(tmp_path, model={"head": "tanh", "depth": 3}))
    frozen = [name for name, weight in network.named_parameters() if not weight.requires_grad]
    assert frozen == ["to_rgb_unused.0.weight", "to_rgb_unused.0.bias"]
    assert network.training


def test_large_steps_have_a_side_that_fits_too(tmp_path):
    recipe = plan(tmp_path, data={"large": 0.5, "large_size": 100})
    with pytest.raises(ConfigError, match=r"data\.large_size: expected a multiple of 8, at least"):
        initial_network(recipe)


def test_images_to_validate_on_come_from_their_folder_or_are_kept_apart(tmp_path):
    recipe = plan(tmp_path)
    assert [len(images) for images in vars(sets_of(recipe)).values()] == [11, 1]
    held = str(write_images(tmp_path / "held", 5))
    recipe = plan(tmp_path, data={"validation": [held]}, validate={"images": 2})
    sets = sets_of(recipe)
    assert (len(sets.training), len(sets.validation)) == (12, 2)
    assert [entry.key for entry in sets.validation.entries] == ["001.png", "003.png"]


def test_large_steps_need_large_images(tmp_path):
    recipe = plan(tmp_path, data={"large": 0.5, "large_size": 128})
    with pytest.raises(ConfigError, match="at least 128 pixels to train on, the largest has 64"):
        sets_of(recipe)


@pytest.mark.parametrize(("processes", "passes"), [(1, 1), (2, 1), (4, 1), (1, 4), (2, 2)])
def test_a_batch_is_shared_evenly(tmp_path, processes, passes):
    recipe = plan(tmp_path, train={"accumulate": passes})
    check_division(recipe, initial_network(recipe), processes)


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path):
    recipe = plan(tmp_path)
    network = initial_network(recipe)
    with pytest.raises(ConfigError, match="a multiple of the 3 processes, got 4"):
        check_division(recipe, network, 3)
    recipe = plan(tmp_path, train={"accumulate": 3})
    with pytest.raises(ConfigError, match=r"the 2 processes times train\.accumulate 3, got 4"):
        check_division(recipe, network, 2)


def test_what_looks_at_a_batch_together_takes_it_in_one_pass(tmp_path):
    recipe = plan(tmp_path, train={"accumulate": 2})
    normalised = build_network(BaselineConfig(architecture="srresnet", width=4, blocks=1))
    with pytest.raises(ConfigError, match="accumulate: expected 1 for .* batch normalisation"):
        check_division(recipe, normalised, 1)
    detector = build_detector(DetectorConfig(channels=(4, 4)), seed=0)
    with pytest.raises(ConfigError, match="accumulate: expected 1 for a detector, .*, got 2"):
        check_division(recipe, detector, 1)


def test_a_reader_is_told_how_the_run_differs_from_the_papers(tmp_path):
    recipe, cpu = plan(tmp_path, loss={"lpips": 1.0}), torch.device("cpu")
    images = make_set(64, 64).images
    found = notes(recipe, ImageSets(images, images.choose([0])), cpu)
    assert "perceptual loss: LPIPS on AlexNet, in place of the paper's VGG-19" in found
    assert "validated on 1 images kept from data.train" in found
    assert not any("cache_gib" in note for note in found)
    lazy = ImageSets(replace(images, pixels=()), images)
    assert any("do not fit into data.cache_gib" in note for note in notes(recipe, lazy, cpu))
