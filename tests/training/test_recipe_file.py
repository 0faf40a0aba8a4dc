"""Recipes on disk: what YAML says arrives, and what does not belong there is named."""

import dataclasses

import pytest

from faceren.errors import ConfigError
from faceren.training.recipe import LossRecipe, Recipe
from faceren.training.recipe_file import difference, dump_recipe, load_recipe, recipe_sha256
from tests.training.tiny import CONFIG, write_recipe


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


@pytest.mark.parametrize("value", ['!!int ""', '!!float ""', "!!bool x", "!!timestamp x", "!x 3"])
def test_tags_are_no_part_of_a_recipe(tmp_path, value):
    with pytest.raises(ConfigError, match="-O train.lr: the value .* is no YAML"):
        load(tmp_path, f"train.lr={value}")
    (tmp_path / "r.yaml").write_text(f"seed: {value}\n")
    with pytest.raises(ConfigError, match="no valid YAML: expected no tags"):
        load_recipe(tmp_path / "r.yaml")


def test_an_override_of_too_many_levels_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"-O: expected section\.key=value, got 'train\.lr\.a\.a"):
        load(tmp_path, "train.lr." + "a." * 10_000 + "a=1")


@pytest.mark.parametrize("key", ["data.train", "data.validation", "init", "teacher", "licence"])
def test_no_text_of_a_recipe_has_a_nul(tmp_path, key):
    with pytest.raises(ConfigError, match=rf"{key}: expected .*a text, got .*a.x00b"):
        load(tmp_path, rf'{key}="a\0b"')


@pytest.mark.parametrize("value", ['train=""', 'train=["", b]', 'validation=""'])
def test_an_empty_text_is_no_folder_of_images(tmp_path, value):
    with pytest.raises(ConfigError, match="expected paths, got an empty text"):
        load(tmp_path, f"data.{value}")


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


def test_recipes_of_older_versions_are_read(tmp_path):
    recipe = load(tmp_path, train={"stairs": 5})
    assert recipe.train.lr_steps == 5
    assert load(tmp_path, "train.stairs=7").train.lr_steps == 7
    gone = {"eyes": 0.0, "identity": 0, "identity_weights": "", "discriminator_eyes": False}
    assert load(tmp_path, loss=gone).loss == LossRecipe(l1=1)
