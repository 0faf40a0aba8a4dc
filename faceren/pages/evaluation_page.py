"""An evaluation as a page: its figures, what kept it from being whole, and its worst images."""

from pathlib import Path

from faceren.errors import ImageError
from faceren.images import read_rgb, shown
from faceren.metrics.results import Evaluation, ImageScores
from faceren.pages.contact_sheet import Cell, contact_sheet
from faceren.pages.page import embedded, jpeg, write_page
from faceren.pages.tables import arrow, figure, interval

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
        "subtitle": shown(str(evaluation.results)),
        "facts": [
            ("Protocol", evaluation.protocol),
            ("References", shown(str(evaluation.reference or "none"))),
            ("Images", f"{len(scores.images):,}"),
        ],
        "headers": ["Metric", "Mean", "95 % interval", "N", "By"],
        "rows": [
            (f"{name} {arrow(name)}", figure(name, row.mean), interval(name, row), row.n, row.by)
            for name, row in scores.metrics.items()
        ],
        "problems": [*scores.warnings, *problems],
        "by": by,
        "worst": [_picture(row, by) for row in worst],
    }
    write_page(path, "evaluation.html.j2", context)


def _picture(row: ImageScores, by: str) -> dict[str, object]:
    """Return an image between its input and its reference, as a figure of the page."""
    cells = [_cell(row.input), _cell(row.result), _cell(row.reference)]
    names = [
        name for name, cell in zip(("input", "output", "reference"), cells, strict=True) if cell
    ]
    strip = contact_sheet([[cell for cell in cells if cell]], side=SIDE, headers=names)
    caption = f"{shown(row.path)}: {by} {figure(by, row.values[by])}"
    return {
        "source": embedded(jpeg(strip), "jpeg"),
        "alt": f"{', '.join(names)} of {shown(row.path)}",
        "caption": caption,
        "width": strip.shape[1],
        "height": strip.shape[0],
    }


def _cell(path: Path | None) -> Cell | None:
    try:
        return None if path is None else Cell(read_rgb(path))
    except ImageError:  # gone since it was scored
        return Cell(None, "cannot be read")
