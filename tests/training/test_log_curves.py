"""What is made of a run's log while it goes on: curves, the face distance, the bar."""

import sys

import pytest
from faceren.show.training import show_training

from faceren.assets import samples_dir
from faceren.cli.screen import Screen
from faceren.images import read_rgb, write_png
from faceren.pages.contact_sheet import fitted
from faceren.pages.curves import curves, draw_curves
from faceren.training.events import Progress, Reading, Started, Validated
from tests.training.tiny import run, write_images, write_recipe

PORTRAIT = samples_dir() / "clean" / "p001_selfie.jpg"

LINES = [
    {"kind": "train", "step": 2, "loss": 0.5, "images_seen": 8},
    {"kind": "train", "step": 4, "loss": None, "images_seen": 16},
    {"kind": "validate", "step": 3, "full": {"psnr": 20.0}, "input": {"full": {"psnr": 19.0}}},
    {"kind": "train", "step": 6, "loss": 0.25, "images_seen": 24},
    {"kind": "validate", "step": 6, "full": {"psnr": 21.0}, "input": {"full": {"psnr": 19.0}}},
]


def test_curves_of_a_log_are_over_the_images_seen():
    assert curves(LINES) == {
        "loss": {"loss": ([8, 24], [0.5, 0.25])},
        "psnr": {"full": ([12, 24], [20, 21]), "input full": ([12, 24], [19, 19])},
    }
    assert curves([]) == {}


def test_curves_are_drawn_panel_beside_panel(tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "one.png").write_bytes(draw_curves(LINES[:1]))
    (tmp_path / "two.png").write_bytes(draw_curves(LINES))
    one, two = read_rgb(tmp_path / "one.png"), read_rgb(tmp_path / "two.png")
    assert two.shape == (one.shape[0], 2 * one.shape[1], 3)
    assert (two < 200).any()
    assert draw_curves(LINES) == (tmp_path / "two.png").read_bytes()


@pytest.fixture
def faces(tmp_path):
    """A validation folder: a face, and a picture in which there is none."""
    write_images(tmp_path / "held", 1)
    write_png(tmp_path / "held" / "face.png", fitted(read_rgb(PORTRAIT), 128))
    return tmp_path / "held"


def test_a_validation_measures_faces_and_draws_curves(tmp_path, faces):
    recipe = write_recipe(tmp_path, train={"steps": 2}, validate={"every": 1, "size": 128})
    events = run(recipe, tmp_path / "run", f"data.validation={faces}")
    scores = [event.scores["denoise"] for event in events if isinstance(event, Validated)]
    before = next(e.input_scores["denoise"] for e in events if isinstance(e, Validated))
    assert len(scores) == 2
    assert 0 < scores[0]["fed"] < 1.2
    assert scores[0]["fed"] == pytest.approx(before["fed"], abs=0.2)  # it has hardly learnt
    pytest.importorskip("matplotlib")
    assert read_rgb(tmp_path / "run" / "curves.png").shape[1] > 1000  # five panels


def test_without_dlib_and_matplotlib_it_goes_on_without_them(tmp_path, faces, monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    recipe = write_recipe(tmp_path, train={"steps": 1}, validate={"every": 1, "size": 128})
    events = run(recipe, tmp_path / "run", f"data.validation={faces}")
    validated = next(event for event in events if isinstance(event, Validated))
    assert set(validated.scores["denoise"]) == {"psnr", "ssim", "lpips"}
    started = next(event for event in events if isinstance(event, Started))
    assert any(note.startswith("validated without FED: dlib cannot be") for note in started.notes)
    assert not (tmp_path / "run" / "curves.png").exists()


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
    assert show_training(iter(events), screen, as_json=False) == 0
    assert screen.told[0] == ("images read", 12, 12)
    trained = [told[1:] for told in screen.told if told[0] == "images"]
    assert [done for done, _ in trained] == [4 * (i + 1) for i in range(len(trained))]
    if end["steps"]:
        assert trained == [(4, 12), (8, 12), (12, 12)]
    else:
        assert trained[-1][0] == trained[-1][1]
    assert sum(isinstance(event, Progress) for event in events) == len(trained)
    assert isinstance(events[0], Reading)
