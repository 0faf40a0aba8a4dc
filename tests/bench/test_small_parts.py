"""The store, the paper's tables, the set of faces, the request."""

import json

import pytest

from faceren.bench.faces import face_set
from faceren.bench.quality import Quality
from faceren.bench.quoted import MARK, table_1, table_2
from faceren.bench.report import quality_csv, read_report, write_json
from faceren.bench.request import TASKS, Request
from faceren.bench.rows import LeftOut
from faceren.bench.store import RowStore, key_of
from faceren.bench.text import markdown
from faceren.errors import ConfigError, NothingToDoError
from faceren.metrics.names import PAPER_METRICS


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


def test_a_face_set_is_known_by_names_and_bytes(faces):
    found = face_set(faces)
    assert [item.relative.as_posix() for item in found.found] == ["a.png", "more/b.png"]
    assert found.digest == face_set(faces).digest
    assert len(face_set(faces, 1)) == 1
    assert face_set(faces, 1).digest != found.digest
    (faces / "a.png").rename(faces / "c.png")
    assert face_set(faces).digest != found.digest
    assert face_set(faces).names(1) == ["c.png"]


def test_no_faces_are_said(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        face_set(tmp_path / "gone")
    with pytest.raises(NothingToDoError, match="no image found"):
        face_set(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"suite": "sped"}, "did you mean 'speed'"),
        ({"tasks": ("ful",)}, "did you mean 'full'"),
        ({"metrics": ("psrn",)}, "did you mean 'psnr'"),
        ({"budget": 0}, "--budget"),
        ({"suite": "ablation"}, "--train FOLDER"),
        ({"suite": "crops"}, "--crops PHOTO"),
    ],
)
def test_requests_are_checked_before_any_work(wrong, message):
    with pytest.raises(ConfigError, match=message):
        Request(**wrong)


def test_a_row_survives_json(make_row):
    row = make_row([20.0, 22.0], ms=3.5, warnings=("mind",))
    assert Quality.from_json(json.loads(json.dumps(row.to_json()))) == row
    alone = make_row([20.0])
    assert Quality.from_json(json.loads(json.dumps(alone.to_json()))) == alone


def test_a_report_is_written_and_read(tmp_path, make_row, make_report):
    report = make_report(make_row([20.0, 22.0]), *table_1("full"), LeftOut("x", "y", failed=True))
    write_json(tmp_path / "b.json", report)
    found = read_report(tmp_path / "b.json")
    assert found["quality"][0]["metrics"]["psnr"]["mean"] == 21
    assert found["speed"] == []
    assert found["left_out"] == [{"what": "x", "why": "y", "failed": True}]
    assert report.failed
    lines = quality_csv(report).splitlines()
    assert lines[1] == "full,compact,network,measured,psnr,21.0,20.0,22.0,2,x"
    assert len(lines) == 2 + 8 * 8
    assert lines[2].startswith(f'full,Degraded input,paper,"{MARK}"') or MARK in lines[2]


def test_what_is_no_report_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("[1]")
    for name in ("a.json", "gone.json"):
        with pytest.raises(ConfigError, match=r"expected a benchmark\.json"):
            read_report(tmp_path / name)


def test_markdown_has_measured_and_quoted_apart(make_row, make_report):
    row = make_row([20.0, 22.0], warnings=("fid: too few",))
    text = markdown(make_report(row, *table_1("full"), LeftOut("the plots", "no library")))
    assert "| compact | 21.00 (20.00 – 22.00) |" in text
    assert f"Table 1, {MARK}" in text
    assert "| HiFaceGAN | 25.837 |" in text
    assert "- fid: too few" in text
    assert "- left out: the plots (no library)" in text
