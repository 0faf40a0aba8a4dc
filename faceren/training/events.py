"""The events of a training run: small frozen facts, for whoever shows them; and its log.

A run that goes on from a checkpoint first drops what was logged after it, so that a log reads as if
nothing had happened.
"""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceren.checks import Json
from faceren.errors import MachineError
from faceren.files import atomic_write

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


LOG_NAME = "log.jsonl"


class RunLog:
    """Writes the log of one run folder; a context manager.

    Args:
        folder: The run folder.
        step: Step from which the run goes on; later lines are dropped.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.path = folder / LOG_NAME
        lines = [json.dumps(line) + "\n" for line in read_log(self.path) if line["step"] <= step]
        atomic_write(self.path, "".join(lines).encode())
        self._file = self.path.open("ab", buffering=0)  # so that nothing is left to fail in close
        self._board = _tensorboard(folder / "tensorboard", step)

    def write(self, kind: str, step: int, values: Json) -> None:
        """Append a line.

        Args:
            kind: ``train`` or ``validate``.
            step: Steps done.
            values: Numbers by name; nested ones get names like ``full/psnr`` in TensorBoard.

        Raises:
            MachineError: If the disk is full.
        """
        line = json.dumps({"kind": kind, "step": step, **_finite(values)}) + "\n"
        with self._errors_named():
            self._file.write(line.encode())
            if self._board is not None:
                for name, value in _flat(values).items():
                    self._board.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        """Finish the files.

        Raises:
            MachineError: If the disk is full.
        """
        self._file.close()
        if self._board is not None:
            with self._errors_named():
                self._board.close()

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise MachineError(
                f"cannot write {self.path}: {error.strerror or error}; free space, "
                f"then the same command goes on from the last checkpoint"
            ) from error


def read_log(path: Path) -> list[Json]:
    """Return the lines of a log; none if there is no file. Torn and damaged ones are ignored."""
    if not path.exists():
        return []
    raw = path.read_bytes()
    lines = map(_parsed, raw[: raw.rfind(b"\n") + 1].splitlines())
    return [line for line in lines if line is not None]


def _parsed(text: bytes) -> Json | None:
    """Return a line of a log; None if it is damaged."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(line, dict) and isinstance(line.get("step"), int) and "kind" in line
    return line if whole else None


def has_tensorboard() -> bool:
    """Return whether TensorBoard is installed."""
    return find_spec("tensorboard") is not None


def _tensorboard(folder: Path, step: int) -> "SummaryWriter | None":
    if not has_tensorboard():
        return None
    from torch.utils.tensorboard import SummaryWriter

    # purged is what an earlier part of the run logged from here on
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)


def _flat(values: Json, prefix: str = "") -> dict[str, float]:
    flat: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}/")
        elif isinstance(value, (int, float)):
            flat[prefix + name] = value
    return flat


def _finite(value: Any) -> Any:
    """Return values with None in place of what JSON cannot say."""
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


Scores = dict[str, float]
"""``psnr`` (dB), ``ssim``, ``lpips``: means over images; ``fed`` over some, where dlib is there."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Images are being decoded."""

    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Started:
    """Everything is built and checked; the first step follows."""

    folder: Path
    """The run folder."""
    step: int
    """0, or the step that the run goes on from."""
    steps: int | None
    """Where it ends, if the recipe counts steps."""
    minutes: float | None
    """When it ends, if the recipe counts minutes."""
    device: str
    processes: int
    precision: str
    parameters: int
    """Weights of the generator."""
    images: int
    """Images that are trained on."""
    validation_images: int
    skipped: tuple[str, ...]
    """Unusable images: path and reason each."""
    notes: tuple[str, ...] = ()
    """What else a reader of the log should know: what the losses are, what is missing."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One step is done."""

    step: int
    images_seen: int
    loss: float
    """Weighted sum of the generator's losses in this step."""
    parts: dict[str, float]
    """Each loss by its recipe name, unweighted; ``discriminator`` too."""
    gradient: float
    """Norm of the generator's gradient before clipping."""
    lr: float
    images_per_second: float
    """Since the last line of the log."""
    data_share: float
    """Share of that time spent waiting for data."""
    eta_seconds: float
    skipped_steps: int
    """Steps so far whose gradient was not finite."""
    logged: bool
    """Whether this step is a line of the log."""


@dataclass(frozen=True, kw_only=True)
class Validated:
    """The averaged weights were measured."""

    step: int
    scores: dict[str, Scores]
    """Scores of the output, by task."""
    input_scores: dict[str, Scores]
    """Scores of the damaged input, by task."""
    best: bool
    """Whether these are the best weights so far."""
    sheet: Path | None


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A checkpoint was written; the run can go on from here."""

    step: int
    path: Path


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The run has ended."""

    step: int
    images_seen: int
    seconds: float
    """Seconds of training, over all parts of the run."""
    interrupted: bool
    """Ended by a signal; the same command goes on."""
    weights: Path
    """Weights of the last step."""


Event = Reading | Started | Progress | Validated | Saved | Finished
