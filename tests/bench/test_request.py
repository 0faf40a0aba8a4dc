"""What a benchmark is asked for; rows: their form in JSON, their store, and the paper's own."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from faceren.assets import samples_dir
from faceren.bench.request import (
    MARK,
    TASKS,
    LeftOut,
    Request,
    Row,
    RowStore,
    key_of,
    short_name,
    table_1,
    table_2,
)
from faceren.errors import ConfigError
from faceren.metrics.names import PAPER_METRICS


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


@dataclass(frozen=True)
class Measured(Row):
    section: ClassVar[str] = "measured"
    folder: Path
    sizes: tuple[int, ...]
    rate: float | None

    def line(self):
        return "measured"


def test_a_row_is_its_fields_as_json_has_them():
    row = Measured(Path("a/b"), (1, 2), None)
    assert row.to_json() == {"folder": "a/b", "sizes": [1, 2], "rate": None}


def test_what_was_not_measured_says_why():
    row = LeftOut("the plots", "no library")
    assert row.line() == "left out: the plots (no library)"
    assert LeftOut("x", "y", failed=True).line() == "failed: x (y)"
    assert row.to_json() == {"what": "the plots", "why": "no library", "failed": False}


def test_the_store_keeps_rows_and_ignores_torn_ones(tmp_path):
    store = RowStore(tmp_path / "rows")
    assert store.get("k") is None
    store.put("k", {"a": 1.5})
    assert RowStore(tmp_path / "rows").get("k") == {"a": 1.5}
    (tmp_path / "rows" / "k.json").write_text('{"a": 1')
    assert store.get("k") is None


def test_a_key_changes_with_anything():
    key = key_of({"task": "full", "seed": 0})
    assert key == key_of({"seed": 0, "task": "full"})
    assert len({key, key_of({"task": "full", "seed": 1}), key_of({"task": "jpeg", "seed": 0})}) == 3


def test_the_paper_is_quoted_as_it_is_printed():
    counts = {task: len(table_1(task)) for task in TASKS}
    assert counts == {
        "small": 0,
        "sr4x": 7,
        "hallucination": 4,
        "denoise": 4,
        "deblur": 3,
        "jpeg": 3,
        "full": 8,
        "historic": 0,
    }
    ours = table_1("full")[-1]
    assert (ours.method, ours.metrics["psnr"], ours.metrics["niqe"]) == ("HiFaceGAN", 25.837, 7.272)
    assert table_1("full")[0].method == "Degraded input"
    assert [row.method for row in table_2()] == ["SPADE", "16xFace", "FixConv", "Default", "L1"]
    assert table_2()[3].metrics == table_1("hallucination")[-1].metrics
    assert all(tuple(row.metrics) == PAPER_METRICS for task in TASKS for row in table_1(task))
    assert MARK in ours.line()
    assert ours.to_json()["source"] == MARK
