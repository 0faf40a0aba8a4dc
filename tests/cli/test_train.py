"""What ``faceren train`` shows while it goes on."""

import sys
from pathlib import Path

import pytest

from faceren.cli.screen import Screen
from faceren.cli.train import show_training
from faceren.commands import train as command
from faceren.training.events import Finished, Progress, Reading
from tests.training.tiny import run, write_recipe

pytestmark = pytest.mark.usefixtures("one_thread")


class Watched(Screen):
    """A screen that remembers what it was told."""

    def __init__(self):
        super().__init__(quiet=True)
        self.told = []

    def bar(self, unit):
        screen = self

        class Bar:
            def __enter__(self):
                return lambda done, total: screen.told.append((unit, done, total))

            def __exit__(self, *_):
                pass

        return Bar()


@pytest.mark.parametrize("end", [{"steps": 3}, {"steps": None, "minutes": 0.02}])
def test_the_bar_tells_images_and_how_many_there_will_be(tmp_path, end):
    recipe = write_recipe(tmp_path, train=end)
    events, screen = run(recipe, tmp_path / "run"), Watched()
    assert show_training(iter(events), screen) == 0
    assert screen.told[0] == ("images read", 12, 12)
    trained = [told[1:] for told in screen.told if told[0] == "images"]
    assert [done for done, _ in trained] == [4 * (i + 1) for i in range(len(trained))]
    if end["steps"]:
        assert trained == [(4, 12), (8, 12), (12, 12)]
    else:
        assert trained[-1][0] == trained[-1][1]
    assert sum(isinstance(event, Progress) for event in events) == len(trained)
    assert isinstance(events[0], Reading)


def test_a_training_run_that_is_interrupted_exits_130(run, monkeypatch):
    def interrupted(*_, **__):
        yield Finished(
            step=3, images_seen=6, seconds=1.0, interrupted=True, weights=Path("last.safetensors")
        )

    monkeypatch.setattr(command, "train", interrupted)
    code, _, err = run("train", "any.yaml")
    assert code == 130
    assert "interrupted at step 3" in err


def test_without_the_libraries_of_training_its_own_extra_is_named(run, monkeypatch):
    monkeypatch.setattr(sys.modules["faceren.cli.train"], "find_spec", lambda name: None)
    status, _, err = run("train", "compact")
    assert status == 4
    assert "pip install 'faceren[train]'" in err
