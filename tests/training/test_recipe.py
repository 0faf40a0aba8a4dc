import pytest
import torch

from faceren.assets import asset, models_dir
from faceren.config import GeneratorConfig
from faceren.errors import ConfigError
from faceren.networks.generator import Generator
from faceren.training.objective import Objective, build_discriminator
from faceren.training.recipe import DataRecipe, LossRecipe, Recipe, TrainRecipe, ValidationRecipe
from faceren.training.recipe_file import load_recipe
from faceren.training.setup import initial_network
from faceren.weights import read_header
from tests.training.tiny import write_recipe

SHIPPED = (
    *("compact", "compact-gan", "compact-distil"),
    *("base", "base-large", "base-small", "base-calm", "base-distil", "base-paper"),
    *("ablation", "table2", "paper"),
    *("sr4x", "hallucination", "denoise", "deblur", "jpeg", "full"),
)


def load(folder, *overrides, **sections) -> Recipe:
    return load_recipe(write_recipe(folder, **sections), overrides)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.lrr=1", r"unknown key 'train\.lrr'; did you mean 'lr'\?"),
        ("trian.lr=1", r"unknown key 'trian'; did you mean 'train'\?"),
        ("train.lr=2", r"train\.lr: expected float from 1e-12 to 1, got 2"),
        ("train.lr=fast", r"train\.lr: expected float from 1e-12 to 1, got 'fast'"),
        ("train.lr=.nan", r"train\.lr: expected float from 1e-12 to 1, got nan"),
        ("train.steps=1.5", r"train\.steps: expected int of at least 1 or nothing, got 1\.5"),
        ("train.steps=true", r"train\.steps: expected int of at least 1 or nothing, got True"),
        ("train.compile=1", r"train\.compile: expected a bool, got 1"),
        (
            "train.betas=[0.9]",
            r"train\.betas: expected 2 values, each float from 0 to 0\.9999999, got \(0\.9,\)",
        ),
        ("train.betas=[0.9, 1.0]", r"train\.betas: expected 2 values, .*, got \(0\.9, 1\.0\)"),
        (
            "train.schedule=cosin",
            r"train\.schedule: expected one of .*, got 'cosin'; did you mean 'cosine'",
        ),
        ("train.batch=0", r"train\.batch: expected int of at least 1, got 0"),
        ("train.steps=null", r"expected train\.steps or train\.minutes, got neither"),
        ("train.clock=cpu", r"train\.clock: expected train\.minutes beside it"),
        ("data.task=ful", r"data\.task: expected one of .*, got 'ful'; did you mean 'full'"),
        ("data.zoom=[1.2, 1]", r"data\.zoom: expected \[low, high\] with 0 < low <= high"),
        ("data.weights=[1, 2]", r"data\.weights: expected one for each of the 1 folders"),
        ("data.max_side=16", r"data\.max_side: expected at least data\.min_side 32, got 16"),
        (
            "data={train: a, size: 256, large: 0.1, large_size: 128}",
            r"data\.large_size: expected at least data\.size 256, got 128",
        ),
        ("loss.l1=0", r"loss: expected a weight above 0 for at least one loss"),
        ("data.full=1.1", r"data\.full: expected float from 0 to 1, got 1\.1"),
        (
            "data={train: a, full: 0.6, single: 0.5}",
            r"data\.single: expected at most 1 together with data\.full 0\.6, got 0\.5",
        ),
        ("loss.vgg=1", r"loss\.vgg_weights: the VGG loss needs a file"),
        ("loss.discriminator_inner=true", r"loss\.discriminator_inner: expected loss\.gan and"),
        ("loss.eyes=1", r"unknown key 'loss\.eyes'"),
        ("data.zoom=3", r"data\.zoom: expected 2 values, each float, got 3"),
        ("data.weights=[-1]", r"data\.weights: expected several of: float of at least 0, got"),
        ("data.weights=[0]", r"data\.weights: expected shares above 0"),
        ("model.head=3", r"head: expected one of 'tanh', 'residual', 'bands', got 3"),
        ("name=3", r"name: expected a text, got 3"),
        ("validate.tasks=[fulll]", r"validate\.tasks: expected one of .*, got 'fulll'"),
        ("model.widht=3", r"unknown key 'model\.widht'; did you mean 'width'"),
        ("model.width=0", r"width: expected int of at least 1"),
        ("name=a/b", r"name: expected letters"),
        ("model=null", r"model: expected the shape of a generator, or a checkpoint as init"),
        ("train=3", r"train: expected a section with keys, got 3"),
        ("train", r"-O: expected section\.key=value, got 'train'"),
        ("train.lr=[", r"-O train\.lr: the value '\[' is no YAML"),
        ("seed=-1", r"seed: expected int from 0 to 4294967295, got -1"),
    ],
)
def test_wrong_values_are_named(tmp_path, override, message):
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, override)


@pytest.mark.parametrize(
    ("overrides", "least"),
    [
        (["loss.lpips=1"], 36),
        (["loss.inner=1"], 96),
        (["loss.gan=1", "loss.discriminator=projected"], 64),
        (["loss.gan=1", "loss.discriminator=projected", "loss.discriminator_inner=true"], 120),
    ],
)
def test_images_too_small_for_alexnets_maps_are_refused(tmp_path, overrides, least):
    message = rf"data\.size: expected at least {least} for the loss .* got {least - 4}"
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, *overrides, f"data.size={least - 4}")
    recipe = load(tmp_path, *overrides, f"data.size={least}")
    images = torch.rand(1, 3, least, least)
    discriminator = build_discriminator(recipe.loss, seed=0)
    objective = Objective(recipe.loss)
    views = objective.views(images, images, images, step=15)
    parts = objective.parts(views, discriminator)
    if discriminator is not None:
        parts["discriminator"] = objective.discriminator_loss(views, discriminator)
    assert all(part.isfinite() for part in parts.values())


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipes_are_valid(name):
    recipe = load_recipe(models_dir() / f"{name}.yaml")
    assert recipe.name == name
    assert recipe.model is not None
    assert recipe.data.size % recipe.model.stride == 0


@pytest.mark.parametrize("name", ["compact", "base"])
def test_shipped_weights_have_the_shape_of_their_recipe(name):
    config, _ = read_header(asset(f"faceren-{name}"))
    assert load_recipe(models_dir() / f"{name}.yaml").model == config


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipes_start_from_weights_that_fit(name):
    recipe = load_recipe(models_dir() / f"{name}.yaml")
    network = initial_network(recipe)
    assert isinstance(network, Generator)
    assert network.config == recipe.model


def test_the_papers_recipe_has_the_published_shape():
    assert load_recipe(models_dir() / "full.yaml").model == GeneratorConfig()


def test_every_default_is_in_range():
    assert DataRecipe().workers == 2
    assert TrainRecipe(minutes=1).steps is None
    assert ValidationRecipe().select == "lpips"


def test_a_discriminator_is_there_for_the_losses_that_need_it():
    assert not LossRecipe(l1=1).adversarial
    assert LossRecipe(features=1).adversarial
    assert not LossRecipe(l1=1, discriminator="projected").projected
    assert LossRecipe(gan=1, discriminator="projected").projected
