import dataclasses
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim import Adam

from faceren.checkpoint import save_checkpoint
from faceren.errors import ConfigError, MachineError
from faceren.networks.generator import build_generator
from faceren.training import state as module
from faceren.training.state import TrainingState, averaged_copy, check_inputs, follow
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


def make_state(*, seed: int = 0, discriminated: bool = False, width: int = 4) -> TrainingState:
    torch.manual_seed(seed)
    generator = build_generator(dataclasses.replace(CONFIG, width=width))
    discriminator = nn.Conv2d(3, 1, 3) if discriminated else None
    return TrainingState(
        generator=generator,
        average=averaged_copy(generator),
        optimiser=Adam(generator.parameters()),
        discriminator=discriminator,
        discriminator_optimiser=Adam(discriminator.parameters()) if discriminator else None,
    )


def train_a_bit(state: TrainingState, steps: int) -> TrainingState:
    for step in range(steps):
        faces = torch.full((1, 3, 16, 16), 0.1 * step)
        state.optimiser.zero_grad()
        state.generator(faces).square().mean().backward()
        state.optimiser.step()
        follow(state.average, state.generator, decay=0.9, step=step + 1)
    return state


def test_survives_a_file_unchanged(tmp_path):
    ours = train_a_bit(make_state(discriminated=True), 3)
    ours.counters.step, ours.counters.best = 3, -0.25
    ours.save(tmp_path / "s.safetensors")
    theirs = make_state(seed=1, discriminated=True)
    theirs.load(tmp_path / "s.safetensors")
    assert theirs.counters == ours.counters
    wanted, found = ours.tensors(), theirs.tensors()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert any(name.endswith("exp_avg_sq") for name in wanted)
    after = [train_a_bit(state, 2).tensors() for state in (ours, theirs)]
    assert all(torch.equal(after[0][name], after[1][name]) for name in after[0])


def test_state_of_other_networks_is_refused(tmp_path):
    make_state(discriminated=True).save(tmp_path / "s.safetensors")
    with pytest.raises(ConfigError, match="holds discriminator, which this recipe does not train"):
        make_state().load(tmp_path / "s.safetensors")
    with pytest.raises(ConfigError, match=r"the state is of another network: .*size mismatch"):
        make_state(discriminated=True, width=6).load(tmp_path / "s.safetensors")


def test_damaged_and_foreign_files_are_refused(tmp_path):
    path = tmp_path / "s.safetensors"
    path.write_bytes(b"garbage")
    with pytest.raises(MachineError, match="it is damaged"):
        make_state().load(path)
    save_file({"a": torch.ones(1)}, path)
    with pytest.raises(ConfigError, match="expected format version 'faceren-state-1', got None"):
        make_state().load(path)


def test_a_full_disk_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "s.safetensors"
    make_state().save(path)
    before = path.read_bytes()

    def full(*_):
        raise module.SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(module, "save_file", full)
    with pytest.raises(MachineError, match=r"cannot write .*No space left .*free space"):
        make_state(seed=1).save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["s.safetensors"]


def test_follow_is_a_warmed_up_moving_average():
    generator = build_generator(CONFIG)
    average = averaged_copy(generator)
    start = average.fc.weight.clone()
    with torch.no_grad():
        generator.fc.weight += 1
    follow(average, generator, decay=0.9, step=5)  # early: 1 - 1 / (5 / 5 + 1) stays
    torch.testing.assert_close(average.fc.weight, start + 0.5)
    follow(average, generator, decay=0.9, step=10**6)
    torch.testing.assert_close(average.fc.weight, start + 0.5 + 0.5 * 0.1)
    follow(average, generator, decay=0.0, step=10**6)
    assert torch.equal(average.fc.weight, generator.fc.weight)
    assert not any(p.requires_grad for p in average.parameters())


def test_follow_copies_what_is_no_parameter():
    generator = build_generator(dataclasses.replace(CONFIG, spectral_norm=True))
    average = averaged_copy(generator)
    with torch.no_grad():
        for buffer in generator.buffers():
            buffer.fill_(0.5)
    follow(average, generator, decay=0.99, step=100)
    assert all(bool((buffer == 0.5).all()) for buffer in average.buffers())


def test_states_of_older_versions_are_read(tmp_path):
    path, state = tmp_path / "s.safetensors", make_state()
    state.counters.step = 7
    state.save(path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    older = {**json.loads(metadata["counters"]), "unreadable": 2, "best_step": 5}
    save_file(load_file(path), path, {**metadata, "counters": json.dumps(older)})
    again = make_state()
    again.load(path)
    assert again.counters == state.counters
