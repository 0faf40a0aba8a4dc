"""A report as one HTML page that needs nothing beside it: tables, plots and pictures."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from faceren.bench.ablation import Ablation
from faceren.bench.figures import Figure
from faceren.bench.plots import bars, can_plot, speed_against_quality, timed
from faceren.bench.quality import Quality
from faceren.bench.quoted import Quoted
from faceren.bench.report import Report
from faceren.bench.rows import LeftOut
from faceren.bench.text import (
    QUOTE,
    Table,
    ablation_table,
    other_sections,
    quality_table,
    quoted_table,
)
from faceren.pages.page import embedded, jpeg, write_page
from faceren.pages.tables import arrow


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


def write_benchmark_page(path: Path, report: Report, figures: Sequence[Figure]) -> None:
    """Write the page.

    Args:
        path: The HTML file.
        report: What was measured.
        figures: Sheets of pictures to show; one named ``fig6_TASK`` goes with its task.

    Raises:
        MachineError: If it cannot be written.
    """
    by_task = {figure.name.removeprefix("fig6_"): figure for figure in figures}
    sections = [_task(report, task, by_task.get(task)) for task in report.tasks]
    loose = [figure for figure in figures if not figure.name.startswith("fig6_")]
    sections += _overall(report)
    sections += [_Section(f.title, pictures=[_sheet(f)]) for f in loose]
    sections += _ablation(report)
    sections += [
        _Section(title, [_table(table)]) for title, table in other_sections(report).items()
    ]
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


def _ablation(report: Report) -> list[_Section]:
    rows = report.of(Ablation)
    if not rows:
        return []
    paper = [row for row in report.of(Quoted) if row.table == 2]
    tables = [
        _table(ablation_table(rows), f"Trained here, {rows[0].budget_minutes:g} minutes in all"),
        _table(quoted_table(paper), f"Table 2, {QUOTE}"),
    ]
    return [_Section("Ablation on the 16× task", tables, [row.quality.note for row in rows])]


def _table(table: Table, caption: str = "") -> _Table:
    return _Table(table[0], table[1], caption)


def _sheet(figure: Figure) -> _Picture:
    height, width = figure.image.shape[:2]
    source = embedded(jpeg(figure.image), "jpeg")
    return _Picture(source, figure.title, figure.caption, width, height)


def _plot(data: bytes, alt: str, caption: str) -> _Picture:
    width, height = Image.open(io.BytesIO(data)).size
    return _Picture(embedded(data, "png"), alt, caption, width, height)
