"""Which suites a request runs, and the command from end to end."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from faceren import cli
from faceren.bench import benchmark as module
from faceren.bench.benchmark import benchmark
from faceren.bench.request import LeftOut, Request


@pytest.fixture
def suites(monkeypatch):
    """Every suite yields a row with its name, and measures nothing."""
    for name in ("speed", "quality", "ablation", "crops"):
        rows = [LeftOut(name, "")]
        monkeypatch.setattr(module, f"{name}_suite", lambda *_, rows=rows, **__: iter(rows))


@pytest.mark.parametrize(
    ("request_", "ran"),
    [
        ({"suite": "speed"}, ["speed"]),
        ({"suite": "quality"}, ["quality"]),
        ({"suite": "all"}, ["speed", "quality", "the ablation", "faces of an old photograph"]),
        (
            {"suite": "all", "train": Path("t"), "crops": Path("c")},
            ["speed", "quality", "ablation", "crops"],
        ),
        ({"suite": "ablation", "train": Path("t")}, ["ablation"]),
        ({"suite": "crops", "crops": Path("c")}, ["crops"]),
    ],
)
def test_suites_run_that_are_asked_for_or_have_what_they_need(suites, request_, ran):
    assert [row.what for row in benchmark(Request(**request_), None)] == ran


def test_the_command_writes_what_it_measured(tmp_path):
    result = CliRunner().invoke(
        cli.app,
        ["benchmark", "--suite", "speed", "--seconds", "0.01", "--device", "cpu"]
        + ["-o", str(tmp_path / "benchmark")],
    )
    assert result.exit_code == 0, result.output
    written = json.loads((tmp_path / "benchmark" / "benchmark.json").read_text())
    assert [row["size"] for row in written["speed"]] == [256, 512]
    assert [row["task"] for row in written["degradation"]] == ["full", "full", "mixed", "historic"]
    assert all(row["images_per_second"] > 0 for row in written["degradation"])
    assert written["machine"]["weights_sha256"]
