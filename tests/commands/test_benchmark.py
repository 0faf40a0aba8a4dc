import json

import pytest
from typer.testing import CliRunner

from faceren import cli
from faceren.commands.benchmark import Request, gmacs, load, machine, speed
from faceren.errors import ConfigError


@pytest.fixture(scope="module")
def restorer():
    return load(Request(device="cpu"))


def test_gmacs_of_the_shipped_network_fit_its_budget(restorer):
    assert 5 < gmacs(restorer, 512) < 10
    assert gmacs(restorer, 512) == pytest.approx(4 * gmacs(restorer, 256), rel=1e-3)


def test_speed_yields_a_row_for_each_size(restorer):
    rows = list(speed("compact", restorer, seconds=0.01))
    assert [row.size for row in rows] == [256, 512]
    assert all(row.faces_per_second > 0 and row.repeats >= 1 for row in rows)


def test_the_machine_is_described(restorer):
    described = machine(restorer)
    assert described["kind"] == "cpu"
    assert described["dtype"] == "float32"
    assert described["threads"] >= 1


def test_requests_are_checked_before_any_work():
    for wrong in ({"suite": "sped"}, {"tasks": ("ful",)}, {"metrics": ("psrn",)}):
        with pytest.raises(ConfigError, match="did you mean"):
            Request(**wrong)


def test_quality_scores_input_and_output_of_the_same_faces(tmp_path):
    result = CliRunner().invoke(
        cli.app,
        ["benchmark", "--suite", "quality", "--limit", "2", "--metrics", "psnr,lpips"]
        + ["--device", "cpu", "-o", str(tmp_path / "benchmark")],
    )
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "benchmark" / "benchmark.json").read_text())["quality"]
    before, after = rows
    assert (before["method"], after["method"]) == ("input", "compact")
    assert before["n"] == after["n"] == 2
    assert after["lpips"]["mean"] < 0.8 * before["lpips"]["mean"]


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
