"""A run goes on with the files it was begun with, or says which have changed."""

import pytest

from faceren.checkpoint import save_checkpoint
from faceren.errors import ConfigError
from faceren.networks.generator import build_generator
from faceren.training.folder import check_inputs
from faceren.training.state import TrainingState
from faceren.weights import CheckpointInfo
from tests.networks.literal import randomise
from tests.training.tiny import CONFIG, finished, run, write_images, write_recipe


def begun(tmp_path, *, teacher: str = ""):
    recipe = write_recipe(tmp_path, teacher=teacher, train={"steps": 2})
    run(recipe, tmp_path / "run")
    return recipe


@pytest.mark.parametrize("change", ["more", "fewer", "other"])
def test_other_training_images_are_noticed(tmp_path, change):
    recipe, faces = begun(tmp_path), tmp_path / "faces"
    if change == "more":
        write_images(faces, count=13)
    elif change == "fewer":
        (faces / "003.png").unlink()
    else:
        (faces / "003.png").rename(faces / "zzz.png")
    # one of them, a tenth, is kept for the validation
    now = {"more": 12, "fewer": 10, "other": 11}[change]
    message = rf"other files of the same name; .*--allow-change.* 11 images, .* -> {now} images, "
    with pytest.raises(ConfigError, match=message):
        run(recipe, tmp_path / "run", "train.steps=2")
    events = run(recipe, tmp_path / "run", "train.steps=4", allow_change=True)
    assert finished(events).step == 4
    assert finished(run(recipe, tmp_path / "run", "train.steps=4")).step == 4  # known from now on


def test_another_teacher_of_the_same_name_is_noticed(tmp_path):
    path = tmp_path / "t.safetensors"
    save_checkpoint(path, build_generator(CONFIG), info=CheckpointInfo())
    recipe = begun(tmp_path, teacher=str(path))
    assert finished(run(recipe, tmp_path / "run")).step == 2
    save_checkpoint(path, randomise(build_generator(CONFIG)).float(), info=CheckpointInfo())
    with pytest.raises(ConfigError, match=r"Changed: teacher: sha256 \w{16} -> sha256 \w{16}$"):
        run(recipe, tmp_path / "run")


def test_a_state_without_inputs_goes_on(tmp_path, monkeypatch):
    save = TrainingState.save

    def as_before(self, path):
        self.inputs = {}
        save(self, path)

    monkeypatch.setattr(TrainingState, "save", as_before)
    recipe = begun(tmp_path)
    (tmp_path / "faces" / "003.png").unlink()
    assert finished(run(recipe, tmp_path / "run")).step == 2


def test_every_change_is_named(tmp_path):
    before = {"data.train": "9 images", "teacher": "sha256 a", "loss.vgg_weights": "sha256 b"}
    check_inputs(tmp_path, before, {**before, "loss.other": "sha256 c"})
    with pytest.raises(ConfigError, match="teacher: sha256 a -> sha256 d; loss.vgg_weights: "):
        check_inputs(tmp_path, before, {"data.train": "9 images", "teacher": "sha256 d"})
