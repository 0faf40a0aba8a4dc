"""Evaluations as tables: on screen, as Markdown, as CSV."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from faceren.files import atomic_write
from faceren.metrics.names import HIGHER_IS_BETTER, PYIQA
from faceren.metrics.results import Evaluation, MetricResult

DECIMALS = {"psnr": 2, "lle": 3, "fid": 3, "niqe": 3}
"""As the paper prints them; others have 4."""


def figure(metric: str, value: float) -> str:
    """Return a figure with the decimals that its metric deserves."""
    return f"{value:.{DECIMALS.get(metric, 4)}f}"


def interval(metric: str, result: MetricResult) -> str:
    """Return the 95 % interval as text, a dash where there is none."""
    if result.ci95 is None:
        return "–"
    low, high = result.ci95
    return f"{figure(metric, low)} – {figure(metric, high)}"


def arrow(metric: str) -> str:
    """Return which way is better; nothing for the metrics of pyiqa, which differ."""
    if metric.startswith(PYIQA):
        return ""
    return "↑" if metric in HIGHER_IS_BETTER else "↓"


def metrics_table(evaluation: Evaluation) -> Table:
    """Return the table that the command shows: a row for each metric."""
    title = Text(f"{evaluation.results} ({evaluation.protocol})")  # a name may have brackets
    table = Table(title=title, title_justify="left")
    names = ["metric", "mean", "95 % interval", "N", "missing"]
    names += ["of the input"] * bool(evaluation.inputs)
    for name in names:
        table.add_column(name, justify="left" if name == "metric" else "right", no_wrap=True)
    for metric, result in evaluation.scores.metrics.items():
        table.add_row(
            f"{metric} {arrow(metric)}",
            figure(metric, result.mean),
            interval(metric, result),
            str(result.n),
            str(result.missing or ""),
            *_of_input(evaluation, metric),
        )
    for metric in evaluation.scores.not_computed:  # why, is said below
        table.add_row(metric, "–", "–", "0", "")
    return table


def _of_input(evaluation: Evaluation, metric: str) -> list[str]:
    """Return the cell of the input's figure, if there is a column for it."""
    if not evaluation.inputs:
        return []
    known = evaluation.inputs.get(metric)
    return ["–" if known is None else figure(metric, known.mean)]


def markdown_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; the first column is text, the others figures."""
    lines = [headers, [":--", *["--:"] * (len(headers) - 1)], *rows]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines
    )


def images_csv(evaluation: Evaluation) -> str:
    """Return one line for each image and a column for each metric, to be sorted elsewhere."""
    names = list(dict.fromkeys(name for row in evaluation.scores.images for name in row.values))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", *names])
    for row in evaluation.scores.images:
        writer.writerow([row.path, *(row.values.get(name, "") for name in names)])
    return text.getvalue()


def write_csv(evaluation: Evaluation, path: Path) -> None:
    """Write ``images_csv`` to a file.

    Raises:
        MachineError: If it cannot be written.
    """
    atomic_write(path, images_csv(evaluation).encode("utf-8", "backslashreplace"))
