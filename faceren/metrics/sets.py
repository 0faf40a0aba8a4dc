"""FID and KID of the results against their references, with intervals and warnings."""

from dataclasses import dataclass, field

from faceren.errors import ConfigError
from faceren.metrics.fid import TRUSTED, fid
from faceren.metrics.kid import kid
from faceren.metrics.names import Protocol
from faceren.metrics.provenance import computed_by
from faceren.metrics.results import MetricResult
from faceren.metrics.statistics import FeatureStatistics


@dataclass
class SetScores:
    """FID and KID where they were asked for or belong, and why not where they are missing."""

    metrics: dict[str, MetricResult] = field(default_factory=dict)
    not_computed: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def compare_sets(
    ours: FeatureStatistics,
    theirs: FeatureStatistics,
    wanted: tuple[str, ...],
    protocol: Protocol,
    *,
    paired: bool,
) -> SetScores:
    """Return FID and KID; KID also beside a FID of few images.

    Args:
        ours: The results.
        theirs: The references.
        wanted: The metrics that were asked for.
        protocol: How images were fed.
        paired: Image i of both shows the same face.

    Raises:
        ConfigError: If the statistics do not fit together.
    """
    scores = SetScores()
    fewest = min(ours.count, theirs.count or ours.count)
    if "fid" in wanted:
        value, interval = fid(ours, theirs, paired=paired)
        scores.metrics["fid"] = MetricResult(
            mean=value, ci95=interval, n=ours.count, by=computed_by("fid", protocol)
        )
        if fewest < TRUSTED:
            scores.warnings.append(
                f"fid: {fewest} images are fewer than the {TRUSTED} features; it is too high and "
                f"only comparable at the same number of images, look at kid"
            )
    if "kid" in wanted or ("fid" in wanted and fewest < TRUSTED):
        _add_kid(scores, ours, theirs, protocol, asked="kid" in wanted, paired=paired)
    return scores


def _add_kid(
    scores: SetScores,
    ours: FeatureStatistics,
    theirs: FeatureStatistics,
    protocol: Protocol,
    *,
    asked: bool,
    paired: bool,
) -> None:
    try:
        value, interval = kid(ours.features, theirs.features, paired=paired)
    except ConfigError as error:  # statistics from elsewhere come without features
        if asked:
            scores.not_computed["kid"] = str(error)
        return
    scores.metrics["kid"] = MetricResult(
        mean=value, ci95=interval, n=len(ours.features), by=computed_by("kid", protocol)
    )
