"""What an evaluation found, as frozen values."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faceren.metrics.intervals import Interval
from faceren.metrics.names import HIGHER_IS_BETTER


@dataclass(frozen=True, kw_only=True)
class MetricResult:
    """One metric over all images."""

    mean: float
    """Mean over images; of FID and KID the one figure of the sets."""
    ci95: Interval
    """95 % interval, by the bootstrap, of FID by the jackknife; None for a mean of one image."""
    n: int
    """Images that count."""
    by: str
    """What computed it: library, version, hash of the weights."""
    missing: int = 0
    """Images that do not count: no face found in result or reference, or none restored."""

    def to_json(self) -> dict[str, Any]:
        """Return the report's form."""
        return {
            "mean": self.mean,
            "ci95": None if self.ci95 is None else list(self.ci95),
            "n": self.n,
            "by": self.by,
            "missing": self.missing,
        }


@dataclass(frozen=True, kw_only=True)
class ImageScores:
    """One image."""

    path: str
    """Relative to the results folder."""
    result: Path
    reference: Path | None
    input: Path | None
    """What it was restored from, if known."""
    values: dict[str, float]
    """By metric; one that could not be computed is not there."""
    failures: dict[str, str] = field(default_factory=dict)
    """Why, by metric."""

    def to_json(self) -> dict[str, Any]:
        """Return the report's form."""
        row: dict[str, Any] = {"path": self.path, **self.values}
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
    strays: tuple[str, ...] = ()
    """Results without a reference and references without a result."""
    failures: tuple[tuple[str, str], ...] = ()
    """Files that could not be scored at all, and why."""

    @property
    def exit_status(self) -> int:
        """0 if everything asked for was computed for every image, else 1."""
        partial = any(row.failures for row in self.scores.images)
        return int(bool(partial or self.strays or self.failures or self.scores.not_computed))

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {
            "protocol": self.protocol,
            "results": str(self.results),
            "reference": self.reference,
            "n": len(self.scores.images),
            "metrics": {name: r.to_json() for name, r in self.scores.metrics.items()},
            "images": [row.to_json() for row in self.scores.images],
            "strays": list(self.strays),
            "failures": [{"path": path, "reason": reason} for path, reason in self.failures],
            "not_computed": self.scores.not_computed,
            "warnings": list(self.scores.warnings),
        }

    def worst(self, count: int, by: str) -> list[ImageScores]:
        """Return the ``count`` worst images by a metric, the worst first."""
        sign = 1 if by in HIGHER_IS_BETTER else -1
        rated = [row for row in self.scores.images if by in row.values]
        return sorted(rated, key=lambda row: (sign * row.values[by], row.path))[:count]
