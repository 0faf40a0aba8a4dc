"""A benchmark from request to rows."""

from collections.abc import Callable, Iterator
from pathlib import Path

from faceren.assets import model_path
from faceren.bench.quality.ablation import ablation_suite
from faceren.bench.quality.crops import crops_suite
from faceren.bench.quality.suite import quality_suite
from faceren.bench.request import Request, Suite
from faceren.bench.rows import LeftOut, Row
from faceren.bench.speed.suite import speed_suite
from faceren.inference import Restorer, load_restorer


def benchmark(
    request: Request, restorer: Restorer, *, progress: Callable[[int, int], None] | None = None
) -> Iterator[Row]:
    """Yield the figures as they are measured.

    Args:
        request: What to measure.
        restorer: The model that the request names, loaded.
        progress: Called with the images scored and their number.

    Raises:
        ConfigError: If a task, a metric or the model is unknown.
        NothingToDoError: If there is no image.
        ImageError: If a face cannot be read or restored.
    """
    if request.suite in ("speed", "all"):
        yield from speed_suite(request, restorer)
    if request.suite in ("quality", "all"):
        yield from quality_suite(request, progress=progress)
    if _wanted(request, "ablation", request.train):
        yield from ablation_suite(request, progress=progress)
    elif request.suite == "all":
        yield LeftOut("the ablation", "it trains: give --train FOLDER, and --budget MINUTES")
    if _wanted(request, "crops", request.crops):
        yield from crops_suite(request, restorer)
    elif request.suite == "all":
        yield LeftOut("faces of an old photograph", "give --crops PHOTO")


def _wanted(request: Request, suite: Suite, given: Path | None) -> bool:
    """Return whether a suite was asked for, by name or by giving what it needs."""
    return request.suite == suite or (request.suite == "all" and given is not None)


def load(request: Request) -> Restorer:
    """Return the model that the request names, on its device."""
    return load_restorer(
        model_path(request.model), device=request.device, precision=request.precision
    )
