"""The page and its plots: what is shown is there, and nothing is asked of the network."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from faceren.bench.output.page import (
    COLOURS,
    bars,
    speed_against_quality,
    timed,
    write_benchmark_page,
)
from faceren.bench.request import LeftOut, table_1


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
    assert "21.00<br><small>20.00 – 22.00</small>" in page
    assert "quoted from the paper, not re-run" in page
    assert "left out: speed (not asked)" in page
    assert "<img src=x>" not in page
    assert re.findall(r"https?:", page) == []
    sources = re.findall(r'<img src="([^"]{0,22})', page)
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
