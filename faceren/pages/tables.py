"""Figures to look at: evaluations as tables and as a page, a training run as curves.

Tables go to the screen, to Markdown or to CSV; a page shows what kept an evaluation from being
whole, and its worst images; matplotlib draws the curves without a screen.
"""

import csv
import importlib.util
import io
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from faceren.checks import Json, nearest
from faceren.errors import ConfigError, FacerenError
from faceren.files import atomic_write
from faceren.images import read_rgb, shown, write_png
from faceren.metrics.names import HIGHER_IS_BETTER, PYIQA
from faceren.metrics.pairing import is_recorded
from faceren.metrics.results import Evaluation, ImageScores, MetricResult
from faceren.pages.page import embedded, jpeg, write_page
from faceren.pages.pictures import Cell, contact_sheet
from faceren.runs.disk_or_store import Files
from faceren.runs.storage import spelled

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
        known = evaluation.inputs.get(metric) if evaluation.inputs else None
        of_input = "–" if known is None else figure(metric, known.mean)
        table.add_row(
            f"{metric} {arrow(metric)}",
            figure(metric, result.mean),
            interval(metric, result),
            str(result.n),
            str(result.missing or ""),
            *[of_input] * bool(evaluation.inputs),
        )
    for metric in evaluation.scores.not_computed:  # why, is said below
        table.add_row(metric, "–", "–", "0", "")
    return table


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


Curve = tuple[list[float], list[float]]
"""Images seen, and a figure."""

LOSS = "loss"
INPUT = "input"
"""What the validation lines call the figures of the damaged input."""
PANEL = (3.2, 2.5)
"""Width and height of a panel in inches."""
COLOURS = ("#2a6f97", "#c98a2b", "#7b4b94", "#5b8c5a", "#b3403a", "#6b6b6b")
"""One a task, from the first again if there are more."""


def can_draw() -> bool:
    """Return whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def curves(lines: Sequence[Json]) -> dict[str, dict[str, Curve]]:
    """Return the curves of a log: by panel (``loss`` or a metric), then by task.

    Args:
        lines: Of the log, in its order: ``kind`` train or validate, ``step``, figures by name.

    Returns:
        The curve of the loss is called ``loss``; the figure of the damaged input, a constant, is
        called ``input TASK``. What is not finite is left out.
    """
    train = [line for line in lines if line["kind"] == "train"]
    steps, seen = [line["step"] for line in train], [line["images_seen"] for line in train]
    panels: dict[str, dict[str, Curve]] = {}

    def add(panel: str, curve: str, images: float, value: float | None) -> None:
        if value is not None:
            places, values = panels.setdefault(panel, {}).setdefault(curve, ([], []))
            places.append(images)
            values.append(value)

    for line in train:
        add(LOSS, LOSS, line["images_seen"], line["loss"])
    for line in lines:
        if line["kind"] == "validate" and train:
            images = float(np.interp(line["step"], [0, *steps], [0, *seen]))
            tasks = {k: v for k, v in line.items() if k not in ("kind", "step", INPUT)}
            tasks |= {f"{INPUT} {task}": figures for task, figures in line[INPUT].items()}
            for task, figures in tasks.items():
                for metric, value in figures.items():
                    add(metric, task, images, value)
    return panels


def draw_curves(lines: Sequence[Json]) -> bytes:
    """Return a PNG with a panel for the loss and one for each metric of the validation.

    Args:
        lines: Of the log; a line for each task, the damaged input's figure dashed.
    """
    from matplotlib.figure import Figure

    panels = curves(lines)
    figure = Figure((PANEL[0] * max(1, len(panels)), PANEL[1]), layout="constrained", dpi=110)
    for number, (title, found) in enumerate(panels.items(), start=1):
        axes: Any = figure.add_subplot(1, len(panels), number)
        drawn = {n: ([place / 1000 for place in x], y) for n, (x, y) in found.items()}
        tasks = [name for name in found if not name.startswith(f"{INPUT} ")]
        for task, colour in zip(tasks, cycle(COLOURS), strict=False):
            axes.plot(*drawn[task], color=colour, linewidth=1, marker=".", label=task)
            if f"{INPUT} {task}" in found:
                axes.plot(*drawn[f"{INPUT} {task}"], color=colour, linestyle="--")
        axes.set_title(title if title == LOSS else f"{title} {arrow(title)}", fontsize=9)
        axes.set_xlabel("thousand images seen", fontsize=7)
        axes.tick_params(labelsize=7)
        if tasks != [LOSS]:
            axes.legend(fontsize=7, title="dashed: the input", title_fontsize=7)
    data = io.BytesIO()
    figure.savefig(data, format="png", metadata={"Software": None})
    return data.getvalue()


WORST_BY = ("lpips", "psnr", "niqe")
"""The metric by which images are the worst: the first of these that was computed for each."""
SIDE = 224
"""Of the pictures, in pixels."""


def write_evaluation(evaluation: Evaluation, path: Path, *, count: int = 12) -> None:
    """Write a page that needs nothing but itself.

    Args:
        evaluation: From ``evaluate``; the files of the worst images are read again.
        path: The HTML file.
        count: How many of the worst images to show.

    Raises:
        MachineError: If it cannot be written.
    """
    scores = evaluation.scores
    known = {name for row in scores.images for name in row.values}
    by = next((name for name in WORST_BY if name in known), "")
    worst = evaluation.worst(count, by) if by else []
    problems = [f"{shown(name)}: {reason}" for name, reason in evaluation.failures]
    problems += [f"no twin: {shown(name)}" for name in evaluation.strays]
    problems += [f"{metric}: {reason}" for metric, reason in scores.not_computed.items()]
    context = {
        "title": "Evaluation",
        "subtitle": shown(spelled(evaluation.results)),
        "facts": [
            ("Protocol", evaluation.protocol),
            ("References", shown(str(evaluation.reference or "none"))),
            ("Images", f"{len(scores.images):,}"),
        ],
        "headers": ["Metric", "Mean", "95 % interval", "N", "Computed by"],
        "rows": [
            (f"{name} {arrow(name)}", figure(name, row.mean), interval(name, row), row.n, row.by)
            for name, row in scores.metrics.items()
        ],
        "problems": [*scores.warnings, *problems],
        "by": by,
        "worst": [_picture(row, by, _files(evaluation)) for row in worst],
    }
    write_page(path, "evaluation.html.j2", context)


def _files(evaluation: Evaluation) -> Files:
    reference = [Path(evaluation.reference)] if evaluation.reference else []
    return Files([evaluation.results, *reference])


def _picture(row: ImageScores, by: str, files: Files) -> dict[str, object]:
    """Return an image between its input and its reference, as a figure of the page."""
    before = row.input if is_recorded(row, files) else None
    places = {"input": before, "output": row.result, "reference": row.reference}
    cells = {}
    for name, path in places.items():
        if path is not None:
            try:
                with files.local(path) as here:
                    cells[name] = Cell(read_rgb(here))
            except FacerenError:  # gone since it was scored
                cells[name] = Cell(None, "cannot be read")
    strip = contact_sheet([list(cells.values())], side=SIDE, headers=list(cells))
    caption = f"{shown(row.path)}: {by} {figure(by, row.values[by])}"
    return {
        "source": embedded(jpeg(strip), "jpeg"),
        "alt": f"{', '.join(cells)} of {shown(row.path)}",
        "caption": caption,
        "width": strip.shape[1],
        "height": strip.shape[0],
    }


def write_worst(evaluation: Evaluation, path: Path, *, count: int, by: str | None = None) -> str:
    """Write a sheet of the worst images as PNG: each between its input and its reference.

    Where no row has an input or a reference its column is left out.

    Args:
        evaluation: From ``evaluate``; the files are read again.
        path: The PNG file.
        count: How many images.
        by: A metric with a figure for each image; default the first of lpips, psnr, niqe there is.
            Which way those of pyiqa go is not known, so that none of them will do.

    Returns:
        The metric.

    Raises:
        ConfigError: If no image has a figure of that metric.
        ImageError: If an image cannot be read any more.
    """
    have = list(dict.fromkeys(name for row in evaluation.scores.images for name in row.values))
    have = [name for name in have if not name.startswith(PYIQA)]
    metric = by or next((n for n in ("lpips", "psnr", "niqe", *have) if n in have), "lpips")
    if metric not in have:
        raise ConfigError(f"--worst: no image has a figure of {metric!r}{nearest(metric, have)}")
    worst = evaluation.worst(count, metric)
    columns: dict[str, list[Cell]] = {"input": [], "output": [], "reference": []}
    files = _files(evaluation)
    for row in worst:
        captions = "", f"{row.path}  {metric} {row.values[metric]:.4g}", ""
        before = row.input if is_recorded(row, files) else None
        places = before, row.result, row.reference
        for cells, place, caption in zip(columns.values(), places, captions, strict=True):
            image = None
            if place is not None and files.is_file(place):
                with files.local(place) as here:
                    image = read_rgb(here)
            cells.append(Cell(image, caption))
    filled = {
        title: cells for title, cells in columns.items() if any(c.image is not None for c in cells)
    }
    write_png(path, contact_sheet(list(zip(*filled.values(), strict=True)), headers=list(filled)))
    return metric
