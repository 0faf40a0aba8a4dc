"""An evaluation as a page: its figures, what kept it from being whole, and its worst images."""

from pathlib import Path

from faceren.checks import nearest
from faceren.errors import ConfigError, FacerenError
from faceren.images import read_rgb, shown, write_png
from faceren.metrics.names import PYIQA
from faceren.metrics.pairing import is_recorded
from faceren.metrics.results import Evaluation, ImageScores
from faceren.pages.page import embedded, jpeg, write_page
from faceren.pages.pictures import Cell, contact_sheet
from faceren.pages.tables import arrow, figure, interval
from faceren.runs.storage import spelled
from faceren.runs.stored import Files

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
