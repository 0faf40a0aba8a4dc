"""``faceren benchmark`` as a user runs it."""

import json

import pytest

from faceren.assets import DEFAULT_MODEL


@pytest.fixture
def benchmark(run, faces, tmp_path):
    def measure(*more):
        quality = (
            "--suite",
            "quality",
            "--tasks",
            "jpeg",
            "--metrics",
            "psnr",
            "--size",
            "64",
        )
        return run("benchmark", faces, *quality, "-o", tmp_path / "b", *more)

    return measure


def test_quality_writes_every_file(benchmark, tmp_path):
    code, out, err = benchmark("--json")
    assert code == 0, err
    report = json.loads(out)
    assert report == json.loads((tmp_path / "b" / "benchmark.json").read_text())
    methods = [row["method"] for row in report["quality"]]
    assert methods == ["input", "recompression", "tv", DEFAULT_MODEL]
    assert "quoted" not in report
    assert report["left_out"][-1]["what"] == "the paper's own figures"
    assert report["request"]["tasks"] == ["jpeg"]
    assert f"jpeg  {DEFAULT_MODEL}  N 2  psnr" in err
    page = (tmp_path / "b" / "benchmark.html").read_text(encoding="utf-8")
    assert page.count('src="data:image/png') == 2  # bars, and speed against quality


def test_a_regression_is_an_exit_status_when_asked(benchmark, tmp_path):
    assert benchmark()[0] == 0
    old = json.loads((tmp_path / "b" / "benchmark.json").read_text())
    ours = next(row for row in old["quality"] if row["method"] == DEFAULT_MODEL)
    ours["metrics"]["psnr"]["mean"] += 0.5
    for values in ours["images"].values():
        values["psnr"] += 0.5
    (tmp_path / "old.json").write_text(json.dumps(old))
    code, _, err = benchmark("--compare", tmp_path / "old.json")
    assert code == 0
    assert f"worse: jpeg  {DEFAULT_MODEL}  psnr" in err
    assert "4 figures compared: 0 better, 1 worse" in err
    assert benchmark("--compare", tmp_path / "old.json", "--fail-on-regression")[0] == 1
    same = ("--compare", tmp_path / "b" / "benchmark.json", "--fail-on-regression")
    assert benchmark(*same)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["empty"], 3, "no image found"),
        (["gone"], 2, "no such folder"),
        (["--models", "text.pth"], 4, "cannot be read"),
        (["--models", "nothing"], 2, "unknown model"),
        (["--compare", "text.pth"], 2, "expected a benchmark.json"),
        (["--suite", "ablation"], 2, "--train FOLDER"),
        (["--suite", "crops", "--crops", "text.pth"], 1, "text.pth"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    run, tmp_path, monkeypatch, arguments, status, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.pth").write_text("no checkpoint")
    code, _, err = run("benchmark", "--suite", "quality", *arguments)
    assert code == status, err
    assert message in err
    assert len(err.strip().splitlines()) == 1
