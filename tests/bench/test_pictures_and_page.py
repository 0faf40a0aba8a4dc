"""Plots, figures and the page: what is shown is there, and nothing is asked of the network."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from faceren.bench.benchmark import load
from faceren.bench.faces import face_set
from faceren.bench.figures import SIDE, clean, figures
from faceren.bench.outputs import write_outputs
from faceren.bench.page import write_benchmark_page
from faceren.bench.plots import COLOURS, bars, speed_against_quality, timed
from faceren.bench.quality import quality_suite
from faceren.bench.quoted import table_1
from faceren.bench.report import Report
from faceren.bench.request import Request
from faceren.bench.rows import LeftOut
from faceren.images import read_rgb
from faceren.pages.contact_sheet import GAP


def colours(png):
    """Return how many pixels have each colour."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).reshape(-1, 3)
    values, counts = np.unique(pixels, axis=0, return_counts=True)
    names = ["#" + bytes(value).hex() for value in values]
    return dict(zip(names, counts.tolist(), strict=True))


def test_bars_are_as_long_as_the_figures(make_row):
    rows = [
        make_row([10.0, 10.0], method="input", kind="input"),
        make_row([30.0, 30.0], method="compact"),
    ]
    found = colours(bars(rows, []))
    assert found[COLOURS["network"]] / found[COLOURS["input"]] == pytest.approx(3, rel=0.1)
    assert colours(bars(rows, table_1("full"))) != found  # the paper's line


def test_points_are_drawn_for_what_has_a_time(make_row):
    row = make_row([0.4, 0.5], metric="lpips", ms=20.0)
    untimed = make_row([0.4, 0.5], metric="lpips", kind="peer")
    found = colours(speed_against_quality([row, untimed], "lpips"))
    assert found[COLOURS["network"]] > 20
    assert COLOURS["peer"] not in found
    assert timed([row, untimed], "lpips") == [row]
    assert timed([row], "psnr") == []


def test_a_page_holds_everything_and_asks_for_nothing(tmp_path, make_row, make_report):
    row = make_row([20.0, 22.0], method="<img src=x>", ms=5.0)  # a file's name may be anything
    report = make_report(row, *table_1("full"), LeftOut("speed", "not asked"))
    write_benchmark_page(tmp_path / "b.html", report, [])
    page = (tmp_path / "b.html").read_text(encoding="utf-8")
    assert "21.00 (20.00 – 22.00)" in page
    assert "quoted from the paper, not re-run" in page
    assert "left out: speed (not asked)" in page
    assert "<img src=x>" not in page
    assert re.findall(r"https?:", page) == []
    sources = re.findall(r'<img src="([^"]{0,22})', page)
    assert sources
    assert all(source.startswith("data:image/") for source in sources)


@pytest.fixture
def measured(faces, tmp_path):
    request = Request(
        clean=faces,
        output=tmp_path / "b",
        suite="quality",
        tasks=("hallucination", "full"),
        metrics=("psnr",),
        size=96,
        device="cpu",
    )
    restorer = load(request)
    report = Report({"device": "here"}, request.to_json(), list(quality_suite(request)))
    return request, report, restorer


def test_the_figures_of_the_paper_are_made_from_the_run(measured):
    request, report, restorer = measured
    faces = face_set(request.faces)
    found = {figure.name: figure.image for figure in figures(report, faces, restorer, size=96)}
    assert list(found) == [
        "fig2_tasks",
        "fig6_hallucination",
        "fig6_full",
        "fig5a_stages",
        "fig5b_residuals",
    ]
    strip = found["fig2_tasks"]
    assert strip.shape[1] == GAP + 3 * (SIDE + GAP)  # clean and two tasks
    stages = len(restorer.checkpoint.network.blocks)
    assert found["fig5a_stages"].shape[1] == GAP + (stages + 1) * (SIDE + GAP)
    grid = found["fig6_full"]
    assert grid.shape[1] == GAP + 5 * (SIDE + GAP)  # input, two filters, ours, clean
    assert figures(Report({}, {}, []), faces, restorer, size=96) == []


def test_the_clean_face_has_the_size_of_its_twin(measured):
    request, report, _ = measured
    faces, row = face_set(request.faces), report.rows[0]
    for name in row.images:
        assert clean(faces, name, 96).shape == read_rgb(row.folder / name).shape == (96, 96, 3)


def test_the_outputs_are_there_and_without_matplotlib_the_page_says_so(measured, monkeypatch):
    request, report, restorer = measured
    monkeypatch.setattr("faceren.bench.outputs.can_plot", lambda: False)
    monkeypatch.setattr("faceren.bench.page.can_plot", lambda: False)
    paths = write_outputs(report, request, restorer)
    assert [path.name for path in paths] == [
        f"benchmark.{suffix}" for suffix in ("json", "csv", "md", "html")
    ]
    assert all(path.stat().st_size > 100 for path in paths)
    assert (request.output / "figures" / "fig2_tasks.png").is_file()
    assert "faceren[bench]" in paths[-1].read_text(encoding="utf-8")
