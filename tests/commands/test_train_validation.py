"""What the validations of a run leave: the face distance, and curves where they can be drawn."""

import sys

import pytest

from faceren.assets import samples_dir
from faceren.images import read_rgb, write_png
from faceren.pages.pictures import fitted
from faceren.training.events import Started, Validated
from tests.training.tiny import run, write_images, write_recipe

pytestmark = pytest.mark.usefixtures("one_thread")

PORTRAIT = samples_dir() / "clean" / "p001_selfie.jpg"


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
