"""Tables: what is printed of an evaluation. Curves: what is drawn of a training run."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from faceren.images import read_rgb
from faceren.metrics.results import Evaluation, ImageScores, MetricResult, Scores
from faceren.pages.tables import (
    curves,
    draw_curves,
    images_csv,
    markdown_table,
    metrics_table,
    write_csv,
)


@pytest.fixture
def evaluation() -> Evaluation:
    rows = [
        ImageScores(
            path="a, b.png", result=Path("a"), reference=None, input=None, values={"psnr": 20.0}
        ),
        ImageScores(
            path="c.png",
            result=Path("c"),
            reference=None,
            input=None,
            values={"psnr": 30.5, "fed": 0.25},
        ),
    ]
    metrics = {
        "psnr": MetricResult(mean=25.25, ci95=(20.0, 30.5), n=2, by="faceren"),
        "fed": MetricResult(mean=0.25, ci95=None, n=1, by="dlib", missing=1),
    }
    scores = Scores(
        metrics=metrics, not_computed={"fid": "too few"}, images=tuple(rows), warnings=()
    )
    return Evaluation(protocol="paper", results=Path("out"), reference=None, scores=scores)


def test_the_table_has_figures_intervals_and_reasons(evaluation):
    screen = io.StringIO()
    Console(file=screen, width=120).print(metrics_table(evaluation))
    lines = screen.getvalue().splitlines()
    assert any("psnr ↑" in line and "25.25" in line and "20.00 – 30.50" in line for line in lines)
    assert any("fed ↓" in line and "0.2500" in line for line in lines)
    assert any("fid" in line and "–" in line for line in lines)


def test_csv_has_a_row_an_image_and_quotes_names(evaluation, tmp_path):
    assert images_csv(evaluation) == 'path,psnr,fed\n"a, b.png",20.0,\nc.png,30.5,0.25\n'
    write_csv(evaluation, tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_text() == images_csv(evaluation)


def test_markdown_escapes_bars():
    assert markdown_table(["a", "b"], [["x|y", "1"]]) == "| a | b |\n| :-- | --: |\n| x\\|y | 1 |\n"


def test_the_worst_are_at_the_far_end(evaluation):
    assert [row.path for row in evaluation.worst(5, "psnr")] == ["a, b.png", "c.png"]
    assert [row.path for row in evaluation.worst(5, "fed")] == ["c.png"]
    assert evaluation.exit_status == 1


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
