"""Table 2 in small: what the variants are, a training of seconds; small faces of a photograph."""

from pathlib import Path

import numpy as np
import pytest

from faceren.assets import model_path, recipe_path
from faceren.bench.output.page import write_benchmark_page
from faceren.bench.output.report import Report, markdown
from faceren.bench.quality import ablation as module
from faceren.bench.quality.ablation import (
    VARIANTS,
    Ablation,
    OverSeeds,
    ablation_suite,
    crops_suite,
    cut,
    over_seeds,
    patches,
)
from faceren.bench.quality.baselines import Guided
from faceren.bench.quality.methods import Elsewhere
from faceren.bench.quality.suite import Candidate, Quality
from faceren.bench.request import LeftOut, Quoted, Request, Row
from faceren.checkpoint import load_checkpoint
from faceren.commands.evaluate import Scored
from faceren.errors import ConfigError, ImageError, NothingToDoError, ShapeError
from faceren.images import read_rgb, write_png
from faceren.training.events import Finished
from faceren.training.recipe_file import load_recipe
from faceren.training.state import RunFolder


def test_the_variants_differ_in_one_thing_each():
    recipes = {v.name: load_recipe(recipe_path(Path("ablation")), v.overrides) for v in VARIANTS}
    shapes = {name: (r.model.variant, r.model.suppression) for name, r in recipes.items()}
    assert shapes["16xFace"][0] == "spade"
    assert shapes["FixConv"] == ("hifacegan", "fixed")
    assert shapes["LIP"] == ("hifacegan", "lip")
    assert shapes["Default"] == shapes["L1"] == ("hifacegan", "adaptive")
    assert [name for name, recipe in recipes.items() if recipe.loss.l1] == ["L1"]
    assert {recipe.data.task for recipe in recipes.values()} == {"hallucination"}


def test_faces_to_be_scored_are_not_trained_on(faces, tmp_path):
    request = Request(suite="ablation", clean=faces, train=faces, output=tmp_path / "b")
    with pytest.raises(ConfigError, match="2 of its images are among the faces to be scored"):
        list(ablation_suite(request))


def trained_row(make_row, values, **more):
    known = {"recipe": "ablation", "variant": "LIP", "seed": 0, "steps": 300, "minutes": 6.0}
    known |= {"images_seen": 1200, "parameters": 5678}
    return Ablation(**vars(make_row(values, method="LIP", task="hallucination")) | known | more)


def test_a_row_has_its_steps(make_row, make_report):
    row = trained_row(make_row, [20.0, 22.0])
    assert row.to_json()["steps"] == 300
    assert row.to_json()["method"] == "LIP"
    text = markdown(make_report(row))
    assert "recipe ablation, 300 steps each" in text
    assert "| LIP | 21.00 (20.00 – 22.00) | 5,678 | 6.0 | 1,200 |" in text


def test_the_mean_of_seeds_has_students_interval(make_row, make_report):
    rows = [
        trained_row(make_row, [value], method=f"LIP, seed {seed}", seed=seed)
        for seed, value in enumerate((20.0, 21.0, 23.0))
    ]
    mean = over_seeds(rows)
    found = mean.metrics["psnr"]
    assert found.mean == pytest.approx(64 / 3)
    # printed tables: t of two degrees of freedom is 4.303; s of the three is 1.528
    assert found.ci95[1] - found.mean == pytest.approx(4.303 * 1.5275 / 3**0.5, rel=1e-3)
    assert (mean.method, mean.n) == ("LIP", 3)
    text = markdown(make_report(*rows, mean))
    assert "Means of 3 seeds" in text
    assert "| LIP | 21.33 (17.54 – 25.13) |" in text
    assert "| LIP, seed 2 | 23.00" in text


class Trainer:
    """Stands in for a training: it leaves the shipped weights as if after 90 seconds."""

    def __init__(self):
        self.weights = model_path("compact").read_bytes()
        self.given, self.interrupt = [], False

    def __call__(self, recipe, *, overrides, output, device):
        self.given.append((recipe.name, output.name, overrides))
        output.mkdir(parents=True, exist_ok=True)
        last = RunFolder(output).last
        last.write_bytes(self.weights)
        yield Finished(step=7, images_seen=56, seconds=90, interrupted=self.interrupt, weights=last)


@pytest.fixture
def trainer(monkeypatch):
    trainer = Trainer()
    monkeypatch.setattr(module, "train", trainer)
    monkeypatch.setattr(module, "VARIANTS", VARIANTS[2:3])
    return trainer


@pytest.fixture
def request_for(faces, photo, tmp_path):
    write_png(tmp_path / "others" / "0.png", photo[1:])

    def make(**changes):
        known = {"clean": faces, "train": tmp_path / "others", "steps": 7, "metrics": ("psnr",)}
        known |= {"size": 64, "output": tmp_path / "b", "device": "cpu", "seed": 5}
        return Request(**known | changes)

    return make


@pytest.mark.parametrize("protocol", ["paper", "standard"])
def test_a_trained_variant_is_scored_with_what_its_training_was(protocol, request_for, trainer):
    events = list(ablation_suite(request_for(protocol=protocol)))
    assert [e for e in events if isinstance(e, Scored)] == [Scored(1, 2), Scored(2, 2)]
    absent, row, *quoted = (event for event in events if isinstance(event, Row))
    assert absent.what == "SPADE guided by parsing maps"
    assert (row.method, row.task, row.kind, row.n) == ("LIP", "hallucination", "network", 2)
    assert (row.recipe, row.seed, row.steps) == ("ablation", 5, 7)
    assert (row.minutes, row.images_seen) == (1.5, 56)
    assert row.parameters == sum(
        p.numel() for p in load_checkpoint(model_path("compact")).network.parameters()
    )
    assert "7 steps, 56 images" in row.line()
    overrides = trainer.given[0][2]
    assert {"train.steps=7", "train.minutes=null", "seed=5", "model.suppression=lip"} <= {
        *overrides
    }
    if protocol == "paper":
        assert [line.method for line in quoted] == ["SPADE", "16xFace", "FixConv", "Default", "L1"]
    else:  # whose figures are none to stand beside the paper's
        assert [line.what for line in quoted] == ["the paper's Table 2"]
    assert ("Table 2, quoted" in markdown(Report({}, {}, [row, *quoted]))) == (protocol == "paper")


def test_several_seeds_have_runs_of_their_own_and_a_mean(request_for, trainer, tmp_path):
    rows = list(ablation_suite(request_for(seeds=2, recipe=Path("paper"), protocol="paper")))
    trained = [row for row in rows if isinstance(row, Ablation)]
    assert [(row.method, row.seed) for row in trained] == [("LIP, seed 5", 5), ("LIP, seed 6", 6)]
    assert [run[:2] for run in trainer.given] == [
        ("paper.yaml", "paper-LIP-5"),
        ("paper.yaml", "paper-LIP-6"),
    ]
    (mean,) = [row for row in rows if isinstance(row, OverSeeds)]
    found = mean.metrics["psnr"]  # the same weights twice
    assert found.ci95 == pytest.approx((found.mean, found.mean))
    assert found.mean == pytest.approx(trained[0].metrics["psnr"].mean)
    report = Report({}, {}, [row for row in rows if isinstance(row, Row)])
    write_benchmark_page(tmp_path / "page.html", report, [])
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "95 % intervals over seeds; dashed: the paper" in page


def test_an_interrupted_ablation_goes_on_in_the_same_folder(request_for, trainer):
    trainer.interrupt = True
    with pytest.raises(KeyboardInterrupt):
        list(ablation_suite(request_for()))
    trainer.interrupt = False
    rows = [row for row in ablation_suite(request_for()) if isinstance(row, Ablation)]
    assert [row.method for row in rows] == ["LIP"]
    assert trainer.given[0] == trainer.given[1]


def test_every_variant_of_each_recipe_is_one_that_can_be_trained():
    for name in ("ablation", "paper"):
        for variant in VARIANTS:
            more = ("data.task=hallucination", "train.minutes=null", "train.steps=5")
            recipe = load_recipe(recipe_path(Path(name)), (*variant.overrides, *more))
            assert recipe.train.steps == 5


@pytest.mark.slow
def test_all_variants_are_trained_and_scored_and_not_trained_again(faces, photo, tmp_path):
    for number in range(12):
        write_png(tmp_path / "others" / f"{number}.png", photo[number + 1 :])
    request = Request(
        suite="ablation",
        clean=faces,
        train=tmp_path / "others",
        steps=3,
        metrics=("psnr",),
        output=tmp_path / "b",
        device="cpu",
        protocol="paper",
    )
    rows = [event for event in ablation_suite(request) if isinstance(event, Row)]
    trained = [row for row in rows if isinstance(row, Ablation)]
    assert [row.method for row in trained] == [v.name for v in VARIANTS]
    assert all(row.images_seen > 0 and row.minutes > 0 for row in trained)
    assert [row.method for row in rows if isinstance(row, Quality)] == ["input", "base"]
    assert [row.what for row in rows if isinstance(row, LeftOut)] == [
        "SPADE guided by parsing maps"
    ]
    assert next(row.method for row in rows if isinstance(row, Quoted)) == "SPADE"
    again = [row for row in ablation_suite(request) if isinstance(row, Ablation)]
    assert [row.to_json() for row in again] == [row.to_json() for row in trained]
    assert Report({}, {}, rows).of(Ablation) == trained


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
