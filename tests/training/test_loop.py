"""When the loop logs, validates, saves and ends; its steps are made up."""

import itertools
import json
import os
import signal
import time
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import torch

from faceren.errors import FacerenError, MachineError
from faceren.networks.generator import build_generator
from faceren.training import loop as module
from faceren.training.events import Finished, Progress, Saved, Validated, read_log
from faceren.training.loop import Clock, Loop, StopRequest, stop_on_signals
from faceren.training.recipe import LossRecipe, Recipe, TrainRecipe, ValidationRecipe
from faceren.training.state import Counters, RunFolder
from faceren.training.step import StepResult
from faceren.training.validation import Measured
from faceren.weights import read_header
from tests.training.test_samples import make_set
from tests.training.tiny import CONFIG


@dataclass
class Steps:
    """Stands for the stepper: counts, learns nothing, and is bad when told so."""

    bad: tuple[int, ...] = ()
    full_disk: int = 0
    """The save that fails, from 1."""
    saves: int = 0
    counters: Counters = field(default_factory=Counters)

    def __post_init__(self):
        self.fabric = SimpleNamespace(
            world_size=1, global_rank=0, is_global_zero=True, device=torch.device("cpu")
        )
        self.state = self
        self.average = build_generator(CONFIG)

    def take(self, passes, *, done):
        self.counters.step += 1
        self.counters.images_seen += sum(len(each.damaged) for each in passes)
        good = self.counters.step not in self.bad
        self.counters.bad_in_a_row = 0 if good else self.counters.bad_in_a_row + 1
        return StepResult(loss=1 / self.counters.step, parts={}, gradient=2.0, lr=done, good=good)

    def save(self, path):
        self.saves += 1
        if self.saves == self.full_disk:
            raise MachineError("disk full")
        path.write_text(str(self.counters.step))


class Scores:
    """Stands for the validator: gives the next of some distances."""

    def __init__(self, *distances):
        self.distances = list(distances)
        self.input_scores = {"full": {"lpips": 0.5}}

    def measure(self, generator):
        return Measured({"full": {"lpips": self.distances.pop(0)}}, [])


def recipe(*, every=100, **train) -> Recipe:
    return Recipe(
        name="tiny",
        model=CONFIG,
        loss=LossRecipe(l1=1),
        train=TrainRecipe(**{"steps": 6, "log_every": 100, **train}),
        validate=ValidationRecipe(every=every),
    )


def loop(folder, plan, steps, scores=None, stop=None) -> Loop:
    samples = make_set(32, 32, size=32, batch=2, workers=0)
    return Loop(
        plan, RunFolder(folder), steps, samples, scores, StopRequest() if stop is None else stop
    )


def kinds(events) -> list[str]:
    return [f"{type(e).__name__} {e.step}" for e in events if not isinstance(e, Progress)]


def test_saves_and_validates_at_their_intervals_and_at_the_end(tmp_path):
    plan = recipe(every=4, save_every=3)
    events = list(loop(tmp_path, plan, Steps(), Scores(0.4, 0.3)).run())
    assert kinds(events) == ["Saved 3", "Validated 4", "Validated 6", "Saved 6", "Finished 6"]
    assert [e.images_seen for e in events if isinstance(e, Progress)] == [2, 4, 6, 8, 10, 12]
    assert (tmp_path / "state.safetensors").read_text() == "6"


def test_the_best_weights_are_those_of_the_lowest_distance(tmp_path):
    plan = recipe(every=2)
    events = list(loop(tmp_path, plan, Steps(), Scores(0.4, 0.3, 0.35)).run())
    assert [e.best for e in events if isinstance(e, Validated)] == [True, True, False]
    seen = [read_header(tmp_path / f"{n}.safetensors")[1].images_seen for n in ("best", "last")]
    assert seen == [8, 12]


def test_logs_at_its_interval_and_the_last_step(tmp_path):
    list(loop(tmp_path, recipe(log_every=4, every=3), Steps(), Scores(0.4, 0.3)).run())
    lines = read_log(tmp_path / "log.jsonl")
    assert [(line["kind"], line["step"]) for line in lines] == [
        ("validate", 3),
        ("train", 4),
        ("train", 6),
        ("validate", 6),
    ]
    assert lines[0]["full"] == {"lpips": 0.4}
    assert lines[0]["input"] == {"full": {"lpips": 0.5}}
    assert (lines[1]["loss"], lines[1]["gradient"], lines[1]["images_seen"]) == (0.25, 2.0, 8)


def test_ends_after_the_step_in_which_it_is_asked_to(tmp_path):
    stop, steps = StopRequest(), Steps()
    events = []
    for event in loop(tmp_path, recipe(), steps, Scores(), stop).run():
        events.append(event)
        stop.asked = stop.asked or event.step == 2
    assert kinds(events) == ["Saved 3", "Finished 3"]
    assert events[-1].interrupted


def test_what_is_done_already_takes_no_step(tmp_path):
    events = list(loop(tmp_path, recipe(), Steps(counters=Counters(step=6))).run())
    assert [type(event) for event in events] == [Finished]
    assert not events[0].interrupted


def test_a_clock_ends_it_too(tmp_path, monkeypatch):
    now = itertools.count(time.monotonic(), 10)
    monkeypatch.setattr(module.time, "monotonic", lambda: next(now))
    plan = recipe(steps=None, minutes=5)
    events = list(loop(tmp_path, plan, Steps()).run())
    assert isinstance(events[-1], Finished)
    assert events[-1].seconds >= 300
    assert 1 < events[-1].step < 30


def test_minutes_of_the_processor_are_no_minutes_of_the_wall(tmp_path, monkeypatch):
    wall, processor = itertools.count(0.0, 1000), itertools.count(50.0, 30)
    monkeypatch.setattr(module.time, "monotonic", lambda: next(wall))
    monkeypatch.setattr(module.time, "process_time", lambda: next(processor))
    plan = recipe(steps=None, minutes=5, clock="cpu")
    first = Steps(counters=Counters(seconds=120))
    *_, last = loop(tmp_path, plan, first).run()
    assert isinstance(last, Finished)
    assert 300 <= last.seconds < 450  # from the 120 of an earlier part on
    assert 1 < last.step < 7


@pytest.mark.parametrize(("bad", "stops"), [((1, 2, 4, 5), False), ((2, 3, 4), True)])
def test_bad_steps_in_a_row_end_it(tmp_path, bad, stops):
    running = loop(tmp_path, recipe(max_bad_steps=3, save_every=1), Steps(bad=bad)).run()
    if not stops:
        assert isinstance(list(running)[-1], Finished)
        return
    message = (
        r"last 3 steps, up to step 4, were not finite.*the checkpoint of step 3 in .* is whole"
    )
    with pytest.raises(FacerenError, match=message):
        list(running)


@pytest.mark.parametrize(
    ("number", "left"), [(1, "there is no checkpoint yet"), (2, "of step 2 in .* is whole")]
)
def test_a_full_disk_says_what_is_left(tmp_path, number, left):
    running = loop(tmp_path, recipe(save_every=2), Steps(full_disk=number)).run()
    with pytest.raises(MachineError, match=rf"disk full; .*{left}"):
        list(running)


def test_saves_when_the_time_has_come(tmp_path):
    events = list(loop(tmp_path, recipe(save_minutes=0.001, steps=3), Steps()).run())
    late = [e for e in events if isinstance(e, Saved)]
    assert late[-1].step == 3
    assert json.loads((tmp_path / "state.safetensors").read_text()) == 3


def test_rates_are_those_of_the_lap(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    clock = Clock(before=5.0, saved=100.0, lap=100.0)
    now[0] += 10
    clock.images, clock.waited = 40, 2.5
    assert clock.rates() == (4.0, 0.25)
    assert clock.seconds == 15.0
    clock.new_lap()
    now[0] += 1
    assert clock.rates() == (0.0, 0.0)
    assert clock.seconds == 16.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_the_second_acts(number):
    heard = []
    before = signal.signal(number, lambda *_: heard.append("second"))
    try:
        with stop_on_signals() as stop:
            assert not stop
            os.kill(os.getpid(), number)
            assert stop
            assert heard == []
            os.kill(os.getpid(), number)
        assert heard == ["second"]
    finally:
        signal.signal(number, before)
