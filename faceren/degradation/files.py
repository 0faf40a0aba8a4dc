"""Degrade one file: read, resize, draw, apply, write; and say what was done."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import faceren
from faceren.arrays import Rgb8
from faceren.degradation.degradation import Degradation, apply
from faceren.degradation.drawing import draw
from faceren.degradation.resampling import Filter, resize
from faceren.errors import ConfigError, FacerenError, ImageError
from faceren.files import sha256_of
from faceren.images import DEFAULT_MAX_PIXELS, read_rgb, shown, write_png

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
class Recipe:
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
class Job:
    """One output to make."""

    source: Path
    output: Path
    key: str
    """The output's path below the output folder, with forward slashes."""
    relative: str
    """The input's path below its folder, with forward slashes."""
    copy: int = 0
    """Number of the copy, from 0."""
    recipe: Recipe | None = None
    refusal: str = ""
    """Why this cannot be done, if ``recipe`` is None."""
    input_sha256: str = ""
    """The clean file must have this hash; empty accepts any."""
    expected_sha256: str = ""
    """The output should have this hash; empty expects nothing."""
    done: tuple[str, str, str] | None = None
    """Hashes of input and output and digest of the recipe of an earlier run, if it succeeded."""
    max_pixels: int = DEFAULT_MAX_PIXELS


@dataclass(frozen=True, kw_only=True)
class Degraded:
    """What became of one job."""

    job: Job
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

    def to_json(self) -> dict[str, Any]:
        """Return the manifest's line."""
        recipe = self.job.recipe
        return {
            "key": self.job.key,
            "input": str(self.job.source),
            "input_sha256": self.input_sha256,
            "output": None if self.status == "failed" else str(self.job.output),
            "output_sha256": self.output_sha256,
            "status": self.status,
            "reason": self.reason,
            "relative": self.job.relative,
            "copy": self.job.copy,
            "task": recipe and recipe.task,
            "seed": recipe and recipe.seed,
            "settings": recipe and recipe.digest(),
            "resize": self.resize and asdict(self.resize),
            "degradation": self.degradation and self.degradation.to_json(),
        }


def unchanged(job: Job) -> Degraded | None:
    """Return the result of a job that an earlier run has done already, None if it is to be done."""
    if job.done is None or job.recipe is None:
        return None
    try:
        source, written = sha256_of(job.source), sha256_of(job.output)
    except OSError:  # one of them is not there, or not readable: doing the job will tell
        return None
    if job.done != (source, written, job.recipe.digest()):
        return None
    return Degraded(job=job, status="skipped", input_sha256=source, output_sha256=written)


def degrade_file(job: Job) -> Degraded:
    """Do one job; a bad file gives a failed result, a full disk an error.

    Raises:
        MachineError: If the output cannot be written.
    """
    try:
        recipe = _checked(job)
        clean, digest = _read(job)
        scaling, degradation = recipe.draw(clean)
        damaged = apply(scaling(clean) if scaling else clean, degradation)
    except FacerenError as error:
        return Degraded(job=job, status="failed", reason=str(error))
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


def _checked(job: Job) -> Recipe:
    if job.recipe is None:
        raise ImageError(job.refusal)
    return job.recipe


def _read(job: Job) -> tuple[Rgb8, str]:
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
            f"{shown(job.source)}: {width}×{height} pixels, expected at least {SMALLEST_SIDE} on "
            f"the shorter side; give a larger image"
        )
    return clean, digest
