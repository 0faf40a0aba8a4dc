"""What ``faceren evaluate`` says of the scores."""

import json
from pathlib import Path

import pytest

from faceren.cli.evaluate import show_evaluation
from faceren.cli.screen import Screen
from faceren.images import write_png
from faceren.metrics.names import METRICS
from faceren.metrics.results import Evaluation, ImageScores, MetricResult, Scores


def test_saving_statistics_says_where_they_are(run, tmp_path, astronaut):
    for number in range(3):
        write_png(tmp_path / "clean" / f"{number}.png", astronaut[:64, 64 * number :][:, :64])
    status, _, told = run(
        "evaluate", tmp_path / "clean", "--metrics", "fid", "--save-stats", tmp_path / "a.npz"
    )
    assert status == 0
    assert "a.npz, the FID statistics of" in told.replace("\n", "")
    assert "metric" not in told  # no table without a figure


@pytest.mark.parametrize("option", ["--json-file", "--csv", "--html"])
@pytest.mark.parametrize("name", ["faces/0.png", "noisy/manifest.jsonl", "faces", "new.JPG"])
def test_figures_replace_no_picture_and_no_record(run, faces, tmp_path, option, name):
    (tmp_path / "noisy").mkdir()
    (tmp_path / "noisy" / "manifest.jsonl").write_text("{}\n")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    code, _, err = run("evaluate", faces, "--reference", faces, option, name)
    assert code == 2
    assert f"{option} {name}: expected a n" in err.replace("\n", "")
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_images_without_a_face_are_named(capsys):
    rows = tuple(
        ImageScores(
            path=f"{n}.png", result=Path(f"{n}.png"), reference=None, input=None,
            values={"fed": 0.3} if n == 0 else {},
        )
        for n in range(8)
    )  # fmt: skip
    fed = MetricResult(mean=0.3, ci95=None, n=1, by="dlib", missing=7)
    scores = Scores(metrics={"fed": fed}, not_computed={}, images=rows, warnings=())
    evaluation = Evaluation(protocol="standard", results=Path("out"), reference="r", scores=scores)
    show_evaluation(evaluation, Screen())
    told = " ".join(capsys.readouterr().err.split())
    assert "no face found, not in the mean: 1.png, 2.png, 3.png, 4.png, 5.png and 2 more" in told


def test_evaluate_finds_references_through_the_manifest_and_writes_its_report(run, faces, tmp_path):
    run("degrade", faces, "--task", "denoise", "--size", "keep", "-o", "noisy")
    code, out, err = run(
        *("evaluate", "noisy", "--metrics", "psnr,ssim", "--json", "--csv", "rows.csv"),
        *("--worst", "1"),
    )
    assert code == 0, err
    report = json.loads(out)
    assert set(report) >= {"protocol", "results", "reference", "n", "metrics", "images", "strays"}
    assert 5 < report["metrics"]["psnr"]["mean"] < 30
    assert (tmp_path / "rows.csv").read_text().splitlines()[0] == "path,psnr,ssim"
    assert (tmp_path / "noisy" / "worst.png").exists()


def test_the_list_of_metrics_has_every_metric(run):
    code, out, _ = run("evaluate", "--metrics", "list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(METRICS)


def test_a_table_fits_eighty_columns_and_what_computed_it_is_said_with_v(run, faces, tmp_path):
    run("degrade", faces, "--task", "denoise", "--size", "keep", "-o", "noisy")
    _, _, short = run("evaluate", "noisy", "--metrics", "psnr,lpips")
    assert max(map(len, short.splitlines())) <= 80
    assert "sha256" not in short
    assert "lpips: faceren" in run("evaluate", "noisy", "--metrics", "lpips", "-v")[2]
