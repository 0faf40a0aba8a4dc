"""A report as one value, and read back; what counts as better or worse, and what as chance."""

import json
import math

import pytest

from faceren.bench.benchmark import write_json
from faceren.bench.output.report import compare, markdown, quality_csv, read_report
from faceren.bench.request import MARK, LeftOut, table_1
from faceren.errors import ConfigError


def test_markdown_has_measured_and_quoted_apart(make_row, make_report):
    row = make_row([20.0, 22.0], warnings=("fid: too few",))
    text = markdown(make_report(row, *table_1("full"), LeftOut("the plots", "no library")))
    assert "| compact | 21.00 (20.00 – 22.00) |" in text
    assert f"Table 1, {MARK}" in text
    assert "| HiFaceGAN | 25.837 |" in text
    assert "- fid: too few" in text
    assert "- left out: the plots (no library)" in text


def test_csv_has_a_line_a_figure_and_marks_the_quoted(make_row, make_report):
    report = make_report(make_row([20.0, 22.0]), *table_1("full"), LeftOut("x", "y"))
    lines = quality_csv(report).splitlines()
    assert lines[0] == "task,method,kind,source,metric,mean,low,high,n,by"
    assert lines[1] == "full,compact,network,measured,psnr,21.0,20.0,22.0,2,x"
    quoted = (
        'full,Degraded input,paper,"quoted from the paper, not re-run",psnr,22.905,,,,Table 1 or 2'
    )
    assert lines[2] == quoted
    assert len(lines) == 2 + 8 * 8  # eight lines of the paper, eight metrics each


def test_a_report_is_written_and_read(tmp_path, make_row, make_report):
    report = make_report(make_row([20.0, 22.0]), *table_1("full"), LeftOut("x", "y", failed=True))
    write_json(tmp_path / "b.json", report)
    found = read_report(tmp_path / "b.json")
    assert found["quality"][0]["metrics"]["psnr"]["mean"] == 21
    assert found["speed"] == []
    assert found["left_out"] == [{"what": "x", "why": "y", "failed": True}]
    assert report.failed


def test_what_is_no_report_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("[1]")
    for name in ("a.json", "gone.json"):
        with pytest.raises(ConfigError, match=r"expected a benchmark\.json"):
            read_report(tmp_path / name)


def test_a_report_with_a_mark_of_byte_order_is_read(tmp_path, make_row, make_report):
    text = json.dumps(make_report(make_row([20.0, math.inf])).to_json(), default=str)
    (tmp_path / "b.json").write_text(text, "utf-8-sig")
    assert read_report(tmp_path / "b.json") == json.loads(text)


@pytest.mark.parametrize(
    ("section", "changed"),
    [
        ("machine", []),
        ("request", "all"),
        ("quality", [3]),
        ("quality", [{"metrics": 5, "task": "full", "method": "x", "images": {}}]),
        ("quality", [{"metrics": {}, "task": None, "method": "x", "images": {}}]),
        ("quality", [{"metrics": {}, "task": "full", "method": "x"}]),
        ("quality", [{"metrics": {}, "task": "full", "method": "x", "images": {"a": {"b": ""}}}]),
        ("ablation", [{"metrics": {"psnr": {}}, "task": "full", "method": "x", "images": {}}]),
        ("ablation", {}),
        ("speed", [{"iqr_percent": "3"}]),
        ("speed", [{"iqr_percent": 3, "faces_per_second": [1]}]),
    ],
)
def test_a_report_with_rows_of_another_kind_is_refused(
    tmp_path, make_row, make_report, section, changed
):
    found = make_report(make_row([20.0, 22.0])).to_json() | {section: changed}
    (tmp_path / "b.json").write_text(json.dumps(found, default=str), "utf-8")
    with pytest.raises(ConfigError, match=f"has as '{section}' is not of that kind"):
        read_report(tmp_path / "b.json")


@pytest.mark.parametrize("figure", [{"mean": "20"}, {"ci95": 3}, {"ci95": ["a", "b"]}])
def test_a_report_with_figures_that_are_no_numbers_is_refused(
    tmp_path, make_row, make_report, figure
):
    found = make_report(make_row([20.0, 22.0])).to_json()
    found["quality"][0]["metrics"]["psnr"] |= figure
    (tmp_path / "b.json").write_text(json.dumps(found, default=str), "utf-8")
    with pytest.raises(ConfigError, match="has as 'quality' is not of that kind"):
        read_report(tmp_path / "b.json")


def test_rows_are_in_the_list_of_their_section(make_row, make_report):
    report = make_report(make_row([20.0, 22.0]), make_row([1.0], task="jpeg"), LeftOut("x", "y"))
    found = report.to_json()
    assert [row["task"] for row in found["quality"]] == ["full", "jpeg"]
    assert (found["speed"], found["degradation"]) == ([], [])  # always there
    assert report.tasks == ["full", "jpeg"]
    assert not report.failed


def test_a_warning_is_told_once(make_row, make_report):
    rows = [make_row([20.0], warnings=("fid: few", w)) for w in ("a", "b")]
    assert make_report(*rows).warnings == ["fid: few", "a", "b"]


def changes(old, new):
    return [(c.verdict, c.what) for c in compare(old.to_json(), new.to_json()).changes]


def test_the_same_report_has_not_changed(make_row, make_report):
    report = make_report(make_row([20.0, 22.0, 25.0]))
    found = compare(report.to_json(), report.to_json())
    assert (found.changes, found.compared, found.notes) == ((), 1, ())


def test_figures_of_two_protocols_are_not_compared(make_row, make_report):
    old, new = (make_report(make_row([value, value + 1])).to_json() for value in (20.0, 25.0))
    new["request"]["protocol"] = "paper"
    found = compare(old, new)
    assert (found.changes, found.compared) == ((), 0)
    assert found.notes == ("quality: not compared, the protocols are standard and paper",)


@pytest.mark.parametrize(
    ("metric", "step", "verdict"),
    [("psnr", 0.5, "better"), ("psnr", -0.5, "worse"), ("lpips", 0.05, "worse")],
)
def test_a_shift_of_the_same_faces_counts_though_intervals_overlap(
    make_row, make_report, metric, step, verdict
):
    old = make_report(make_row([20.0, 22.0, 25.0], metric=metric))
    new = make_report(make_row([20.0 + step, 22.0 + step, 25.0 + step], metric=metric))
    assert changes(old, new) == [(verdict, f"full  compact  {metric}")]


def test_what_goes_both_ways_is_chance(make_row, make_report):
    old = make_report(make_row([20.0, 22.0, 25.0, 21.0]))
    new = make_report(make_row([21.0, 21.0, 26.0, 20.2]))
    assert changes(old, new) == []


def test_what_does_not_show_in_print_has_not_changed(make_row, make_report):
    old = make_report(make_row([20.0, 22.0]))
    new = make_report(make_row([20.0001, 22.0001]))
    assert changes(old, new) == []


def test_other_faces_need_intervals_apart(make_row, make_report):
    old = make_report(make_row([20.0, 22.0]))
    overlapping = make_report(make_row([21.0, 22.5, 22.0]))
    apart = make_report(make_row([30.0, 31.0, 32.0]))
    assert changes(old, overlapping) == []
    assert changes(old, apart) == [("better", "full  compact  psnr")]


def test_rows_of_one_report_only_are_named(make_row, make_report):
    old = make_report(make_row([20.0, 22.0], method="old"))
    new = make_report(make_row([20.0, 22.0], method="new"))
    found = compare(old.to_json(), new.to_json())
    assert found.notes == (
        "full  old: only in the earlier report",
        "full  new: only in this report",
    )


def speeds(rate, **machine):
    row = {"model": "compact", "size": 256, "faces_per_second": rate, "iqr_percent": 4.0}
    place = {"device": "here", "kind": "cpu", "dtype": "float32", "threads": 2} | machine
    return {"machine": place, "speed": [row | {"repeats": int(rate)}], "quality": []}


@pytest.mark.parametrize(("rate", "verdicts"), [(105, []), (110, ["better"]), (90, ["worse"])])
def test_a_rate_must_leave_both_spreads(rate, verdicts):
    found = compare(speeds(100.0), speeds(float(rate)))
    assert [change.verdict for change in found.changes] == verdicts
    assert found.compared == 1
    assert len(found.regressions) == verdicts.count("worse")


def test_rates_of_other_machines_are_not_compared():
    found = compare(speeds(100.0), speeds(10.0, device="there"))
    assert found.changes == ()
    assert "not compared" in found.notes[0]
