"""Two processes train together: the same steps as one alone, and one line if one of them fails."""

import itertools
import json
import shutil
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import torch

from faceren.commands.train import train
from faceren.config import GeneratorConfig
from faceren.errors import MachineError
from faceren.networks.projected import augmented
from faceren.training import processes, validation
from faceren.training.events import Saved
from faceren.training.processes import (
    Portion,
    Processes,
    build_fabric,
    divided,
    joined,
    numbered,
    wastes_bf16,
)
from faceren.training.recipe import DataRecipe, LossRecipe, Recipe, TrainRecipe
from faceren.training.setup import build_stepper, initial_network
from faceren.training.step import Pass, Stepper
from tests.training.tiny import MODEL, write_recipe


@pytest.mark.parametrize(
    ("tiles", "precision", "device", "told"),
    [
        (True, "auto", "cpu", True),
        (True, "fp32", "cpu", True),
        (True, "bf16", "cpu", False),
        (False, "auto", "cpu", False),
        (True, "fp32", "cuda", False),
    ],
)
def test_who_could_compute_bf16_in_tiles_but_does_not_is_told(
    monkeypatch, tiles, precision, device, told
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": tiles}, raising=False)
    assert wastes_bf16(precision, torch.device(device)) is told


def test_a_torch_that_cannot_tell_is_not_asked(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not wastes_bf16("fp32", torch.device("cpu"))


LOSSES = {
    "patches": LossRecipe(l1=1, gan=0.5, features=1, discriminator_width=2),
    "projected": LossRecipe(
        **{"l1": 1, "lpips": 0.5, "inner": 1, "gram": 0.1, "gan": 0.5, "features": 1},
        **{"discriminator": "projected", "discriminator_width": 2, "discriminator_inner": True},
    ),
    "mixed": LossRecipe(
        **{"l1": 1, "fed": 0.1, "gan": 0.5},
        **{"discriminator": "mixed", "discriminator_width": 2, "discriminator_inner": True},
    ),
}


@pytest.mark.parametrize(
    ("total", "processes", "passes"), [(8, 2, 2), (8, 1, 3), (1, 2, 4), (3, 2, 1), (5, 4, 2)]
)
def test_every_image_is_in_one_portion_and_all_processes_make_as_many_passes(
    total, processes, passes
):
    portions = divided(total, processes, passes)
    assert len(portions) == processes
    assert len({len(mine) for mine in portions}) == 1
    assert len(portions[0]) <= passes
    flat = list(itertools.chain(*portions))
    shown = [n for p in flat for n in range(p.first, p.first + p.count)]
    assert shown == list(range(total))
    assert max(p.count for p in flat) - min(p.count for p in flat) <= 1
    assert all(0 <= p.first < total for p in flat)  # who has none looks at another's
    assert sum(p.share for p in flat) == pytest.approx(1)


def test_what_only_some_images_have_is_numbered_through():
    counts = [[1, 0], [2, 1]]
    found = [numbered(counts, process) for process in (0, 1)]
    assert found == [
        [Portion(0, 1, 4), Portion(1, 0, 4)],
        [Portion(1, 2, 4), Portion(3, 1, 4)],
    ]
    assert numbered([[0], [0]], 1)[0].share == 0


def test_an_image_is_augmented_alike_in_any_portion():
    batch = torch.rand(5, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    (together,) = augmented([batch], seed=3, side=16)
    (apart,) = augmented([batch[2:4]], seed=3, side=16, first=2, total=5)
    assert torch.equal(apart, together[2:4])


def steps_of(kind: str, whole: tuple[bool, ...], passes: int, steps: int):
    """Take steps with the same images; return what they saw, the first gradients, the state."""
    recipe = Recipe(
        name="tiny",
        model=GeneratorConfig(**{**MODEL, "spectral_norm": True}),
        loss=LOSSES[kind],
        train=TrainRecipe(steps=2, batch=3, lr=1e-4, accumulate=passes),
        data=DataRecipe(size=128),
    )
    fabric = build_fabric("cpu", "fp32", Processes())
    stepper = build_stepper(recipe, initial_network(recipe), (), fabric)
    draw = torch.Generator().manual_seed(1)
    damaged, clean = (torch.rand(3, 3, 128, 128, generator=draw) for _ in range(2))
    results, gradients = [], {}
    for _ in range(steps):
        given = []
        for portion in divided(3, 1, passes)[0]:
            mine = slice(portion.first, portion.first + portion.count)
            given.append(Pass(damaged[mine], clean[mine], torch.tensor(whole)[mine], portion))
        results.append(stepper.take(given, done=0.0))
        for network in (stepper.state.generator, stepper.state.discriminator):
            for name, weight in network.named_parameters():
                if weight.grad is not None:
                    key = f"{type(network).__name__}.{name}"
                    gradients.setdefault(key, weight.grad.clone())
    return results, gradients, stepper.state


@pytest.mark.parametrize(
    ("kind", "whole", "passes", "steps"),
    [
        ("patches", (True,) * 3, 2, 2),
        ("projected", (True, False, True), 3, 2),
        ("projected", (False,) * 3, 3, 1),
        ("mixed", (False, True, True), 3, 2),
        ("mixed", (False,) * 3, 2, 1),
    ],
)
def test_passes_add_up_to_the_batch(kind, whole, passes, steps):
    ours, gradients, state = steps_of(kind, whole, 1, steps)
    theirs, theirs_too, divided_state = steps_of(kind, whole, passes, steps)
    for one, other in zip(ours, theirs, strict=True):
        # the first step of Adam makes whole steps even of gradients that are but rounding
        rel = 1e-5 if one is ours[0] else 1e-3
        assert other.loss == pytest.approx(one.loss, rel=rel)
        assert other.parts == pytest.approx(one.parts, rel=rel, abs=1e-6)
        assert other.gradient == pytest.approx(one.gradient, rel=rel)
        assert one.good
    assert theirs_too.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(theirs_too[name], gradient, rtol=1e-3, atol=1e-6, msg=name)
    assert divided_state.counters == state.counters
    assert (state.counters.step, state.counters.images_seen) == (steps, 3 * steps)
    theirs = divided_state.tensors()
    norms = {k: v for k, v in state.tensors().items() if k.endswith(("_u", "_v"))}
    assert {name.partition(".")[0] for name in norms} > {"generator", "discriminator"}
    for name, value in norms.items():  # they moved on once a step
        torch.testing.assert_close(theirs[name], value, rtol=1e-4, atol=1e-4, msg=name)


ROOT = Path(__file__).parents[2]
MIXED = ["data.size=128", "data.large=0", "data.crops=0.5", "train.accumulate=1"]
MIXED += ["loss.inner=1", "loss.discriminator=mixed", "loss.discriminator_inner=true"]
SCENARIOS = {
    "mixed": {"overrides": [*MIXED, "loss.features=0", "train.steps=2"]},
    "large": {"signal": 1},
    "resumed": {},
    "recipe": {"overrides": ["train.batch=3"]},
    "one folder": {"overrides 1": ["data.train=nowhere"]},
    "one disk": {"output 0": "large", "output 1": "elsewhere"},
    "fire": {"fails": 1},
}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def taken_alone(recipe, output, overrides, copy=None) -> list[list[float]]:
    """Train in this process; return what each step saw. Copy the run folder once it is saved."""
    taken, honest = [], Stepper.take

    def take(self, passes, *, done):
        result = honest(self, passes, done=done)
        taken.append([result.loss, result.gradient, *result.parts.values()])
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stepper, "take", take)
        patch.setattr(validation, "FACES", 0)  # dlib would take longer than the steps
        for event in train(recipe, overrides=overrides, output=output, device="cpu"):
            if copy and isinstance(event, Saved) and event.step == 2:
                shutil.copytree(output, copy)
    return taken


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where two processes, and before that one alone, have gone through the scenarios."""
    folder = tmp_path_factory.mktemp("pair")
    recipe = write_recipe(
        folder,
        loss={"l1": 1.0, "gan": 0.1, "features": 1.0, "discriminator_width": 2},
        data={"size": 32, "large": 0.5, "large_size": 64},
        train={"steps": 3, "accumulate": 2, "save_every": 2, "log_every": 1},
        validate={"every": 100, "images": 1},
    )
    alone = {"mixed": taken_alone(recipe, folder / "alone", SCENARIOS["mixed"]["overrides"])}
    whole = taken_alone(recipe, folder / "one", ["train.accumulate=1"], folder / "resumed")
    alone["large"] = whole
    (folder / "alone.json").write_text(json.dumps(alone))
    scenarios = {name: {**scenario, "port": free_port()} for name, scenario in SCENARIOS.items()}
    (folder / "scenarios.json").write_text(json.dumps(scenarios))
    command = [sys.executable, "-m", "tests.training.pair", str(folder)]
    both = [
        subprocess.Popen([*command, str(rank)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for rank in (0, 1)
    ]
    errors = [process.communicate(timeout=600)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    return folder


def told(folder, scenario: str) -> list[dict]:
    """Return what each of the two processes told of a scenario."""
    return [json.loads((folder / f"told-{rank}.json").read_text())[scenario] for rank in (0, 1)]


def near(taken, alone) -> None:
    for ours, theirs in zip(taken, alone, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-6)
        assert ours[0] == pytest.approx(theirs[0], rel=1e-5)


def test_two_processes_take_the_steps_of_one(folder):
    alone = json.loads((folder / "alone.json").read_text())["mixed"]
    first, second = told(folder, "mixed")
    assert first["taken"] == second["taken"]
    near(first["taken"], alone)
    assert (first["events"][-1], second["events"]) == ("Finished", [])


def test_a_step_of_fewer_images_than_processes_and_passes_is_the_same_too(folder):
    alone = json.loads((folder / "alone.json").read_text())["large"]
    first, _ = told(folder, "large")
    near(first["taken"], alone[:2])


def test_a_signal_to_one_ends_both_and_one_goes_on_alone(folder):
    alone = json.loads((folder / "alone.json").read_text())["large"]
    first, second = told(folder, "large")
    assert len(first["taken"]) == len(second["taken"]) == 2
    assert first["events"][-2:] == ["Saved", "Finished"]
    rest = taken_alone(folder / "tiny.yaml", folder / "large", [])
    near(rest, alone[2:])


def test_two_go_on_where_one_has_stopped(folder):
    alone = json.loads((folder / "alone.json").read_text())["large"]
    first, _ = told(folder, "resumed")
    near(first["taken"], alone[2:])
    assert first["events"][-1] == "Finished"


def test_what_all_of_them_meet_is_told_once(folder):
    first, second = told(folder, "recipe")
    assert first["error"] == "ConfigError"
    assert first["message"].startswith("train.batch: expected a multiple of the 2 processes")
    assert second["error"] == "PeerError"


def test_what_one_of_them_meets_is_told_by_that_one(folder):
    first, second = told(folder, "one folder")
    assert (first["error"], second["error"]) == ("PeerError", "ConfigError")
    assert second["message"].startswith("process 1 of 2: data.train: expected a folder of images")
    assert not (folder / "one folder").exists()


def test_run_folders_that_are_not_the_same_are_noticed(folder):
    first, second = told(folder, "one disk")
    assert (first["error"], second["error"]) == ("MachineError", "PeerError")
    assert "step of the run: process 0 found 2, process 1 0; all need the same" in first["message"]
    assert not (folder / "elsewhere").exists()


def test_a_process_that_fails_on_the_way_ends_both_and_alone_tells_why(folder):
    first, second = told(folder, "fire")
    assert (first["error"], second["error"]) == ("PeerError", "MachineError")
    assert second["message"] == "process 1 of 2: the device is on fire"
    assert len(first["taken"]) == 1


def test_one_process_needs_no_others(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined() as alone:
        assert alone == Processes(rank=0, count=1, here=1)
        assert alone.gathered("here") == ["here"]
        with pytest.raises(MachineError, match="on fire"), alone.together():
            raise MachineError("on fire")
        with pytest.raises(RuntimeError, match="gloo"), alone.apart():
            raise RuntimeError("gloo: connection closed by peer")


def test_others_that_cannot_be_reached_are_told(monkeypatch):
    values = {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "nobody.invalid", "MASTER_PORT": "1"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(processes, "PATIENCE", timedelta(seconds=1))
    message = r"process 1 of 2 cannot reach the others through nobody\.invalid:1 .*with torchrun"
    with pytest.raises(MachineError, match=message), joined():
        pass


def test_a_number_of_processes_without_numbers_is_told(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    message = "RANK expected.*; start all of them with torchrun"
    with pytest.raises(MachineError, match=message), joined():
        pass
