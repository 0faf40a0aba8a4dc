"""Small faces of a photograph, as in section 5.2."""

import numpy as np
import pytest

from faceren.bench.quality import crops as module
from faceren.bench.quality.baselines import Guided
from faceren.bench.quality.crops import crops_suite, cut, patches
from faceren.bench.quality.methods import Elsewhere
from faceren.bench.quality.suite import Candidate
from faceren.bench.request import Request
from faceren.errors import ConfigError, ImageError, NothingToDoError, ShapeError
from faceren.images import read_rgb, write_png


@pytest.fixture
def astronaut(tmp_path, astronaut):
    write_png(tmp_path / "astronaut.png", astronaut)
    return tmp_path / "astronaut.png"


def test_a_face_is_cut_at_the_photo_s_own_pixels(astronaut):
    image = read_rgb(astronaut)
    (patch,) = patches(astronaut)
    side = len(patch)
    assert patch.shape == (side, side, 3)
    assert 100 < side < 300
    places = np.argwhere((image[: -side + 1, : -side + 1] == patch[0, 0]).all(axis=2))
    assert any(np.array_equal(image[y : y + side, x : x + side], patch) for y, x in places)
    # the template puts the eyes at 0.47 of the height: skin there, not the dark of space
    assert patch[side // 2 : side * 5 // 8, side * 3 // 8 : side * 5 // 8].mean() > 90


def test_a_patch_goes_on_beyond_the_edge_of_its_photo():
    image = np.arange(40 * 40 * 3, dtype=np.uint32).astype(np.uint8).reshape(40, 40, 3)
    landmarks = np.array([(192, 240), (320, 240), (257, 314), (201, 371), (313, 371)]) / 16.0
    patch = cut(image, landmarks)
    assert abs(len(patch) - 32) <= 1
    left = cut(image, landmarks - (20, 0))
    assert np.array_equal(left[:, 0], left[:, 10])
    assert np.array_equal(left[:, -1], patch[:, -21])


def test_every_system_enlarges_and_restores_it(astronaut, tmp_path):
    request = Request(
        **{"suite": "crops", "crops": astronaut, "output": tmp_path / "b", "device": "cpu"},
        model="compact",
        models=("denoise=base",),
    )
    rows = list(crops_suite(request))
    assert [(row.method, row.face) for row in rows] == [("compact", 1), ("base", 1)]
    enlarged, *restored = (read_rgb(p) for p in (rows[0].enlarged, *(r.restored for r in rows)))
    assert enlarged.shape == restored[0].shape == restored[1].shape == (512, 512, 3)
    assert not np.array_equal(enlarged, restored[0])
    assert not np.array_equal(*restored)
    assert rows[0].niqe_restored < rows[0].niqe_input  # bicubic enlargement is not natural
    assert rows[0].niqe_input == rows[1].niqe_input
    assert rows[0].to_json()["native"] == len(patches(astronaut)[0])


class Method:
    kind, note = "peer", ""

    def __init__(self, name, settings="", error=None):
        self.name, self.settings, self.error = name, settings, error

    def renew(self, damaged, output, *, overwrite=False):
        if self.error:
            raise self.error
        return damaged


def test_what_fails_is_said_and_the_others_go_on(astronaut, tmp_path, monkeypatch):
    request = Request(suite="crops", crops=astronaut, output=tmp_path / "b", device="cpu")
    guided = Guided(name="gfrnet", what="GFRNet", restorer=None, guides=None)
    elsewhere = Elsewhere(name="theirs", results=tmp_path)
    failing = Method("bad", error=ShapeError("too small"))
    twice = [Method("a"), Method("a")]  # one network, named for two tasks
    found = [Candidate(method) for method in (guided, elsewhere, failing, *twice)]
    monkeypatch.setattr(module, "candidates", lambda _: found)
    first, second, third = crops_suite(request)
    assert first.line() == "left out: gfrnet on crops (its faces have no second images)"
    assert second.line() == "failed: bad on crops (too small)"
    assert third.method == "a"
    found.append(Candidate(Method("a", "other weights")))
    with pytest.raises(ConfigError, match="--models: 'a' is there twice"):
        list(crops_suite(request))


def test_a_photo_without_a_face_or_that_is_none_is_said(tmp_path):
    write_png(tmp_path / "gray.png", np.full((128, 128, 3), 99, np.uint8))
    with pytest.raises(NothingToDoError, match="no face found"):
        patches(tmp_path / "gray.png")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ImageError, match=r"text\.png"):
        patches(tmp_path / "text.png")
