"""The files that a benchmark leaves: JSON, CSV, Markdown, figures, and a page."""

import json
from pathlib import Path

from faceren.bench.output.figures import figures, patch_sheet
from faceren.bench.output.page import can_plot, write_benchmark_page
from faceren.bench.output.report import Report
from faceren.bench.output.text import markdown, quality_csv
from faceren.bench.quality.crops import PatchRow
from faceren.bench.quality.suite import Quality, face_set
from faceren.bench.request import Request
from faceren.bench.rows import LeftOut
from faceren.files import atomic_write
from faceren.images import write_png
from faceren.inference import Restorer


def write_outputs(report: Report, request: Request, restorer: Restorer) -> list[Path]:
    """Write everything into the output folder; return the paths of what a person opens.

    Raises:
        MachineError: If one cannot be written.
    """
    if report.of(Quality) and not can_plot():
        report.rows.append(
            LeftOut("the plots", "matplotlib is not installed; pip install 'faceren[bench]'")
        )
    sheets = []
    if report.of(Quality):
        faces = face_set(request.faces, request.limit)
        sheets = figures(report, faces, restorer, size=request.size)
    if report.of(PatchRow):
        sheets.append(patch_sheet(report.of(PatchRow)))
    for sheet in sheets:
        write_png(request.output / "figures" / f"{sheet.name}.png", sheet.image)
    paths = [request.output / f"benchmark.{suffix}" for suffix in ("json", "csv", "md", "html")]
    write_json(paths[0], report)
    atomic_write(paths[1], quality_csv(report).encode("utf-8", "backslashreplace"))
    atomic_write(paths[2], markdown(report).encode("utf-8", "backslashreplace"))
    write_benchmark_page(paths[3], report, sheets)
    return paths


def write_json(path: Path, report: Report) -> None:
    """Write a report as JSON.

    Raises:
        MachineError: If it cannot be written.
    """
    text = json.dumps(report.to_json(), ensure_ascii=False, indent=1, default=str)
    atomic_write(path, (text + "\n").encode("utf-8", "backslashreplace"))
