"""A report as one HTML page that needs nothing beside it: tables, plots and pictures.

The plots are drawn by matplotlib (extra ``bench``) without a screen.
"""

import importlib.util
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from faceren.bench.output.figures import Figure
from faceren.bench.output.report import (
    QUOTE,
    Report,
    Table,
    ablation_table,
    other_sections,
    over_seeds_title,
    quality_table,
    quoted_table,
    trained_as,
)
from faceren.bench.quality.ablation import Ablation, OverSeeds
from faceren.bench.quality.suite import MethodRow, Quality
from faceren.bench.request import LeftOut, Quoted
from faceren.metrics.results import MetricResult
from faceren.pages.page import embedded, jpeg, write_page
from faceren.pages.tables import arrow

COLOURS = {"input": "#9a9a9a", "classical": "#c98a2b", "network": "#2a6f97", "peer": "#7b4b94"}
"""Of bars and points, by the kind of the method."""
PAPER_COLOUR = "#b3403a"


@dataclass(frozen=True)
class _Table:
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True)
class _Picture:
    source: str
    alt: str
    caption: str
    width: int
    height: int


@dataclass(frozen=True)
class _Section:
    title: str
    tables: list[_Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pictures: list[_Picture] = field(default_factory=list)


def write_benchmark_page(path: Path, report: Report, sheets: Sequence[Figure]) -> None:
    """Write the page.

    Args:
        path: The HTML file.
        report: What was measured.
        sheets: Pictures to show; one named ``fig6_TASK`` goes with its task.

    Raises:
        MachineError: If it cannot be written.
    """
    by_task = {figure.name.removeprefix("fig6_"): figure for figure in sheets}
    sections = [_task(report, task, by_task.get(task)) for task in report.tasks]
    loose = [figure for figure in sheets if not figure.name.startswith("fig6_")]
    sections += _overall(report)
    sections += [_Section(f.title, pictures=[_sheet(f)]) for f in loose]
    if trained := report.of(Ablation):
        paper = [row for row in report.of(Quoted) if row.table == 2]
        means = report.of(OverSeeds)
        tables = [_table(ablation_table(trained), f"Trained here: {trained_as(trained[0])}")]
        if means:
            tables.append(_table(quality_table(means), over_seeds_title(means)))
        if paper:
            tables.append(_table(quoted_table(paper), f"Table 2, {QUOTE}"))
        notes = [
            f"{variant}: {note}" for variant, note in {r.variant: r.note for r in trained}.items()
        ]
        pictures = []
        if can_plot():
            caption = f"95 % intervals over {'seeds' if means else 'faces'}"
            caption += "; dashed: the paper's default, quoted" * bool(paper)
            chart = bars(means or trained, paper)
            pictures = [_plot(chart, "Bars of every metric: ablation", caption)]
        sections.append(_Section("Ablation on the 16× task", tables, notes, pictures))
    sections += [_Section(title, [_table(t)]) for title, t in other_sections(report).items()]
    context = {
        "title": "faceren benchmark",
        "subtitle": ", ".join(report.tasks) or "speed",
        "machine": [(name, str(value)) for name, value in report.machine.items()],
        "sections": sections,
        "warnings": report.warnings,
        "absent": [row.line() for row in report.of(LeftOut)],
    }
    write_page(path, "benchmark.html.j2", context)


def _task(report: Report, task: str, grid: Figure | None) -> _Section:
    rows = [row for row in report.of(Quality) if row.task == task]
    paper = [row for row in report.of(Quoted) if row.task == task and row.table == 1]
    tables = [_table(quality_table(rows), "Measured here, with 95 % intervals")]
    if paper:
        tables.append(_table(quoted_table(paper), f"Table 1, {QUOTE}"))
    pictures = [] if grid is None else [_sheet(grid)]
    if can_plot():
        caption = "95 % intervals" + ("; dashed: HiFaceGAN, quoted from the paper" if paper else "")
        pictures.insert(0, _plot(bars(rows, paper), f"Bars of every metric: {task}", caption))
    title = f"{task}, {max(row.n for row in rows)} faces"
    return _Section(title, tables, [f"{row.method}: {row.note}" for row in rows], pictures)


def _overall(report: Report) -> list[_Section]:
    rows = report.of(Quality)
    measured = [name for row in rows for name in row.metrics]
    metric = "lpips" if "lpips" in measured else next(iter(measured), "")
    if not can_plot() or not timed(rows, metric):
        return []
    plot = speed_against_quality(rows, metric)
    caption = f"{metric} {arrow(metric)}. The time is the method's alone, without files."
    picture = _plot(plot, f"Time of a face against {metric}", caption)
    return [_Section("Speed against quality", pictures=[picture])]


def _table(table: Table, caption: str = "") -> _Table:
    return _Table(table[0], table[1], caption)


def _sheet(figure: Figure) -> _Picture:
    height, width = figure.image.shape[:2]
    source = embedded(jpeg(figure.image), "jpeg")
    return _Picture(source, figure.title, figure.caption, width, height)


def _plot(data: bytes, alt: str, caption: str) -> _Picture:
    width, height = Image.open(io.BytesIO(data)).size
    return _Picture(embedded(data, "png"), alt, caption, width, height)


def can_plot() -> bool:
    """Return whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def bars(rows: Sequence[MethodRow], paper: Sequence[Quoted]) -> bytes:
    """Return a PNG with a panel for each metric: a bar a method, with its 95 % interval.

    Args:
        rows: The methods of one task.
        paper: The lines of the paper; its own network is a dashed line.
    """
    metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))
    columns = min(4, len(metrics))
    lines = -(-len(metrics) // columns)
    figure = _figure(2.7 * columns, (0.9 + 0.26 * len(rows)) * lines)
    ours = next((line for line in paper if line.method in ("HiFaceGAN", "Default")), None)
    for index, metric in enumerate(metrics):
        axes = figure.add_subplot(lines, columns, index + 1)
        for place, row in enumerate(rows):
            if found := row.metrics.get(metric):
                around, colour = _around(found), COLOURS[row.kind]
                axes.barh(place, found.mean, color=colour, xerr=around, height=0.7, capsize=2)
        if ours and metric in ours.metrics:
            axes.axvline(ours.metrics[metric], color=PAPER_COLOUR, linestyle="--", linewidth=1)
        axes.set_yticks(range(len(rows)), [row.method for row in rows], fontsize=7)
        axes.invert_yaxis()
        axes.tick_params(axis="x", labelsize=7)
        axes.set_title(f"{metric} {arrow(metric)}", fontsize=9)
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
            found, colour = row.metrics[metric], COLOURS[row.kind]
            axes.errorbar(row.ms, found.mean, yerr=_around(found), fmt="o", color=colour, capsize=2)
            place = row.ms, found.mean
            axes.annotate(row.method, place, (4, 4), textcoords="offset points", fontsize=7)
    return _png(figure)


def _around(found: MetricResult) -> list[list[float]]:
    """Return how far a 95 % interval reaches below and above its mean, as matplotlib wants it."""
    low, high = found.ci95 or (found.mean, found.mean)
    return [[max(0.0, found.mean - low)], [max(0.0, high - found.mean)]]


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", dpi=110)


def _png(figure: Any) -> bytes:
    data = io.BytesIO()
    figure.savefig(data, format="png", metadata={"Software": None})
    return data.getvalue()
