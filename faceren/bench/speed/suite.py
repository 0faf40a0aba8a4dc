"""The suite ``speed``: how fast this machine is, row by row, and what the figures depend on.

The smaller measurements stand here: the first face in a fresh process, the simulator, and some
steps of training.
"""

import multiprocessing
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

import faceren
from faceren.assets import model_path, models_dir, samples_dir
from faceren.bench.request import LeftOut, Request, Row
from faceren.bench.speed.commands import command_speed, folder_speed, photo_speed
from faceren.bench.speed.network import engine_speed, peer_speed, roofline, speed
from faceren.checks import Json
from faceren.commands.train import train
from faceren.degradation import apply, draw, resize
from faceren.engines import OnnxRestorer, load_engine
from faceren.images import find_images, read_rgb
from faceren.inference import TorchRestorer, load_restorer
from faceren.training.events import Finished, Progress


def machine(restorer: TorchRestorer) -> Json:
    """Return device, number type, threads and versions."""
    gpu = restorer.device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(restorer.device) if gpu else processor(),
        "kind": restorer.device.type,
        "dtype": str(restorer.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "faceren": faceren.__version__,
        "commit": commit(),
        "weights_sha256": restorer.checkpoint.sha256,
    }


def processor() -> str:
    """Return the name of this machine's processor, as well as the system tells it."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(errors="replace").splitlines() if facts.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def commit() -> str | None:
    """Return the git commit that the package runs from; None if it is installed."""
    root = Path(faceren.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    try:
        found = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:  # no git here
        return None
    return found.stdout.strip() or None


@contextmanager
def fresh_process() -> Iterator[ProcessPoolExecutor]:
    """Start one process that shares nothing with this one; it ends with the context."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as process:
        yield process


def peak_mb() -> float | None:
    """Return the most memory of this process, in 10^6 bytes; None where it cannot be told."""
    if sys.platform == "linux":
        lines = Path("/proc/self/status").read_text().splitlines()
        kilobytes = next(line.split()[1] for line in lines if line.startswith("VmHWM"))
        return int(kilobytes) * 1024 / 1e6
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return None


PHOTOS = 50
"""Photos of the folder that is restored from end to end."""
THOROUGH = 1.0
"""Seconds a figure from which on the minutes that the other networks take are spent, too."""
COLD_SIZE = 512
"""Side in pixels of the face that is restored in a fresh process."""
DEGRADATIONS = (("full", 512), ("full", 256), ("mixed", 256), ("historic", 512))
"""Tasks, and sides of the images in pixels."""
STEPS, BATCH, SIZE = 6, 8, 256
"""Steps of training, images of each, and their side in pixels."""
WARM_UP = 2
"""Steps that are not timed."""


def speed_suite(request: Request, restorer: TorchRestorer) -> Iterator[Row]:
    """Yield the figures of speed as they are measured.

    Args:
        request: What to measure.
        restorer: The model that the request names, loaded.
    """
    best = roofline(restorer, seconds=min(1.0, request.seconds))
    yield best
    yield from speed(request.model_name, restorer, best, seconds=request.seconds)
    yield from degradation_speed(seconds=request.seconds)
    if request.seconds < THOROUGH:
        why = f"--seconds {request.seconds:g} is a quick look; they take minutes"
        yield LeftOut("cold start, a folder, training, and other networks", why)
        return
    used = load_engine(
        model_path(request.model), device=request.device, precision=request.precision
    )  # what a user of ``restore`` gets
    yield from command_speed(request)
    yield from cold_start(request)
    yield from photo_speed(used)
    yield folder_speed(used, photos=PHOTOS)
    yield from training_speed(request)
    onnx = used if isinstance(used, OnnxRestorer) else None
    if onnx is not None:
        yield from engine_speed(request.model_name, restorer, onnx)
    yield from peer_speed(request.model_name, restorer, onnx)


@dataclass(frozen=True, kw_only=True)
class Cold(Row):
    """A face of 512 pixels in torch, from nothing."""

    section: ClassVar[str] = "cold_start"
    model: str
    first_seconds: float
    """From the start of the process to the first restored face."""
    load_seconds: float
    """Part of that in which the weights are read."""
    next_seconds: float
    """Time of the face after it."""
    peak_mb: float | None
    """Most memory of the process, 10^6 bytes; on a GPU its memory is not counted."""

    def line(self) -> str:
        """Return the row as it is shown."""
        memory = "" if self.peak_mb is None else f"  peak {self.peak_mb:.0f} MB"
        return (
            f"{self.model} in torch  {COLD_SIZE} px  first face {self.first_seconds:.1f} s after "
            f"the start (weights {self.load_seconds:.2f} s), next {self.next_seconds:.2f} s{memory}"
        )


def cold_start(request: Request) -> Iterator[Cold]:
    """Time the model of a request in a process of its own."""
    began = time.time()  # the clock that processes share
    with fresh_process() as process:
        weights = model_path(request.model)
        task = process.submit(first_faces, weights, request.device, request.precision)
        loaded, first, following, memory = task.result()
    yield Cold(
        model=request.model_name,
        first_seconds=first - began,
        load_seconds=loaded,
        next_seconds=following,
        peak_mb=memory,
    )


def first_faces(
    weights: Path, device: str, precision: str
) -> tuple[float, float, float, float | None]:
    """Restore two faces; return load time, when the first was done, the second's time, memory."""
    began = time.time()
    restorer = load_restorer(weights, device=device, precision=precision)
    loaded = time.time() - began
    face = torch.full((1, 3, COLD_SIZE, COLD_SIZE), 0.5)
    restorer.restore(face)
    first = time.time()
    restorer.restore(face)
    return loaded, first, time.time() - first, peak_mb()


@dataclass(frozen=True, kw_only=True)
class DegradationSpeed(Row):
    """Images a second of one task at one size."""

    section: ClassVar[str] = "degradation"
    task: str
    size: int
    """Side of the images in pixels."""
    images_per_second: float
    """Images timed by the time they took; a mean, as the draws differ much in cost."""
    repeats: int
    """Number of images timed."""

    def line(self) -> str:
        """Return the row as it is shown."""
        return (
            f"degrade {self.task}  {self.size} px  one process  "
            f"{self.images_per_second:.1f} images/s"
        )


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


@dataclass(frozen=True, kw_only=True)
class TrainingSpeed(Row):
    """Steps of a recipe, data loading and degradation among it."""

    section: ClassVar[str] = "training"
    recipe: str
    batch: int
    size: int
    """Side of the images in pixels."""
    images_per_second: float
    steps: int
    """Number of steps timed."""

    def line(self) -> str:
        """Return the row as it is shown."""
        return (
            f"train {self.recipe}  {self.size} px  batch {self.batch}  "
            f"{self.images_per_second:.2f} images/s"
        )


def training_speed(request: Request, *, steps: int = STEPS) -> Iterator[TrainingSpeed]:
    """Take some steps of the compact recipe on the shipped faces; nothing of them is kept."""
    clean = samples_dir() / "clean"
    with tempfile.TemporaryDirectory() as folder:
        overrides = (
            f"data.train=[{clean},{clean}]",  # there must be as many images as a batch has
            f"data.validation=[{clean}]",
            f"data.size={SIZE}",
            f"train.batch={BATCH}",
            f"train.steps={steps}",
            "validate.images=1",
        )
        recipe = models_dir() / "compact.yaml"
        times = []
        for event in train(
            recipe, overrides=overrides, output=Path(folder) / "run", device=request.device
        ):
            if isinstance(event, Progress):
                times.append(time.perf_counter())
            if isinstance(event, Finished) and event.interrupted:
                raise KeyboardInterrupt
    timed = len(times) - WARM_UP
    yield TrainingSpeed(
        recipe=recipe.stem,
        batch=BATCH,
        size=SIZE,
        images_per_second=timed * BATCH / (times[-1] - times[WARM_UP - 1]),
        steps=timed,
    )
