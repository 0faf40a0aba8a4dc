import json

import pytest
from typer.testing import CliRunner

from faceren import cli
from faceren.bench.benchmark import load
from faceren.bench.machine import machine
from faceren.bench.request import Request
from faceren.bench.speed_network import gmacs, roofline, speed


@pytest.fixture(scope="module")
def restorer():
    return load(Request(device="cpu"))


def test_gmacs_of_the_shipped_network_fit_its_budget(restorer):
    config = restorer.checkpoint.config
    assert 10 < gmacs(config, 512) < 20
    assert gmacs(config, 512) == pytest.approx(4 * gmacs(config, 256), rel=1e-3)


def test_speed_yields_a_row_for_each_size(restorer):
    rows = list(speed("compact", restorer, roofline(restorer, seconds=0.01), seconds=0.01))
    assert [row.size for row in rows] == [256, 512]
    assert all(row.faces_per_second > 0 and row.repeats >= 1 for row in rows)


def test_the_machine_is_described(restorer):
    described = machine(restorer)
    assert described["kind"] == "cpu"
    assert described["dtype"] == "float32"
    assert described["threads"] >= 1
    assert described["device"]
    assert described["commit"] is None or len(described["commit"]) == 12


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
