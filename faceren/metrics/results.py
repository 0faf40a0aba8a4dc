"""What an evaluation found: the figures, their 95 % intervals, what computed them, image by image.

Intervals of means are by the bootstrap (Efron, Bootstrap Methods: Another Look at the Jackknife,
Ann. Statist. 7(1), 1979), with a fixed seed: the same figures give the same interval.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

import faceren
from faceren.assets import ASSETS
from faceren.checks import Json
from faceren.errors import ImageError, ShapeError
from faceren.faces.dlib_networks import dlib_version
from faceren.metrics.names import HIGHER_IS_BETTER, Protocol
from faceren.runs.storage import spelled

REPLICATES = 1000
"""Draws of a bootstrap; at so many the ends of an interval scatter by 2 % of its width."""
Interval = tuple[float, float] | None
"""Low and high; None where an interval cannot be had."""
WEIGHTS = {
    "lpips": ("lpips-alexnet",),
    "fid": ("inception-2015",),
    "kid": ("inception-2015",),
    "fed": ("dlib-embedding", "dlib-landmarks-5"),
    "lle": ("dlib-landmarks-68",),
    "identity": ("mobilefacenet",),
}
"""Assets that a metric's figures depend on."""
PAPER_WAYS = {
    "psnr": "at most 80 dB",
    "ms-ssim": "exponent slip",
    "fid": "BGR, bilinear",
    "kid": "BGR, bilinear",
    "lpips": "BGR",
    "niqe": "scikit-video port",
}
"""What the paper's code did otherwise than the definition."""


def mean_interval(values: Sequence[float], *, seed: int = 0) -> Interval:
    """Return the 95 % percentile interval of the mean; None for fewer than two values."""
    if len(values) < 2:
        return None
    numbers, random = np.asarray(values, np.float64), np.random.default_rng(seed)
    means = [
        numbers[random.integers(len(numbers), size=len(numbers))].mean() for _ in range(REPLICATES)
    ]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def computed_by(metric: str, protocol: Protocol) -> str:
    """Return one line that says what computed a metric: versions, and hashes of weights."""
    parts = [f"faceren {faceren.__version__}"]
    if metric in ("fed", "lle"):
        parts.append(f"dlib {dlib_version()}")
    names = WEIGHTS.get(metric, ())
    if metric == "niqe":
        names = ("niqe-matlab",) if protocol == "standard" else ("niqe-legacy",)
    parts += [f"{name} sha256 {ASSETS[name].sha256[:12]}" for name in names]
    if protocol == "paper":
        parts.append("; ".join(filter(None, ["JPEG 95 first", PAPER_WAYS.get(metric, "")])))
    return ", ".join(parts)


@dataclass(frozen=True, kw_only=True)
class MetricResult:
    """One metric over all images."""

    mean: float
    """Mean over images; of FID and KID the one figure of the sets."""
    ci95: Interval
    """95 % interval, by the bootstrap, of FID by the jackknife; None for a mean of one image."""
    n: int
    """Number of images that count."""
    by: str
    """What computed it: library, version, hash of the weights."""
    missing: int = 0
    """Images that do not count: no face found or none restored, too small, or blank."""

    def to_json(self) -> Json:
        """Return the report's form."""
        return asdict(self) | {"ci95": None if self.ci95 is None else list(self.ci95)}


@dataclass(kw_only=True)
class ImageScores:
    """One result: where it comes from, and what the scorer says of it."""

    path: str
    """Relative to the results folder, with forward slashes: its name in the report."""
    result: Path
    reference: Path | None = None
    """The clean image that it is compared with, if there is one."""
    reference_sha256: str = ""
    """What the reference had when it was degraded; empty if unknown."""
    resize: Json | None = None
    """How the clean image was scaled before it was degraded, as its manifest says."""
    input: Path | None = None
    """What it was restored from, if known."""
    input_sha256: str | None = None
    """What that had then, as a manifest says; None if it was not named by one."""
    identity: float | None = None
    """Mean identity distance of its faces to those of the input, as the manifest says, if known."""
    values: dict[str, float] = field(default_factory=dict)
    """Figures by metric; one that could not be computed is not there."""
    failures: dict[str, str] = field(default_factory=dict)
    """Reasons by metric why it could not be computed."""

    def note(self, metric: str, measure: Callable[[], float]) -> None:
        """Keep a figure, or the reason why this image allows none."""
        try:
            self.values[metric] = measure()
        except (ShapeError, ImageError) as error:
            self.failures[metric] = str(error)

    def to_json(self) -> Json:
        """Return the report's form."""
        row: Json = {"path": self.path, **self.values}
        return row | ({"failures": self.failures} if self.failures else {})


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What the scorer makes of the images that it was given."""

    metrics: dict[str, MetricResult]
    not_computed: dict[str, str]
    """Metrics without a figure, and why."""
    images: tuple[ImageScores, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The scores of a folder of results."""

    protocol: str
    results: Path
    reference: str | None
    """Folder or file of the references; ``manifest`` if they were found through manifests."""
    scores: Scores
    inputs: dict[str, MetricResult] = field(default_factory=dict)
    """Figures of what the results were restored from, by metric, if they were asked for."""
    strays: tuple[str, ...] = ()
    """Results without a reference and references without a result."""
    failures: tuple[tuple[str, str], ...] = ()
    """Files that could not be scored at all, and why."""

    @property
    def exit_status(self) -> int:
        """0 if everything asked for was computed for every image, else 1."""
        partial = any(row.failures for row in self.scores.images)
        return int(bool(partial or self.strays or self.failures or self.scores.not_computed))

    def to_json(self) -> Json:
        """Return the report as plain JSON values."""
        return {
            "protocol": self.protocol,
            "results": spelled(self.results),
            "reference": self.reference,
            "n": len(self.scores.images),
            "metrics": {name: r.to_json() for name, r in self.scores.metrics.items()},
            "images": [row.to_json() for row in self.scores.images],
            "strays": list(self.strays),
            "failures": [{"path": path, "reason": reason} for path, reason in self.failures],
            "not_computed": self.scores.not_computed,
            "warnings": list(self.scores.warnings),
        } | ({"inputs": {n: r.to_json() for n, r in self.inputs.items()}} if self.inputs else {})

    def worst(self, count: int, by: str) -> list[ImageScores]:
        """Return the ``count`` worst images by a metric, the worst first."""
        sign = 1 if by in HIGHER_IS_BETTER else -1
        rated = [row for row in self.scores.images if by in row.values]
        return sorted(rated, key=lambda row: (sign * row.values[by], row.path))[:count]
