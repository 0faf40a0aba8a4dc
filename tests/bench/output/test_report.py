"""A report as one value, and read back."""

import pytest

from faceren.bench.benchmark import write_json
from faceren.bench.output.report import markdown, quality_csv, read_report
from faceren.bench.quality.quoted import MARK, table_1
from faceren.bench.rows import LeftOut
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
