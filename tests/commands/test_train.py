"""The whole command, on a network of some thousand weights and 64-pixel images."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from faceren.checkpoint import load_checkpoint, save_checkpoint
from faceren.commands import train as train_module
from faceren.commands.train import train
from faceren.config import GeneratorConfig
from faceren.errors import ConfigError, FacerenError, MachineError
from faceren.images import read_rgb
from faceren.networks.discriminator import Discriminator
from faceren.networks.generator import build_generator
from faceren.networks.projected import ProjectedDiscriminator
from faceren.training import objective as objective_module
from faceren.training import state as state_module
from faceren.training.events import Finished, Progress, Reading, Saved, Started, Validated
from faceren.training.recipe_file import load_recipe, recipe_sha256
from faceren.training.state import RunFolder
from faceren.training.step import Stepper
from faceren.weights import CheckpointInfo
from tests.networks.literal import LiteralGenerator, randomise
from tests.training.tiny import CONFIG, MODEL, finished, losses, run, write_images, write_recipe

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).parents[2]
ADVERSARIAL = {"l1": 1.0, "gan": 0.1, "features": 1.0, "discriminator_width": 2}
FORBIDDEN = (
    *("torchvision", "torchmetrics", "facexlib", "dlib", "retinaface", "lpips"),
    *("tifffile", "imagecodecs", "tensorboard", "matplotlib"),  # a rented GPU often has none
)

CHILD = """
import json, os, signal, sys
from pathlib import Path
import torch
sys.modules |= dict.fromkeys(json.loads(sys.argv[3]))  # as if they were not installed
from faceren.commands.train import train
from faceren.training.events import Progress
torch.set_num_threads(1)
folder, kill = Path(sys.argv[1]), int(sys.argv[2])
losses = []
for event in train(folder / "tiny.yaml", output=folder / "run", device="cpu"):
    if isinstance(event, Progress):
        losses.append(event.loss)
        told = {"losses": losses, "modules": [m for m in sys.modules if sys.modules[m]]}
        (folder / "told.json").write_text(json.dumps(told))
        if event.step == kill:
            os.kill(os.getpid(), signal.SIGKILL)
"""


def child(folder: Path, kill: int, hidden: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    (folder / "child.py").write_text(CHILD)
    arguments = [str(folder), str(kill), json.dumps(hidden)]
    command = [sys.executable, str(folder / "child.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def state_of(output: Path) -> dict[str, torch.Tensor]:
    return load_file(output / "state.safetensors")


def assert_same_state(one: Path, other: Path) -> None:
    ours, theirs = state_of(one), state_of(other)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A run of 20 steps whose process was killed in step 13, after the checkpoint of step 10."""
    folder = tmp_path_factory.mktemp("killed")
    write_recipe(folder, loss=ADVERSARIAL, train={"save_every": 10, "log_every": 1})
    result = child(folder, 13, hidden=FORBIDDEN)
    assert result.returncode == -signal.SIGKILL, result.stderr
    return folder


def test_killed_run_goes_on_as_if_nothing_had_happened(killed, tmp_path):
    events = run(killed / "tiny.yaml", killed / "run")
    assert next(e for e in events if isinstance(e, Started)).step == 10
    straight = run(killed / "tiny.yaml", tmp_path / "run")
    assert_same_state(killed / "run", tmp_path / "run")
    assert losses(events) == losses(straight)[10:]
    told = json.loads((killed / "told.json").read_text())
    assert told["losses"] == losses(straight)[:13]
    for name in ("best.safetensors", "last.safetensors", "sheets/step_00000020.png"):
        assert (killed / "run" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()
    steps = [json.loads(line) for line in (killed / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in steps if line["kind"] == "train"] == list(range(1, 21))


def test_training_needs_no_detector_and_no_metric_library(killed):
    modules = json.loads((killed / "told.json").read_text())["modules"]
    assert [name for name in modules if name.split(".")[0] in FORBIDDEN] == []
    assert "lightning_fabric" in modules


def test_two_processes_of_torchrun_tell_what_one_would(tmp_path):
    """As a user starts them; what each of them computes is tested in ``tests/training``."""
    train = {"steps": 2, "log_every": 1}
    recipe = write_recipe(tmp_path, loss=ADVERSARIAL, train=train, validate={"every": 2})
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "faceren", "train", str(recipe), "-o", str(tmp_path / "run")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [*command, "--device", "cpu", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("finished at step 2") == 1
    assert "Warning" not in result.stderr
    events = [json.loads(line) for line in result.stdout.splitlines()]
    told = [event["loss"] for event in events if event["event"] == "Progress"]
    alone = run(recipe, tmp_path / "alone")
    assert told == pytest.approx(losses(alone), rel=1e-5)
    assert [event["event"] for event in events[-2:]] == ["Saved", "Finished"]
    ours, theirs = state_of(tmp_path / "alone"), state_of(tmp_path / "run")
    for name in ours:
        if name.startswith(("generator.", "average.")):
            torch.testing.assert_close(theirs[name], ours[name], rtol=1e-3, atol=1e-5)


def test_tells_what_happens_and_leaves_a_run_folder(tmp_path):
    recipe = write_recipe(tmp_path)
    (tmp_path / "faces" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    events = run(recipe, tmp_path / "run")
    kinds = [type(event) for event in events if not isinstance(event, Progress)]
    assert kinds == [Reading, Started, Validated, Validated, Saved, Finished]
    started = next(event for event in events if isinstance(event, Started))
    assert (started.images, started.validation_images, started.step) == (11, 1, 0)
    assert len(started.skipped) == 1
    assert "broken.jpg" in started.skipped[0]
    assert finished(events).images_seen == 80
    last = load_checkpoint(tmp_path / "run" / "last.safetensors")
    assert last.config == CONFIG
    assert last.info.images_seen == 80
    assert last.info.recipe_sha256 == recipe_sha256(load_recipe(recipe))
    assert read_rgb(tmp_path / "run" / "sheets" / "step_00000020.png").shape == (80, 224, 3)
    assert load_recipe(tmp_path / "run" / "recipe.yaml") == load_recipe(recipe)


def test_learns(tmp_path):
    recipe = write_recipe(
        tmp_path,
        model={"width": 16, "hidden": 16},
        data={"task": "deblur"},
        train={"steps": 80, "lr": 2e-3, "betas": [0.9, 0.99]},
        validate={"every": 80},
    )
    events = run(recipe, tmp_path / "run")
    untrained = run(recipe, tmp_path / "untrained", "train.lr=1e-12")  # sees the same samples
    assert sum(losses(events)[-10:]) < 0.96 * sum(losses(untrained)[-10:])
    validated = next(event for event in events if isinstance(event, Validated))
    assert validated.scores["deblur"]["psnr"] > validated.input_scores["deblur"]["psnr"] + 0.1


def test_mixed_precision_is_near_full_precision(tmp_path):
    recipe = write_recipe(tmp_path, loss={**ADVERSARIAL, "lpips": 0.5}, train={"steps": 3})
    full = losses(run(recipe, tmp_path / "full"))
    mixed = losses(run(recipe, tmp_path / "mixed", "train.precision=bf16"))
    assert mixed == pytest.approx(full, rel=0.02)
    assert mixed != full


def test_a_finished_run_is_not_trained_again(tmp_path):
    recipe = write_recipe(tmp_path, train={"steps": 2})
    run(recipe, tmp_path / "run")
    before = (tmp_path / "run" / "state.safetensors").read_bytes()
    events = run(recipe, tmp_path / "run")
    assert losses(events) == []
    assert finished(events).step == 2
    assert (tmp_path / "run" / "state.safetensors").read_bytes() == before


def test_a_changed_recipe_is_refused_with_the_difference(tmp_path):
    recipe = write_recipe(tmp_path, train={"steps": 2})
    run(recipe, tmp_path / "run")
    message = r"another recipe; .*--allow-change.* Changed: train\.lr: 0\.001 -> 0\.5"
    with pytest.raises(ConfigError, match=message):
        run(recipe, tmp_path / "run", "train.lr=0.5")
    events = run(recipe, tmp_path / "run", "train.steps=3", allow_change=True)
    assert finished(events).step == 3
    assert load_recipe(tmp_path / "run" / "recipe.yaml").train.steps == 3


def test_workers_and_checkpoint_intervals_may_change(tmp_path):
    recipe = write_recipe(tmp_path, train={"steps": 2})
    run(recipe, tmp_path / "run")
    events = run(recipe, tmp_path / "run", "data.workers=1", "train.save_every=7")
    assert finished(events).step == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_checkpoint(tmp_path, number):
    recipe = write_recipe(tmp_path)
    events = []
    for event in train(recipe, output=tmp_path / "run", device="cpu"):
        events.append(event)
        if isinstance(event, Progress) and event.step == 7:
            os.kill(os.getpid(), number)
    assert finished(events).interrupted
    assert 7 <= finished(events).step <= 8
    assert any(isinstance(event, Saved) for event in events)
    rest = run(recipe, tmp_path / "run")
    straight = run(recipe, tmp_path / "straight")
    assert losses(events) + losses(rest) == losses(straight)
    assert_same_state(tmp_path / "run", tmp_path / "straight")


def spoil(monkeypatch, steps: set[int]) -> None:
    """Make the input of some steps NaN."""
    honest = Stepper.take

    def take(self, passes, *, done):
        if self.state.counters.step in steps:
            passes = [replace(each, damaged=each.damaged * float("nan")) for each in passes]
        return honest(self, passes, done=done)

    monkeypatch.setattr(Stepper, "take", take)


def test_steps_without_finite_gradients_are_skipped_and_counted(tmp_path, monkeypatch):
    spoil(monkeypatch, {2, 3})
    recipe = write_recipe(tmp_path, loss=ADVERSARIAL, train={"steps": 5, "max_bad_steps": 3})
    events = run(recipe, tmp_path / "run")
    progress = [event for event in events if isinstance(event, Progress)]
    assert [event.skipped_steps for event in progress] == [0, 0, 1, 2, 2]
    assert all(bool(value.isfinite().all()) for value in state_of(tmp_path / "run").values())


def test_too_many_bad_steps_in_a_row_stop_the_run(tmp_path, monkeypatch):
    spoil(monkeypatch, {2, 4, 5, 6})
    recipe = write_recipe(tmp_path, train={"max_bad_steps": 3, "save_every": 4})
    message = "last 3 steps, up to step 7, were not finite; .* the checkpoint of step 4 in"
    with pytest.raises(FacerenError, match=message):
        run(recipe, tmp_path / "run")


def test_a_full_disk_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    recipe = write_recipe(tmp_path, train={"save_every": 5, "steps": 10})
    write, calls = state_module.save_file, []

    def full(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise state_module.SafetensorError("No space left on device (os error 28)")
        write(*arguments)

    monkeypatch.setattr(state_module, "save_file", full)
    message = (
        r"cannot write .*state\.safetensors: No space left.*checkpoint of step 5 in .* is whole"
    )
    with pytest.raises(MachineError, match=message):
        run(recipe, tmp_path / "run")
    monkeypatch.undo()
    events = run(recipe, tmp_path / "run")
    assert next(e for e in events if isinstance(e, Started)).step == 5
    assert finished(events).step == 10


def test_starts_from_a_checkpoint(tmp_path):
    torch.manual_seed(5)
    network = build_generator(CONFIG)
    save_checkpoint(tmp_path / "start.safetensors", network, info=CheckpointInfo(), half=False)
    recipe = write_recipe(tmp_path, init=str(tmp_path / "start.safetensors"), model=None)
    run(recipe, tmp_path / "run", "train.steps=1", "train.lr=1e-12")
    found = state_of(tmp_path / "run")["generator.fc.weight"]
    torch.testing.assert_close(found, network.fc.weight.detach(), rtol=0, atol=1e-9)


def test_starts_from_a_published_state_dict(tmp_path):
    published = randomise(LiteralGenerator(GeneratorConfig(width=2, suppression="lip")))
    torch.save(published.state_dict(), tmp_path / "latest_net_G.pth")
    recipe = write_recipe(tmp_path, init=str(tmp_path / "latest_net_G.pth"), model=None)
    events = run(recipe, tmp_path / "run", "train.steps=2")
    assert finished(events).step == 2
    assert load_checkpoint(tmp_path / "run" / "last.safetensors").config.suppression == "lip"


@pytest.mark.parametrize(
    ("kind", "discriminator", "sides"),
    [("patches", Discriminator, (96, 96)), ("projected", ProjectedDiscriminator, (95, 94))],
)
def test_only_where_alexnet_looks_the_grid_moves(tmp_path, monkeypatch, kind, discriminator, sides):
    asked, seen = [], []

    def pixels(shown):
        return shown if isinstance(shown, torch.Tensor) else shown[0]  # the rest are maps of them

    monkeypatch.setattr(objective_module, "grid_offset", lambda step: asked.append(step) or (1, 2))
    forward = discriminator.forward
    monkeypatch.setattr(
        discriminator,
        "forward",
        lambda self, *images: (
            seen.extend(tuple(pixels(x).shape[2:]) for x in images) or forward(self, *images)
        ),
    )
    loss = {"gan": 1.0, "discriminator": kind, "discriminator_width": 2}
    recipe = write_recipe(tmp_path, loss=loss, data={"size": 96})
    run(recipe, tmp_path / "run", "train.steps=2")
    assert asked == [0, 1]
    assert set(seen) == {sides}
    assert len(seen) == 8


def test_starts_wider_than_a_checkpoint(tmp_path):
    network = build_generator(CONFIG)
    network.encoder.head.bias.data.fill_(0.125)
    save_checkpoint(tmp_path / "s.safetensors", network, info=CheckpointInfo(), half=False)
    recipe = write_recipe(tmp_path, init=str(tmp_path / "s.safetensors"), widen=True)
    run(recipe, tmp_path / "run", "model.width=6", "train.steps=1", "train.lr=1e-9")
    bias = state_of(tmp_path / "run")["generator.encoder.head.bias"]
    assert bias.tolist() == pytest.approx([0.125] * 6, abs=1e-6)
    assert load_checkpoint(tmp_path / "run" / "last.safetensors").config.width == 6
    with pytest.raises(ConfigError, match=r"model\.width: expected at least 4 .* got 2"):
        run(recipe, tmp_path / "other", "model.width=2")
    with pytest.raises(ConfigError, match="widen: expected both init.* and model"):
        run(recipe, tmp_path / "other", "init=''")


@pytest.fixture
def taken(monkeypatch):
    """The damaged images of every step that is taken, in order."""
    found, take = [], Stepper.take

    def recording(self, passes, **more):
        found.append(passes[0].damaged)
        return take(self, passes, **more)

    monkeypatch.setattr(Stepper, "take", recording)
    return found


def test_a_teacher_s_mean_over_both_views_is_the_target(tmp_path, taken):
    teacher = randomise(build_generator(CONFIG)).float().eval()
    path = tmp_path / "teacher.safetensors"
    save_checkpoint(path, teacher, info=CheckpointInfo(), half=False)
    recipe = write_recipe(tmp_path, teacher=str(path))
    first, *_ = losses(run(recipe, tmp_path / "run", "train.steps=1"))
    with torch.no_grad():  # an untrained student returns its input
        both = teacher(taken[0]), teacher(taken[0].flip(-1)).flip(-1)
    target = (0.5 * both[0] + 0.5 * both[1]).clamp(0, 1)
    assert first == pytest.approx((target - taken[0]).abs().mean().item(), rel=1e-4)
    assert first > 0.01


def test_of_two_teachers_one_sees_the_mirror_image_by_turns(tmp_path, taken):
    paths = [tmp_path / "first.safetensors", tmp_path / "second.safetensors"]
    teachers = [randomise(build_generator(CONFIG), seed=seed).float().eval() for seed in (1, 2)]
    for path, teacher in zip(paths, teachers, strict=True):
        save_checkpoint(path, teacher, info=CheckpointInfo(), half=False)
    recipe = write_recipe(tmp_path, teacher=str(paths[0]), second_teacher=str(paths[1]))
    # a rate of almost nothing, so that the student returns its input in the second step, too
    found = losses(run(recipe, tmp_path / "run", "train.steps=2", "train.lr=1e-12"))
    for damaged, loss, (straight, mirrored) in zip(
        taken, found, (teachers, teachers[::-1]), strict=True
    ):
        with torch.no_grad():
            target = (straight(damaged) + mirrored(damaged.flip(-1)).flip(-1)).clamp(0, 2) / 2
        assert loss == pytest.approx((target - damaged).abs().mean().item(), rel=1e-4)
        with torch.no_grad():
            other = (mirrored(damaged) + straight(damaged.flip(-1)).flip(-1)).clamp(0, 2) / 2
        assert loss != pytest.approx((other - damaged).abs().mean().item(), rel=1e-3)


def test_a_second_teacher_alone_is_refused(tmp_path):
    recipe = write_recipe(tmp_path, second_teacher="base")
    with pytest.raises(ConfigError, match="second_teacher: expected teacher beside it, got none"):
        run(recipe, tmp_path / "run")


def test_a_student_of_what_it_does_already_has_nothing_to_learn(tmp_path):
    save_checkpoint(tmp_path / "t.safetensors", build_generator(CONFIG), info=CheckpointInfo())
    recipe = write_recipe(tmp_path, teacher=str(tmp_path / "t.safetensors"))
    assert losses(run(recipe, tmp_path / "run", "train.steps=3")) == [0, 0, 0]


def test_a_teacher_that_cannot_teach_is_refused_before_anything_is_read(tmp_path):
    recipe = write_recipe(tmp_path, teacher="nowhere.safetensors", data={"train": ["nowhere"]})
    with pytest.raises(MachineError, match=r"teacher: the file nowhere\.safetensors is not there"):
        run(recipe, tmp_path / "run")
    coarse = build_generator(GeneratorConfig(**{**MODEL, "depth": 5}))
    save_checkpoint(tmp_path / "t.safetensors", coarse, info=CheckpointInfo())
    with pytest.raises(ConfigError, match=r"data\.size: .* of 64, at least 128, for the teacher"):
        run(recipe, tmp_path / "run", f"teacher={tmp_path / 't.safetensors'}")
    assert not (tmp_path / "run").exists()


def test_weights_of_another_shape_are_refused_before_anything_is_read(tmp_path):
    save_checkpoint(tmp_path / "s.safetensors", build_generator(CONFIG), info=CheckpointInfo())
    recipe = write_recipe(tmp_path, init=str(tmp_path / "s.safetensors"))
    with pytest.raises(ConfigError, match="another shape than model: width 4, not 8; remove"):
        run(recipe, tmp_path / "run", "model.width=8", "data.train=nowhere")
    with pytest.raises(MachineError, match=r"init: the file nowhere\.safetensors is not there"):
        run(recipe, tmp_path / "run", "init=nowhere.safetensors")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.train=[]"], r"data\.train: expected folders of images, got none"),
        (["data.train=nowhere"], r"data\.train: expected a folder of images"),
        (["data.size=68"], r"data\.size: expected a multiple of 8, at least 16"),
        (["validate.size=36"], r"validate\.size: expected a multiple of 8"),
        (["train.batch=12"], r"at least as many images to train on as train\.batch 12, got 11"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_written(tmp_path, overrides, message):
    recipe = write_recipe(tmp_path)
    with pytest.raises(ConfigError, match=message):
        run(recipe, tmp_path / "run", *overrides)
    assert not (tmp_path / "run").exists()


def test_a_folder_with_other_files_is_refused(tmp_path):
    recipe = write_recipe(tmp_path)
    with pytest.raises(ConfigError, match="holds other files and is no run folder"):
        run(recipe, tmp_path / "faces")
    with pytest.raises(ConfigError, match=r"expected a run folder, but .* is a file"):
        run(recipe, recipe)


def test_validation_folder_and_several_tasks(tmp_path):
    recipe = write_recipe(tmp_path, train={"steps": 1})
    write_images(tmp_path / "held", 3)
    tasks = "validate.tasks=[jpeg, full]"
    events = run(recipe, tmp_path / "run", tasks, f"data.validation={tmp_path / 'held'}")
    started = next(event for event in events if isinstance(event, Started))
    assert (started.images, started.validation_images) == (12, 2)  # validate.images is 2
    validated = next(event for event in events if isinstance(event, Validated))
    assert set(validated.scores) == {"jpeg", "full"}
    assert validated.scores["jpeg"]["lpips"] < validated.scores["full"]["lpips"]


def test_a_run_whose_curves_cannot_be_written_is_closed_at_once(tmp_path, monkeypatch):
    closed = []

    def events():
        try:
            yield Validated(step=1, scores={}, input_scores={}, best=True, sheet=None)
        finally:
            closed.append(True)

    monkeypatch.setattr(train_module, "can_draw", lambda: True)
    monkeypatch.setattr(train_module, "draw_curves", lambda lines: b"")
    (tmp_path / "curves.png").mkdir()
    steps = events()  # held here, so that no collector closes it
    with pytest.raises(MachineError, match="curves.png"):
        next(train_module._with_curves(steps, RunFolder(tmp_path)))
    assert closed == [True]
