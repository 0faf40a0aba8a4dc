import dataclasses

import pytest
import torch

from faceren.assets import models_dir
from faceren.config import BASE, COMPACT, GeneratorConfig
from faceren.errors import ConfigError
from faceren.training.loss_recipe import LossRecipe
from faceren.training.objective import Objective, build_judge, judgement_loss
from faceren.training.recipe import DataRecipe, Recipe, TrainRecipe, ValidationRecipe
from faceren.training.recipe_file import difference, dump_recipe, load_recipe, recipe_sha256
from tests.training.tiny import CONFIG, write_recipe

SHIPPED = (
    *("compact", "compact-gan", "base", "base-large", "paper"),
    *("sr4x", "hallucination", "denoise", "deblur", "jpeg", "full"),
)


def load(folder, *overrides, **sections) -> Recipe:
    return load_recipe(write_recipe(folder, **sections), overrides)


def test_reads_sections_into_dataclasses(tmp_path):
    recipe = load(tmp_path)
    assert recipe.model == CONFIG
    assert recipe.train.lr == 1e-3
    assert recipe.data.train == (str(tmp_path / "faces"),)


def test_dump_is_read_back_unchanged(tmp_path):
    recipe = load(tmp_path, "validate.tasks=[full, mixed]", "train.minutes=3")
    (tmp_path / "again.yaml").write_text(dump_recipe(recipe))
    assert load_recipe(tmp_path / "again.yaml") == recipe
    assert recipe_sha256(load_recipe(tmp_path / "again.yaml")) == recipe_sha256(recipe)


@pytest.mark.parametrize(
    ("override", "section", "name", "value"),
    [
        ("train.lr=1e-4", "train", "lr", 1e-4),  # YAML 1.1 takes this for a string
        ("data.train=some/where", "data", "train", ("some/where",)),
        ("data.train=[a, b]", "data", "train", ("a", "b")),
        ("train.betas=[0, 0.99]", "train", "betas", (0.0, 0.99)),
        ("train.compile=true", "train", "compile", True),
        ("train.minutes=null", "train", "minutes", None),
        ("data.task=full", "data", "task", "full"),
    ],
)
def test_overrides_are_yaml(tmp_path, override, section, name, value):
    assert getattr(getattr(load(tmp_path, override), section), name) == value


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.lrr=1", r"unknown key 'train\.lrr'; did you mean 'lr'\?"),
        ("trian.lr=1", r"unknown key 'trian'; did you mean 'train'\?"),
        ("train.lr=2", r"train\.lr: expected 1e-12 to 1, got 2"),
        ("train.lr=fast", r"train\.lr: expected a number, got 'fast'"),
        ("train.lr=.nan", r"train\.lr: expected a number, got nan"),
        ("train.steps=1.5", r"train\.steps: expected an integer, got 1\.5"),
        ("train.steps=true", r"train\.steps: expected an integer, got True"),
        ("train.compile=1", r"train\.compile: expected true or false, got 1"),
        ("train.betas=[0.9]", r"train\.betas: expected a list of 2 values"),
        ("train.betas=[0.9, 1.0]", r"train\.betas: expected two numbers in \[0, 1\)"),
        ("train.schedule=cosin", r"train\.schedule: unknown value 'cosin'; did you mean 'cosine'"),
        ("train.batch=0", r"train\.batch: expected 1 or more, got 0"),
        ("train.steps=null", r"expected train\.steps or train\.minutes, got neither"),
        ("data.task=ful", r"data\.task: unknown value 'ful'; did you mean 'full'"),
        ("data.zoom=[1.2, 1]", r"data\.zoom: expected \[low, high\] with 0 < low <= high"),
        ("data.weights=[1, 2]", r"data\.weights: expected one for each of the 1 folders"),
        ("data.max_side=16", r"data\.max_side: expected at least data\.min_side 32, got 16"),
        (
            "data={train: a, size: 256, large: 0.1, large_size: 128}",
            r"data\.large_size: expected at least data\.size 256, got 128",
        ),
        ("loss.l1=0", r"loss: expected a weight above 0 for at least one loss"),
        ("data.full=1.1", r"data\.full: expected 0 to 1, got 1\.1"),
        ("loss.vgg=1", r"loss\.vgg_weights: the VGG loss needs a file"),
        ("loss.discriminator_inner=true", r"loss\.discriminator_inner: expected loss\.gan and"),
        ("loss.discriminator_eyes=true", r"loss\.discriminator_eyes: expected loss\.gan and"),
        ("loss.inner_vgg=1", r"loss\.vgg_weights: the VGG loss needs a file"),
        ("validate.tasks=[fulll]", r"validate\.tasks: unknown value 'fulll'"),
        ("model.widht=3", r"unknown key 'model\.widht'; did you mean 'width'"),
        ("model.width=0", r"width: expected an integer of at least 1"),
        ("name=a/b", r"name: expected letters"),
        ("model=null", r"model: expected the shape of a generator, or a checkpoint as init"),
        ("train=3", r"train: expected a section with keys, got 3"),
        ("train", r"-O: expected section\.key=value, got 'train'"),
        ("train.lr=[", r"-O train\.lr: the value '\[' is no YAML"),
        ("seed=-1", r"recipe\.seed: expected 0 to"),
    ],
)
def test_wrong_values_are_named(tmp_path, override, message):
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, override)


def test_missing_key_is_named(tmp_path):
    (tmp_path / "r.yaml").write_text("train: {steps: 1}\nloss: {l1: 1}\n")
    with pytest.raises(ConfigError, match="expected the key 'name', got none"):
        load_recipe(tmp_path / "r.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "no valid YAML"), ("3", "expected the keys of a recipe, got int")],
)
def test_no_recipe(tmp_path, text, message):
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_recipe(tmp_path / "r.yaml")
    with pytest.raises(ConfigError, match="expected a recipe at"):
        load_recipe(tmp_path / "none.yaml")


def test_extends_merges_deeply(tmp_path):
    write_recipe(tmp_path)
    (tmp_path / "child.yaml").write_text("extends: tiny.yaml\nname: child\ntrain: {lr: 0.01}\n")
    child, parent = load_recipe(tmp_path / "child.yaml"), load_recipe(tmp_path / "tiny.yaml")
    assert child == dataclasses.replace(
        parent, name="child", train=dataclasses.replace(parent.train, lr=0.01)
    )


def test_extends_in_a_circle_is_an_error(tmp_path):
    (tmp_path / "a.yaml").write_text("extends: a.yaml\n")
    with pytest.raises(ConfigError, match=r"extends: expected the file name of a recipe"):
        load_recipe(tmp_path / "a.yaml")


def test_difference_names_what_changes_a_result(tmp_path):
    old = load(tmp_path)
    new = load(tmp_path, "train.lr=0.5", "data.workers=4", "train.save_every=3", "model.width=8")
    assert difference(old, new) == ["model.width: 4 -> 8", "train.lr: 0.001 -> 0.5"]
    assert difference(old, old) == []


@pytest.mark.parametrize(
    ("overrides", "least"),
    [
        (["loss.lpips=1"], 36),
        (["loss.inner=1"], 96),
        (["loss.eyes=1"], 160),
        (["loss.gan=1", "loss.discriminator=projected"], 64),
        (["loss.gan=1", "loss.discriminator=projected", "loss.discriminator_inner=true"], 120),
        (["loss.gan=1", "loss.discriminator=projected", "loss.discriminator_eyes=true"], 208),
    ],
)
def test_images_too_small_for_alexnets_maps_are_refused(tmp_path, overrides, least):
    message = rf"data\.size: expected at least {least} for the loss .* got {least - 4}"
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, *overrides, f"data.size={least - 4}")
    recipe = load(tmp_path, *overrides, f"data.size={least}")
    images = torch.rand(1, 3, least, least)
    judge = build_judge(recipe.loss, seed=0)
    objective = Objective(recipe.loss)
    views = objective.views(images, images, images, phase=(3, 3))
    parts = objective.parts(views, judge)
    if judge is not None:
        parts["judgement"] = judgement_loss(judge, *objective.shown(views.detached()))
    assert all(part.isfinite() for part in parts.values())


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipes_are_valid(name):
    recipe = load_recipe(models_dir() / f"{name}.yaml")
    assert recipe.name == name
    assert recipe.model is not None
    assert recipe.data.size % recipe.model.stride == 0


def test_shipped_shapes_are_those_of_the_package():
    assert load_recipe(models_dir() / "compact.yaml").model == COMPACT
    assert load_recipe(models_dir() / "base.yaml").model == BASE
    assert load_recipe(models_dir() / "full.yaml").model == GeneratorConfig()


def test_every_default_is_in_range():
    assert DataRecipe().workers == 2
    assert LossRecipe(l1=1).adversarial is False
    assert LossRecipe(features=1).adversarial is True
    assert TrainRecipe(minutes=1).steps is None
    assert ValidationRecipe().select == "lpips"
