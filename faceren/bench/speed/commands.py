"""Time of whole commands, of photos by their size, and of a folder: streamed, and one by one."""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
from PIL import Image

from faceren.assets import samples_dir
from faceren.bench.request import Request, Row
from faceren.engines import Restorer
from faceren.errors import ImageError, MachineError
from faceren.images import DEFAULT_MAX_PIXELS, read_rgb, write_png
from faceren.restoration.options import RestoreOptions
from faceren.restoration.pipeline import AUTOMATIC_WORKERS, Pipeline
from faceren.restoration.results import PhotoResult
from faceren.runs.plan import Job

PHOTOS = 200
BLOCK = 100
"""Photos that each way restores in turn, so that both see the same machine."""
SIZES = (0.7, 1.0, 1.4, 2.0)
"""Factors by which the shipped photos are enlarged."""
SUFFIXES = (".jpg", ".jpg", ".jpg", ".png", ".tif")


@dataclass(frozen=True, kw_only=True)
class FolderSpeed(Row):
    """Figures of one folder of photos, decoded, restored, written and recorded."""

    section: ClassVar[str] = "folder"
    photos: int
    faces: int
    photos_per_second: float
    faces_per_second: float
    speedup: float
    """Time of one photo and one face at a time, divided by the pipeline's."""
    network_share: float
    """Share of the pipeline's time in which the network computes."""
    seconds: float
    """Time of the pipeline; its stages, below, overlap."""
    seconds_alone: float
    """Time of one photo and one face at a time."""
    prepare_seconds: float
    """Decoding, detecting, aligning, in all threads together."""
    network_seconds: float
    finish_seconds: float
    """Measuring identity, pasting, encoding, writing, in all threads together."""
    workers: int
    peak_mib: float
    """Largest resident memory of this process until the end of the run."""

    def line(self) -> str:
        """Return the row as it is shown."""
        return (
            f"folder of {self.photos} photos, {self.faces} faces  "
            f"{self.photos_per_second:.2f} photos/s  {self.faces_per_second:.2f} faces/s  "
            f"{self.speedup:.2f}× one at a time  network {self.network_share:.0%} of the time  "
            f"peak {self.peak_mib:.0f} MiB"
        )


def folder_speed(
    restorer: Restorer, *, photos: int = PHOTOS, workers: int = AUTOMATIC_WORKERS
) -> FolderSpeed:
    """Generate a folder of photos, restore it both ways in turns, and return the figures.

    Args:
        restorer: The loaded network.
        photos: How many photos to generate.
        workers: Threads beside the network.

    Raises:
        ImageError: If a photo fails.
    """
    with tempfile.TemporaryDirectory(prefix="faceren-") as name:
        folder = Path(name)
        jobs = list(photo_folder(folder / "in", folder / "out", photos))
        ours, alone = (
            Pipeline(
                restorer=restorer,
                options=RestoreOptions(),
                max_pixels=DEFAULT_MAX_PIXELS,
                workers=workers,
            )
            for _ in range(2)
        )
        _counted(map(alone.one, jobs[:3]))  # loads the detector and warms up
        seconds, seconds_alone, faces = 0.0, 0.0, 0
        for start in range(0, photos, BLOCK):
            block = jobs[start : start + BLOCK]
            began = time.perf_counter()
            faces += _counted(ours.run(block))
            between = time.perf_counter()
            _counted(map(alone.one, block))
            seconds += between - began
            seconds_alone += time.perf_counter() - between
    return FolderSpeed(
        photos=photos,
        faces=faces,
        photos_per_second=photos / seconds,
        faces_per_second=faces / seconds,
        speedup=seconds_alone / seconds,
        network_share=ours.timing.network / seconds,
        seconds=seconds,
        seconds_alone=seconds_alone,
        prepare_seconds=ours.timing.prepare,
        network_seconds=ours.timing.network,
        finish_seconds=ours.timing.finish,
        workers=workers,
        peak_mib=peak_bytes() / 2**20,
    )


def peak_bytes() -> int:
    """Return the largest resident memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _counted(results: Iterable[PhotoResult]) -> int:
    """Do the work; return the number of faces."""
    faces = 0
    for result in results:
        if result.status == "failed":
            raise ImageError(result.reason)
        faces += len(result.faces)
    return faces


def photo_folder(source: Path, output: Path, count: int) -> Iterator[Job]:
    """Make a folder from the shipped photos, always the same: sizes, formats, mirrored twins.

    Args:
        source: The folder to make.
        output: Where the restored photos will go.
        count: How many photos.

    Yields:
        The job of restoring each, as soon as it is written.
    """
    source.mkdir()
    shipped = sorted(path for path in samples_dir().iterdir() if path.is_file())
    samples = [read_rgb(path) for path in shipped if path.suffix != ".md"]
    for index in range(count):
        rng = np.random.default_rng(index)
        path = source / f"{index:03d}{rng.choice(SUFFIXES)}"
        photo = samples[index % len(samples)]
        scale, step = float(rng.choice(SIZES)), int(rng.choice((1, -1)))
        size = [round(side * scale) for side in photo.shape[1::-1]]
        by = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
        grown = cv2.resize(photo, size, interpolation=by)
        Image.fromarray(np.ascontiguousarray(grown[:, ::step])).save(path)
        yield Job(path, output / path.name, path.name)


PORTRAIT = "portrait_gray.jpg"
"""The shipped photo with one large face that is restored."""
RUNS = 5
"""Times that each command runs, after one run that warms the disk up and tells the memory."""
MEGAPIXELS = (1, 4, 16)
PASSES = 3
PEAK = """
import sys
from faceren import cli
try:
    cli.main()
except SystemExit as stopped:
    if stopped.code:
        raise
for line in open("/proc/self/status"):
    if line.startswith("VmHWM"):
        print(int(line.split()[1]) * 1024 / 1e6)
"""


@dataclass(frozen=True, kw_only=True)
class CommandSpeed(Row):
    """One command on one photo, in processes of its own."""

    section: ClassVar[str] = "commands"
    command: str
    seconds: float
    """From the start of the process to its end; the median of RUNS."""
    cpu_seconds: float
    """What its threads computed, together; the median."""
    peak_mb: float | None
    """Most memory of the process, 10^6 bytes; None where the system does not tell."""

    def line(self) -> str:
        """Return the row as it is shown."""
        memory = "" if self.peak_mb is None else f"  peak {self.peak_mb:.0f} MB"
        return f"{self.command}  {self.seconds:.2f} s, {self.cpu_seconds:.2f} s of work{memory}"


def command_speed(request: Request, *, runs: int = RUNS) -> Iterator[CommandSpeed]:
    """Time the commands that a person waits for, with one portrait.

    Args:
        request: Names the model and the device.
        runs: How often each is timed.

    Raises:
        MachineError: If a command fails.
    """
    photo = samples_dir() / PORTRAIT
    with tempfile.TemporaryDirectory(prefix="faceren-") as name:
        out = Path(name, "out")
        restore: list[str | Path] = ["restore", photo, "-o", out, "--overwrite"]
        restore += ["--model", request.model, "--device", request.device]
        restore += ["--precision", request.precision]
        degrade: list[str | Path] = [
            "degrade",
            photo,
            "--task",
            "full",
            "-o",
            Path(name, "bad"),
            "--overwrite",
        ]
        shown: dict[str, Sequence[str | Path]] = {
            "restore a portrait": restore,
            "restore --report-only": ["restore", "--report-only", out],
            "restore a portrait --engine torch": [*restore, "--engine", "torch"],
            "degrade a portrait": degrade,
        }
        for command, arguments in shown.items():
            peak = _peak(arguments)
            each = [_cost(arguments) for _ in range(runs)]
            seconds, cpu = (statistics.median(column) for column in zip(*each, strict=True))
            yield CommandSpeed(command=command, seconds=seconds, cpu_seconds=cpu, peak_mb=peak)


def _peak(arguments: Sequence[str | Path]) -> float | None:
    """Run a command; return the most memory that it had, in 10^6 bytes.

    The process tells it: its parent is told of its own memory, too, which the fork once shared.
    """
    if sys.platform != "linux":
        _cost(arguments)
        return None
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *arguments, "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise MachineError(f"faceren {arguments[0]} failed: {done.stderr.strip()}")
    return float(done.stdout.split()[-1])


def _cost(arguments: Sequence[str | Path]) -> tuple[float, float]:
    """Run a command; return its time and that of its work, in seconds."""
    before, began = os.times(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "faceren", *arguments, "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    seconds, after = time.perf_counter() - began, os.times()
    if done.returncode:
        raise MachineError(f"faceren {arguments[0]} failed: {done.stderr.strip()}")
    work = after.children_user + after.children_system
    return seconds, work - before.children_user - before.children_system


@dataclass(frozen=True, kw_only=True)
class PhotoSpeed(Row):
    """A portrait on a sheet of some size, once everything is loaded."""

    section: ClassVar[str] = "photo"
    megapixels: int
    seconds: float
    """From the file to the file; the median."""
    network_seconds: float
    """Part of that in which the network computes; the mean."""

    def line(self) -> str:
        """Return the row as it is shown."""
        return (
            f"a portrait in a PNG of {self.megapixels} megapixels  {self.seconds:.2f} s, "
            f"of that the network {self.network_seconds:.2f} s"
        )


def photo_speed(
    restorer: Restorer, *, megapixels: Sequence[int] = MEGAPIXELS, passes: int = PASSES
) -> Iterator[PhotoSpeed]:
    """Time one portrait on larger and larger sheets of gray: what the rest of a photo costs.

    Args:
        restorer: The loaded network.
        megapixels: Sizes of the sheets.
        passes: How often each is restored, after one that warms up.

    Raises:
        MachineError: If one fails.
    """
    portrait = read_rgb(samples_dir() / PORTRAIT)
    height, width = portrait.shape[:2]
    with tempfile.TemporaryDirectory(prefix="faceren-") as name:
        for size in megapixels:
            path = Path(name, f"{size}.png")
            side = round((size * 1e6) ** 0.5)
            down, across = (max(0, side - have) // 2 for have in (height, width))
            sheet = np.pad(portrait, ((down, down), (across, across), (0, 0)), constant_values=128)
            write_png(path, sheet)
            pipeline = Pipeline(
                restorer=restorer,
                options=RestoreOptions(),
                max_pixels=DEFAULT_MAX_PIXELS,
                workers=1,
            )
            job = Job(path, Path(name, "out", path.name), path.name)
            times, before = [], 0.0
            for index in range(passes + 1):
                began = time.perf_counter()
                result = pipeline.one(job)
                if result.status != "restored":
                    raise MachineError(f"{path.name}: {result.reason or result.status}")
                if index:
                    times.append(time.perf_counter() - began)
                else:
                    before = pipeline.timing.network
            yield PhotoSpeed(
                megapixels=size,
                seconds=statistics.median(times),
                network_seconds=(pipeline.timing.network - before) / passes,
            )
