"""Figures of quality as plots, drawn by matplotlib (extra ``bench``) without a screen."""

import importlib.util
import io
from collections.abc import Sequence
from typing import Any

from faceren.bench.quality import Quality
from faceren.bench.quoted import Quoted
from faceren.pages.tables import arrow

COLOURS = {"input": "#9a9a9a", "classical": "#c98a2b", "network": "#2a6f97", "peer": "#7b4b94"}
"""By the kind of the method."""
PAPER_COLOUR = "#b3403a"


def can_plot() -> bool:
    """Return whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def bars(rows: Sequence[Quality], paper: Sequence[Quoted]) -> bytes:
    """Return a PNG with a panel for each metric: a bar a method, with its 95 % interval.

    Args:
        rows: The methods of one task.
        paper: The lines of the paper; its own network is a dashed line.
    """
    metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))
    columns = min(4, len(metrics))
    lines = -(-len(metrics) // columns)
    figure = _figure(2.7 * columns, (0.9 + 0.26 * len(rows)) * lines)
    ours = next((line for line in paper if line.method == "HiFaceGAN"), None)
    for index, metric in enumerate(metrics):
        axes = figure.add_subplot(lines, columns, index + 1)
        _panel(axes, metric, rows, ours.metrics.get(metric) if ours else None)
        if index % columns:
            axes.set_yticklabels([])
    return _png(figure)


def timed(rows: Sequence[Quality], metric: str) -> list[Quality]:
    """Return the rows that have a time and the metric."""
    return [row for row in rows if row.ms and metric in row.metrics]


def speed_against_quality(rows: Sequence[Quality], metric: str) -> bytes:
    """Return a PNG with the time of a face against a metric, a point a method, a panel a task.

    Args:
        rows: At least one with a time and the metric.
        metric: What is better or worse.
    """
    known = timed(rows, metric)
    tasks = list(dict.fromkeys(row.task for row in known))
    columns = min(4, len(tasks))
    lines = -(-len(tasks) // columns)
    figure = _figure(2.9 * columns, 2.3 * lines)
    for index, task in enumerate(tasks):
        axes = figure.add_subplot(lines, columns, index + 1)
        axes.set_title(task, fontsize=9)
        axes.set_xscale("log")
        axes.set_xlabel("ms a face, on this machine", fontsize=7)
        axes.set_ylabel(f"{metric} {arrow(metric)}", fontsize=7)
        axes.tick_params(labelsize=7)
        axes.margins(y=0.25)
        here = [row for row in known if row.task == task]
        times = [row.ms for row in here if row.ms]
        axes.set_xlim(min(times) / 3, max(times) * 6)  # room for the names
        for row in here:
            _point(axes, row, metric)
    return _png(figure)


def _panel(axes: Any, metric: str, rows: Sequence[Quality], paper: float | None) -> None:
    for place, row in enumerate(rows):
        if metric not in row.metrics:
            continue
        found = row.metrics[metric]
        low, high = found.ci95 or (found.mean, found.mean)
        around = [[max(0.0, found.mean - low)], [max(0.0, high - found.mean)]]
        axes.barh(place, found.mean, color=COLOURS[row.kind], xerr=around, height=0.7, capsize=2)
    if paper is not None:
        axes.axvline(paper, color=PAPER_COLOUR, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(rows)), [row.method for row in rows], fontsize=7)
    axes.invert_yaxis()
    axes.tick_params(axis="x", labelsize=7)
    axes.set_title(f"{metric} {arrow(metric)}", fontsize=9)


def _point(axes: Any, row: Quality, metric: str) -> None:
    found = row.metrics[metric]
    low, high = found.ci95 or (found.mean, found.mean)
    around = [[max(0.0, found.mean - low)], [max(0.0, high - found.mean)]]
    axes.errorbar(row.ms, found.mean, yerr=around, fmt="o", color=COLOURS[row.kind], capsize=2)
    axes.annotate(row.method, (row.ms, found.mean), (4, 4), textcoords="offset points", fontsize=7)


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", dpi=110)


def _png(figure: Any) -> bytes:
    data = io.BytesIO()
    figure.savefig(data, format="png", metadata={"Software": None})
    return data.getvalue()
