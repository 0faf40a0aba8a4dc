"""Intervals, what computed a figure, and the form of the report."""

from pathlib import Path

import numpy as np
import pytest

from faceren.assets import ASSETS
from faceren.errors import ShapeError
from faceren.metrics.names import METRICS
from faceren.metrics.results import (
    Evaluation,
    ImageScores,
    MetricResult,
    Scores,
    computed_by,
    mean_interval,
)


def test_the_interval_is_that_of_the_normal_law_for_many_values():
    values = np.random.default_rng(0).normal(10, 2, 400)
    low, high = mean_interval(values.tolist()) or (0, 0)
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.03)
    assert high == pytest.approx(values.mean() + half, abs=0.03)
    assert mean_interval(values.tolist()) == (low, high)


def test_one_value_has_no_interval():
    assert mean_interval([3.0]) is None
    assert mean_interval([3.0, 3.0]) == (3, 3)


def test_every_metric_says_what_computed_it():
    assets = {
        "fed": {"dlib-embedding", "dlib-landmarks-5"},
        "lle": {"dlib-landmarks-68"},
        "identity": {"mobilefacenet"},
        "fid": {"inception-2015"},
        "kid": {"inception-2015"},
        "lpips": {"lpips-alexnet"},
        "niqe": {"niqe-matlab"},
    }
    for metric in METRICS:
        said = computed_by(metric, "standard")
        named = {name for name, asset in ASSETS.items() if asset.sha256[:12] in said}
        assert named == assets.get(metric, set()), metric
        assert ("dlib 1" in said or "dlib 2" in said) == (metric in ("fed", "lle"))
    assert "a3de90e3303f" in computed_by("lpips", "standard")
    assert "niqe-legacy" in computed_by("niqe", "paper")
    assert computed_by("lpips", "paper").endswith("JPEG 95 first; BGR")


def refuse():
    raise ShapeError("too small")


def row(name, **values):
    return ImageScores(path=name, result=Path(name), values=values)


def test_an_image_has_a_figure_or_a_reason():
    image = row("a.png")
    image.note("psnr", lambda: 20.5)
    image.note("ms-ssim", refuse)
    failures = {"ms-ssim": "too small"}
    assert image.to_json() == {"path": "a.png", "psnr": 20.5, "failures": failures}
    assert row("b.png", psnr=1.0).to_json() == {"path": "b.png", "psnr": 1.0}


def evaluation(*rows, **more):
    figure = MetricResult(mean=21.0, ci95=(20.0, 22.0), n=2, by="us")
    scores = Scores(metrics={"psnr": figure}, not_computed={}, images=rows, warnings=("mind",))
    known = {"protocol": "standard", "results": Path("out"), "reference": "manifest"}
    return Evaluation(**known | more, scores=scores)


def test_a_report_is_plain_values():
    found = evaluation(row("a.png", psnr=20.0), failures=(("b.png", "damaged"),))
    assert found.to_json() == {
        "protocol": "standard",
        "results": "out",
        "reference": "manifest",
        "n": 1,
        "metrics": {"psnr": {"mean": 21.0, "ci95": [20.0, 22.0], "n": 2, "by": "us", "missing": 0}},
        "images": [{"path": "a.png", "psnr": 20.0}],
        "strays": [],
        "failures": [{"path": "b.png", "reason": "damaged"}],
        "not_computed": {},
        "warnings": ["mind"],
    }


def test_anything_that_is_missing_is_an_exit_status():
    assert evaluation(row("a.png")).exit_status == 0
    assert evaluation(strays=("a.png",)).exit_status == 1
    assert evaluation(failures=(("a.png", "gone"),)).exit_status == 1
    partial = row("a.png")
    partial.failures["fid"] = "too few"
    assert evaluation(partial).exit_status == 1


def test_the_worst_are_low_in_decibels_and_high_in_distances():
    found = evaluation(row("a", psnr=20.0, lpips=0.1), row("b", psnr=30.0, lpips=0.3), row("c"))
    assert [r.path for r in found.worst(1, "psnr")] == ["a"]
    assert [r.path for r in found.worst(9, "lpips")] == ["b", "a"]
