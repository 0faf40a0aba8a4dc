"""Table 2 in small: what the variants are, and a training of seconds."""

from pathlib import Path

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
    over_seeds,
)
from faceren.bench.quality.quoted import Quoted
from faceren.bench.quality.suite import Quality
from faceren.bench.request import LeftOut, Request, Row
from faceren.checkpoint import load_checkpoint
from faceren.commands.evaluate import Scored
from faceren.errors import ConfigError
from faceren.images import write_png
from faceren.training.events import Finished
from faceren.training.folder import RunFolder
from faceren.training.recipe_file import load_recipe


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
