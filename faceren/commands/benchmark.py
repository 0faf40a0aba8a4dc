"""How fast a network is here, and how good: the figures of a machine, each measured."""

import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

import faceren
from faceren.assets import model_path, samples_dir
from faceren.commands.degrade import degrade
from faceren.commands.evaluate import evaluate
from faceren.commands.restore import restore
from faceren.config import check_choice
from faceren.degradation import apply, check_task, draw, resize
from faceren.errors import ImageError
from faceren.images import find_images, read_rgb
from faceren.inference import Restorer, load_restorer
from faceren.metrics.names import parse_metrics
from faceren.metrics.results import Evaluation
from faceren.restoration.options import RestoreOptions

Suite = Literal["quality", "speed", "all"]
SAMPLES = Path("sample_photos/clean")
SIZES = (256, 512)
DEGRADATIONS = (("full", 512), ("full", 256), ("mixed", 256), ("historic", 512))
CPU_BATCHES, GPU_BATCHES = (1,), (1, 8, 16)


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Time of the network for one size and batch."""

    model: str
    size: int
    """Side of the faces in pixels."""
    batch: int
    """Faces a pass."""
    gmac: float
    """Multiply-accumulate operations of one face, in thousands of millions."""
    faces_per_second: float
    """From the median time."""
    iqr_percent: float
    """Interquartile range of the time, in percent of its median."""
    repeats: int
    """Passes timed."""

    def to_json(self) -> dict[str, Any]:
        """Return the row as numbers and names."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class DegradationSpeed:
    """Time of the simulator in one process: what is drawn and applied, without files."""

    task: str
    size: int
    """Side of the images in pixels."""
    images_per_second: float
    """From the mean time; the draws differ much in cost."""
    repeats: int
    """Images timed."""

    def to_json(self) -> dict[str, Any]:
        """Return the row as numbers and names."""
        return asdict(self)


def degradation_speed(*, seconds: float = 3.0) -> Iterator[DegradationSpeed]:
    """Time the simulator on a shipped face; yield the rows as they are measured.

    Args:
        seconds: Least time to spend on a row.
    """
    face = read_rgb(next(find_images([samples_dir() / "clean"])).path)
    for task, size in DEGRADATIONS:
        image = resize(face, height=size, width=size, by="area")
        apply(image, draw(task, seed=0, size=size))  # warms up
        began, count = time.perf_counter(), 0
        while count == 0 or time.perf_counter() - began < seconds:
            apply(image, draw(task, seed=count, size=size))
            count += 1
        rate = count / (time.perf_counter() - began)
        yield DegradationSpeed(task=task, size=size, images_per_second=rate, repeats=count)


def machine(restorer: Restorer) -> dict[str, Any]:
    """Return what a figure of speed depends on beside the network."""
    gpu = restorer.device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(restorer.device) if gpu else platform.processor(),
        "kind": restorer.device.type,
        "dtype": str(restorer.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "faceren": faceren.__version__,
        "weights_sha256": restorer.checkpoint.sha256,
    }


def gmacs(restorer: Restorer, size: int) -> float:
    """Return the multiply-accumulate operations of one face of ``size`` pixels, in 10^9."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        restorer.checkpoint.network(
            torch.zeros(1, 3, size, size, device=restorer.device, dtype=restorer.dtype)
        )
    return counter.get_total_flops() / 2e9


def speed(model: str, restorer: Restorer, *, seconds: float = 3.0) -> Iterator[Speed]:
    """Time the network at each size and batch; yield the rows as they are measured.

    Args:
        model: Name for the rows.
        restorer: The loaded network.
        seconds: Least time to spend on a row, after one pass to warm up.
    """
    from torch.utils.benchmark import Timer  # imports compilers, which log

    batches = CPU_BATCHES if restorer.device.type == "cpu" else GPU_BATCHES
    for size in SIZES:
        work = gmacs(restorer, size)
        for batch in batches:
            faces = torch.rand(batch, 3, size, size)
            restorer.restore(faces)
            restorer.batch_size = batch
            timer = Timer(
                "restorer.restore(faces)",
                globals={"restorer": restorer, "faces": faces},
                num_threads=torch.get_num_threads(),
            )
            measured = timer.blocked_autorange(min_run_time=seconds)
            yield Speed(
                model=model,
                size=size,
                batch=batch,
                gmac=work,
                faces_per_second=batch / measured.median,
                iqr_percent=100 * measured.iqr / measured.median,
                repeats=len(measured.times) * measured.number_per_run,
            )


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Scores of one method on one task."""

    task: str
    method: str
    """``input`` is the degraded photo itself."""
    evaluation: Evaluation

    def to_json(self) -> dict[str, Any]:
        """Return the row with its figures, their intervals and what computed them."""
        report = self.evaluation.to_json()
        return {"task": self.task, "method": self.method, "n": report["n"]} | report["metrics"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to measure."""

    clean: Path = SAMPLES
    """Folder of aligned clean faces; their shorter sides become 512 pixels."""
    output: Path = Path("benchmark")
    """Folder for degraded and restored faces; what is there already is not made again."""
    suite: Suite = "all"
    tasks: tuple[str, ...] = ("full",)
    """Tasks of ``degrade``."""
    metrics: tuple[str, ...] = ("psnr", "ssim", "lpips")
    """See ``evaluate``."""
    model: str = "compact"
    """A shipped model's name or the path of a checkpoint."""
    limit: int | None = None
    """The first so many faces only."""
    seconds: float = 3.0
    """Least time for each figure of speed."""
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        check_choice("--suite", self.suite, Suite)
        for task in self.tasks:
            check_task(task)
        parse_metrics(self.metrics)


def benchmark(
    request: Request, restorer: Restorer, *, progress: Callable[[int, int], None] | None = None
) -> Iterator[Speed | DegradationSpeed | Quality]:
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
    if request.suite != "quality":
        yield from speed(model_name(request.model), restorer, seconds=request.seconds)
        yield from degradation_speed(seconds=request.seconds)
    if request.suite != "speed":
        for task in request.tasks:
            yield from quality(request, task, progress=progress)


def quality(
    request: Request, task: str, *, progress: Callable[[int, int], None] | None = None
) -> Iterator[Quality]:
    """Degrade clean aligned faces, restore them, score input and output; yield both rows."""
    faces = [found.path for found in find_images([clean_faces(request.clean)])][: request.limit]
    name = model_name(request.model)
    damaged, renewed = request.output / task / "input", request.output / task / name
    for twin in degrade(faces, damaged, task=task, seed=request.seed):
        if twin.status == "failed":
            raise ImageError(twin.reason)
    run = restore(
        [damaged],
        renewed,
        model=request.model,
        options=RestoreOptions(aligned=True, color="free"),
        device=request.device,
        precision=request.precision,
    )
    for photo in run.results:
        if "failed" in (photo.status, photo.previous):
            raise ImageError(photo.reason)
    for method, folder in (("input", damaged), (name, renewed)):
        scores = evaluate(
            folder,
            metrics=request.metrics,
            limit=request.limit,
            device=request.device,
            progress=progress,
        )
        yield Quality(task=task, method=method, evaluation=scores)


def clean_faces(folder: Path) -> Path:
    """Return the folder, or the shipped faces in place of a ``sample_photos/clean`` not there."""
    return samples_dir() / "clean" if folder == SAMPLES and not folder.exists() else folder


def model_name(model: str) -> str:
    """Return a short name: a checkpoint's file name without its suffix."""
    return Path(model).stem if Path(model).suffix else model


def load(request: Request) -> Restorer:
    """Return the model that the request names, on its device."""
    return load_restorer(
        model_path(request.model), device=request.device, precision=request.precision
    )
