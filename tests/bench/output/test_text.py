"""A report as Markdown and as CSV."""

from faceren.bench.output.text import markdown, quality_csv
from faceren.bench.quality.quoted import MARK, table_1
from faceren.bench.rows import LeftOut


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
