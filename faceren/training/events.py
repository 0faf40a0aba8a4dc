"""The events of a training run: small frozen facts, for whoever shows them."""

from dataclasses import dataclass
from pathlib import Path

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
