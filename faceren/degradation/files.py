"""Degrade files, in several processes, and say what was done; or show it all on one sheet.

Processes import this module and what it needs: no torch, so that they start in half a second.
"""

import hashlib
import json
import multiprocessing
import signal
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import faceren
from faceren.arrays import Rgb8
from faceren.checks import Json
from faceren.degradation.degradation import Degradation, apply
from faceren.degradation.drawing import NATIVE_SIZE, PAPER_TASKS, draw
from faceren.degradation.pixels import item_seed
from faceren.degradation.presets import PRESETS
from faceren.degradation.resolution import Filter, resize
from faceren.errors import ConfigError, FacerenError, ImageError, MachineError, unforeseen
from faceren.files import sha256_of
from faceren.images import DEFAULT_MAX_PIXELS, read_rgb, shown, write_png
from faceren.runs.manifest import Line
from faceren.runs.plan import Job
from faceren.runs.resume import unchanged
from faceren.runs.storage import spelled

ROWS = (("clean", *PAPER_TASKS, "small"), (*PRESETS, "historic", "worn", "mixed"))
"""What the two rows of each face show, from left to right."""

GAP = 8
INK = (32, 32, 32)
PAPER = (250, 250, 248)


def render(faces: Sequence[Rgb8], *, seed: int = 0, cell: int = 256) -> Rgb8:
    """Return the sheet: two labelled rows of pictures for each face.

    Every picture is damaged at 512 pixels and then shown smaller or larger.

    Args:
        faces: Clean images, (H, W, 3) RGB; the middle square is shown.
        seed: Seed of what is drawn.
        cell: Side of each picture, pixels.
    """
    label = max(16, cell // 12)
    width = GAP + len(ROWS[0]) * (cell + GAP)
    height = GAP + len(faces) * len(ROWS) * (cell + label + GAP)
    page = Image.new("RGB", (width, height), PAPER)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=round(label * 0.72))
    for index, face in enumerate(faces):
        side = min(face.shape[:2])
        first, start = (face.shape[0] - side) // 2, (face.shape[1] - side) // 2
        middle = np.ascontiguousarray(face[first : first + side, start : start + side])
        square = _scaled(middle, NATIVE_SIZE)
        for number, row in enumerate(ROWS):
            top = GAP + (index * len(ROWS) + number) * (cell + label + GAP)
            for column, name in enumerate(row):
                left = GAP + column * (cell + GAP)
                pen.text((left, top), name, INK, font)
                shown = square
                if name != "clean":
                    shown = apply(square, draw(name, seed=item_seed(seed, name, index)))
                page.paste(Image.fromarray(_scaled(shown, cell)), (left, top + label))
    return np.array(page, np.uint8)


def _scaled(square: Rgb8, side: int) -> Rgb8:
    return resize(square, height=side, width=side, by="area" if side < square.shape[0] else "cubic")


SMALLEST_SIDE = 64
"""Images with a shorter side below this are refused, pixels."""


@dataclass(frozen=True, kw_only=True)
class Resize:
    """How a clean image was scaled before it was degraded."""

    width: int
    height: int
    filter: Filter

    @classmethod
    def to_side(cls, image: Rgb8, side: int | None) -> "Resize | None":
        """Return what gives the image's shorter side ``side`` pixels; None if nothing is needed.

        Args:
            image: (H, W, 3).
            side: Of the result; None keeps the size. Areas are averaged when it is smaller.
        """
        height, width = image.shape[:2]
        short = min(height, width)
        if side is None or side == short:
            return None
        wide, high = (max(side, round(n * side / short)) for n in (width, height))
        return cls(width=wide, height=high, filter="area" if side < short else "cubic")

    @classmethod
    def from_json(cls, value: object) -> "Resize | None":
        """Return what a manifest line says under ``resize``.

        Raises:
            ConfigError: If it is neither null nor an object of width, height and filter.
        """
        if value is None:
            return None
        if isinstance(value, dict) and set(value) == {"width", "height", "filter"}:
            whole = all(type(value[k]) is int and 0 < value[k] < 2**16 for k in ("width", "height"))
            if whole and value["filter"] in ("area", "cubic"):
                return cls(**value)
        raise ConfigError(f"resize: expected width, height and filter, got {value!r:.80}")

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the scaled image."""
        return resize(image, height=self.height, width=self.width, by=self.filter)


@dataclass(frozen=True, kw_only=True)
class DegradeSettings:
    """What to do to a file, whatever its pixels: enough to do it again."""

    task: str
    seed: int
    """Of this copy of this file, see ``item_seed``."""
    size: int | None = 512
    """Shorter side of the output, pixels; None keeps the input's."""
    compat: tuple[str, ...] = ()
    degradation: Degradation | None = None
    """What a manifest says, to be done again; None draws it."""
    resize: Resize | None = None
    """The same; only looked at with ``degradation``."""

    def digest(self) -> str:
        """Return 16 hexadecimal digits that change with anything that changes the output."""
        ops = self.degradation and self.degradation.to_json()
        parts = [faceren.__version__, self.task, self.seed, self.size, sorted(self.compat), ops]
        text = json.dumps([*parts, self.resize and asdict(self.resize)])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def draw(self, image: Rgb8) -> tuple[Resize | None, Degradation]:
        """Return how to scale this clean image, and what to do to the scaled one."""
        if self.degradation is not None:
            return self.resize, self.degradation
        scaling = Resize.to_side(image, self.size)
        side = min((scaling.height, scaling.width) if scaling else image.shape[:2])
        return scaling, draw(self.task, seed=self.seed, size=side, compat=self.compat)


@dataclass(frozen=True, kw_only=True)
class DegradeJob(Job):
    """One output to make, and how."""

    relative: str
    """The input's path below its folder, with forward slashes."""
    copy: int = 0
    """Number of the copy, from 0."""
    settings: DegradeSettings | None = None
    refusal: str = ""
    """Why this cannot be done, if ``settings`` is None."""
    input_sha256: str = ""
    """The clean file must have this hash; empty accepts any."""
    expected_sha256: str = ""
    """The output should have this hash; empty expects nothing."""
    max_pixels: int = DEFAULT_MAX_PIXELS


@dataclass(frozen=True, kw_only=True)
class Degraded:
    """What became of one job."""

    job: DegradeJob
    status: Literal["degraded", "failed", "skipped"]
    """``skipped``: unchanged since an earlier run."""
    reason: str = ""
    input_sha256: str | None = None
    output_sha256: str | None = None
    resize: Resize | None = None
    degradation: Degradation | None = None

    @property
    def source(self) -> Path:
        """The clean file."""
        return self.job.source

    @property
    def output(self) -> Path:
        """The degraded file; it does not exist if the job failed."""
        return self.job.output

    def to_json(self) -> Json:
        """Return the manifest's line."""
        settings = self.job.settings
        return {
            "key": self.job.key,
            "input": spelled(self.job.source),
            "input_sha256": self.input_sha256,
            "output": None if self.status == "failed" else spelled(self.job.output),
            "output_sha256": self.output_sha256,
            "status": self.status,
            "reason": self.reason,
            "relative": self.job.relative,
            "copy": self.job.copy,
            "task": settings and settings.task,
            "seed": settings and settings.seed,
            "settings": settings and settings.digest(),
            "resize": self.resize and asdict(self.resize),
            "degradation": self.degradation and self.degradation.to_json(),
        }


def degrade_files(
    jobs: Iterable[DegradeJob], earlier: Mapping[str, Line], workers: int
) -> Iterator[Degraded]:
    """Yield the results in order; at most a few jobs per process are under way.

    Args:
        jobs: What to do.
        earlier: Lines of the manifest by key: what is unchanged since is skipped.
        workers: Processes; with 1 the work is done in this one.

    Raises:
        MachineError: If an output cannot be written, or a process dies.
    """
    if workers <= 1:
        yield from (skipped(job, earlier.get(job.key)) or degrade_file(job) for job in jobs)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    waiting: deque[Future[Degraded]] = deque()
    try:
        for job in jobs:
            done = skipped(job, earlier.get(job.key))
            if done is None:
                waiting.append(pool.submit(degrade_file, job))
            else:  # a resumed run may need no process at all
                waiting.append(Future())
                waiting[-1].set_result(done)
            if len(waiting) >= 4 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise MachineError(
            "a worker process died, probably for want of memory; try fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    cv2.setNumThreads(1)


def skipped(job: DegradeJob, line: Line | None) -> Degraded | None:
    """Return the result of a job that an earlier run has done already, None if it is to be done.

    Args:
        job: What is to be done.
        line: What the manifest says of it, if anything.
    """
    if line is None or line.get("status") != "degraded" or job.settings is None:
        return None
    if not unchanged(job, line, job.settings.digest()):
        return None
    return skipped_by(job, line)


def skipped_by(job: DegradeJob, line: Line) -> Degraded:
    """Return the result of a job that an earlier run has done.

    Args:
        job: What would be done.
        line: What the manifest says of it.
    """
    hashes = {name: line[name] for name in ("input_sha256", "output_sha256")}
    return Degraded(job=job, status="skipped", **hashes)


def degrade_file(job: DegradeJob) -> Degraded:
    """Do one job; a bad file gives a failed result, a full disk an error.

    Raises:
        MachineError: If the output cannot be written.
    """
    try:
        if job.settings is None:
            raise ImageError(job.refusal)
        clean = read_rgb(job.source, max_pixels=job.max_pixels)
        digest = sha256_of(job.source)
        if job.input_sha256 not in ("", digest):
            raise ImageError(
                f"{shown(job.source)}: the file has changed since the manifest was written "
                f"(sha256 {digest[:12]}…, expected {job.input_sha256[:12]}…); degrade it anew"
            )
        height, width = clean.shape[:2]
        if min(height, width) < SMALLEST_SIDE:
            raise ImageError(
                f"{shown(job.source)}: {width}×{height} pixels, expected at least "
                f"{SMALLEST_SIDE} on the shorter side; give a larger image"
            )

        scaling, degradation = job.settings.draw(clean)
        damaged = apply(scaling(clean) if scaling else clean, degradation)
    except FacerenError as error:
        return Degraded(job=job, status="failed", reason=str(error))
    except Exception as error:  # a file that no parser has foreseen
        reason = f"{shown(job.source)}: {unforeseen(error)}"
        return Degraded(job=job, status="failed", reason=reason)
    write_png(job.output, damaged)
    written = sha256_of(job.output)
    differs = job.expected_sha256 not in ("", written)
    return Degraded(
        job=job,
        status="degraded",
        reason=f"{shown(job.output)}: replayed, but not to the same bytes" if differs else "",
        input_sha256=digest,
        output_sha256=written,
        resize=scaling,
        degradation=degradation,
    )
