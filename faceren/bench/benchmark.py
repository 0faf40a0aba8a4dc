"""A benchmark from request to rows, and the files that it leaves."""

import json
from collections.abc import Iterator
from pathlib import Path

from faceren.assets import model_path
from faceren.bench.output.figures import figures, patch_sheet
from faceren.bench.output.page import can_plot, write_benchmark_page
from faceren.bench.output.report import Report, markdown, quality_csv
from faceren.bench.quality.ablation import PatchRow, ablation_suite, crops_suite
from faceren.bench.quality.repair import repair_suite
from faceren.bench.quality.suite import Quality, face_set, quality_suite
from faceren.bench.request import LeftOut, Request, Row
from faceren.bench.speed.suite import speed_suite
from faceren.commands.evaluate import Scored
from faceren.files import atomic_write
from faceren.images import write_png
from faceren.inference import TorchRestorer, load_restorer


def benchmark(request: Request, restorer: TorchRestorer) -> Iterator[Row | Scored]:
    """Yield the figures as they are measured.

    Args:
        request: What to measure.
        restorer: The model that the request names, loaded.

    Yields:
        A row as soon as it is measured, and ``Scored`` after each image on the way to one.

    Raises:
        ConfigError: If a task, a metric or the model is unknown.
        NothingToDoError: If there is no image.
        ImageError: If a face cannot be read or restored.
    """
    whole = request.suite == "all"
    if whole or request.suite == "speed":
        yield from speed_suite(request, restorer)
    if whole or request.suite == "quality":
        yield from quality_suite(request)
    if request.suite == "repair":
        yield from repair_suite(request)
    if request.suite == "ablation" or (whole and request.train is not None):
        yield from ablation_suite(request)
    elif whole:
        yield LeftOut("the ablation", "it trains: give --train FOLDER, --steps and --seeds")
    if request.suite == "crops" or (whole and request.crops is not None):
        yield from crops_suite(request)
    elif whole:
        yield LeftOut("faces of an old photograph", "give --crops PHOTO")


def load(request: Request) -> TorchRestorer:
    """Return the model that the request names, on its device."""
    return load_restorer(
        model_path(request.model), device=request.device, precision=request.precision
    )


def write_outputs(report: Report, request: Request, restorer: TorchRestorer) -> list[Path]:
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
