"""Table 2 in small: what the variants are, and a training of seconds."""

import pytest

from faceren.assets import model_path, models_dir
from faceren.bench.output.report import Report
from faceren.bench.output.text import markdown
from faceren.bench.quality import ablation as module
from faceren.bench.quality.ablation import RECIPE, VARIANTS, Ablation, ablation_suite
from faceren.bench.quality.quoted import Quoted
from faceren.bench.quality.suite import Quality
from faceren.bench.request import Request
from faceren.bench.rows import LeftOut, Row
from faceren.checkpoint import load_checkpoint
from faceren.commands.evaluate import Scored
from faceren.errors import ConfigError
from faceren.images import write_png
from faceren.training.events import Finished
from faceren.training.folder import RunFolder
from faceren.training.recipe_file import load_recipe


def test_the_variants_differ_in_one_thing_each():
    recipes = {v.name: load_recipe(models_dir() / RECIPE, v.overrides) for v in VARIANTS}
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


def test_a_row_has_its_budget(make_row, make_report):
    row = Ablation(
        **vars(make_row([20.0, 22.0], method="LIP", task="hallucination")),
        budget_minutes=30.0,
        minutes=6.0,
        images_seen=1234,
        parameters=5678,
    )
    assert row.to_json()["budget_minutes"] == 30
    assert row.to_json()["method"] == "LIP"
    text = markdown(make_report(row))
    assert "30 minutes of training in all" in text
    assert "| LIP | 21.00 (20.00 – 22.00) | 5,678 | 6.0 | 1,234 |" in text


@pytest.mark.parametrize("protocol", ["paper", "standard"])
def test_a_trained_variant_is_scored_with_what_its_training_was(
    protocol, faces, photo, tmp_path, monkeypatch
):
    write_png(tmp_path / "others" / "0.png", photo[1:])
    weights, given = model_path("compact").read_bytes(), []

    def trained(recipe, *, overrides, output, device):
        """Leave the shipped weights, as if they had been trained for 90 seconds."""
        given.append(overrides)
        output.mkdir(parents=True)
        last = RunFolder(output).last
        last.write_bytes(weights)
        yield Finished(step=7, images_seen=56, seconds=90, interrupted=False, weights=last)

    monkeypatch.setattr(module, "train", trained)
    monkeypatch.setattr(module, "VARIANTS", VARIANTS[2:3])
    request = Request(
        clean=faces, train=tmp_path / "others", budget=30, metrics=("psnr",), size=64,
        output=tmp_path / "b", device="cpu", seed=5, protocol=protocol,
    )  # fmt: skip
    events = list(ablation_suite(request))
    assert [e for e in events if isinstance(e, Scored)] == [Scored(1, 2), Scored(2, 2)]
    absent, row, *quoted = (event for event in events if isinstance(event, Row))
    assert absent.what == "SPADE guided by parsing maps"
    assert (row.method, row.task, row.kind, row.n) == ("LIP", "hallucination", "network", 2)
    assert (row.budget_minutes, row.minutes, row.images_seen) == (30, 1.5, 56)
    assert row.parameters == sum(
        p.numel() for p in load_checkpoint(model_path("compact")).network.parameters()
    )
    assert "56 images" in row.line()
    assert {"train.minutes=30.0", "seed=5", "model.suppression=lip"} <= set(given[0])
    if protocol == "paper":
        assert [line.method for line in quoted] == ["SPADE", "16xFace", "FixConv", "Default", "L1"]
    else:  # whose figures are none to stand beside the paper's
        assert [line.what for line in quoted] == ["the paper's Table 2"]
    assert ("Table 2, quoted" in markdown(Report({}, {}, [row, *quoted]))) == (protocol == "paper")


@pytest.mark.slow
def test_all_variants_are_trained_and_scored_and_not_trained_again(faces, photo, tmp_path):
    for number in range(12):
        write_png(tmp_path / "others" / f"{number}.png", photo[number + 1 :])
    request = Request(
        suite="ablation",
        clean=faces,
        train=tmp_path / "others",
        budget=0.5,
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
