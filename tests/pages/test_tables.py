"""Tables: what is printed of an evaluation."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from faceren.metrics.results import Evaluation, ImageScores, MetricResult, Scores
from faceren.pages.tables import images_csv, markdown_table, metrics_table, write_csv


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
