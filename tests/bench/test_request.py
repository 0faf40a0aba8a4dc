"""What a benchmark is asked for."""

from pathlib import Path

import pytest

from faceren.assets import samples_dir
from faceren.bench.request import Request, short_name
from faceren.errors import ConfigError


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"suite": "sped"}, "did you mean 'speed'"),
        ({"tasks": ("ful",)}, "did you mean 'full'"),
        ({"metrics": ("psrn",)}, "did you mean 'psnr'"),
        ({"steps": 0}, "--steps: expected int of at least 1, got 0"),
        ({"seeds": 0}, "--seeds: expected int of at least 1, got 0"),
        ({"size": 63}, "--size: expected int of at least 64, got 63"),
        ({"limit": 0}, "--limit: expected int .*of at least 1, got 0"),
        ({"seconds": -1}, "--seconds: expected float of at least 0, got -1"),
        ({"suite": "ablation"}, "--train FOLDER"),
        ({"suite": "crops"}, "--crops PHOTO"),
    ],
)
def test_requests_are_checked_before_any_work(wrong, message):
    with pytest.raises(ConfigError, match=message):
        Request(**wrong)


def test_metrics_are_split_and_forgiven():
    assert Request(metrics=("psnr,MS_SSIM", "fid")).metrics == ("psnr", "ms-ssim", "fid")


def test_the_shipped_faces_stand_in_for_the_default_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Request().faces == samples_dir() / "clean"
    (tmp_path / "sample_photos" / "clean").mkdir(parents=True)
    assert Request().faces == Path("sample_photos/clean")
    assert Request(clean=Path("none")).faces == Path("none")


def test_a_checkpoint_is_called_by_its_file_name():
    assert short_name("base") == "base"
    assert Request(model="runs/x/best.safetensors").model_name == "best"


def test_a_request_is_plain_json():
    written = Request(clean=Path("faces"), tasks=("jpeg",)).to_json()
    assert (written["clean"], written["tasks"], written["limit"]) == ("faces", ["jpeg"], None)
