"""FID and KID: distances between two sets of images in the features of Inception.

Sources: FID, Heusel et al., GANs Trained by a Two Time-Scale Update Rule (arXiv:1706.08500),
section 4; its interval is by the infinitesimal jackknife (Jaeckel 1972; Efron, The Jackknife, the
Bootstrap and Other Resampling Plans, 1982, chapter 6). One decomposition gives figure and interval,
at any number of images; a bootstrap would need hundreds, and its repeats of images raise a FID.
KID, its companion for small sets, Bińkowski et al., Demystifying MMD GANs (arXiv:1801.01401), is
unbiased at any number of images, so that it can be below 0.

Shape letters: N and M images of the two sets, D features, R the rank of a covariance.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from faceren.arrays import Float64
from faceren.errors import ConfigError
from faceren.metrics.inception import FeatureStatistics
from faceren.metrics.names import Protocol
from faceren.metrics.results import REPLICATES, Interval, MetricResult, computed_by

TRUSTED = 2048
"""With fewer images than features the covariance has no full rank, and FID grows."""
FEW = 512
"""Up to so many images in each set it is quicker to decompose inner products of images."""
NORMAL95 = 1.96
"""Standard errors on each side of a 95 % interval."""


@dataclass(frozen=True)
class _Distance:
    """A squared Fréchet distance and what each image adds to it."""

    value: float
    ours: Float64
    """(N,): how much the value moves as an image of the first set gets more weight."""
    theirs: Float64
    """(M,): the same of the second set; (0,) if its images are not known."""


def fid(
    ours: FeatureStatistics, theirs: FeatureStatistics, *, paired: bool = False
) -> tuple[float, Interval]:
    """Return the FID of two sets of images, lower is better, and its 95 % interval.

    The interval is of the figure at this number of images, not of what more images would give.

    Args:
        ours: The results.
        theirs: The references; if their images are not known they are taken as given.
        paired: Image i of both shows the same face.

    Raises:
        ConfigError: If the sets were fed in different ways, or with different networks.
    """
    if ours.mean.shape != theirs.mean.shape:
        raise ConfigError(
            f"fid: statistics of {ours.mean.size} and {theirs.mean.size} features "
            f"do not come from one network"
        )
    if theirs.way and ours.way != theirs.way:
        raise ConfigError(
            f"fid: the reference statistics were made with protocol {theirs.way!r}, "
            f"expected {ours.way!r}; make them anew with --save-stats"
        )
    few = all(2 <= len(s.features) == s.count <= FEW for s in (ours, theirs))
    found = _of_images(ours, theirs) if few else _of_moments(ours, theirs)
    if paired and len(found.ours) == len(found.theirs):
        variance = (found.ours + found.theirs).var(ddof=1) / ours.count
    else:
        sets = (found.ours, ours.count), (found.theirs, theirs.count)
        variance = sum(x.var(ddof=1) / count for x, count in sets if len(x) > 1)
    half = NORMAL95 * float(np.sqrt(variance))
    return found.value, (max(0.0, found.value - half), found.value + half)


def _of_images(ours: FeatureStatistics, theirs: FeatureStatistics) -> _Distance:
    """Compare sets of few images.

    With centred features A and B the trace of the root of the product of the covariances is the
    sum of the singular values of ``A B^T = U S V^T``; its derivatives are on the diagonals of
    ``U S U^T`` and ``V S V^T``.
    """
    x, y = (s.features.astype(np.float64) for s in (ours, theirs))
    shift = x.mean(0) - y.mean(0)
    a, b = (x - x.mean(0)) / np.sqrt(len(x) - 1), (y - y.mean(0)) / np.sqrt(len(y) - 1)
    left, overlap, right = np.linalg.svd(a @ b.T, full_matrices=False)  # (N, R), (R,), (R, M)
    value = shift @ shift + np.square(a).sum() + np.square(b).sum() - 2 * overlap.sum()
    return _Distance(
        max(0.0, float(value)),
        _influence(x - x.mean(0), shift, (len(x) - 1) * (left**2 @ overlap)),
        _influence(y - y.mean(0), -shift, (len(y) - 1) * (overlap @ right**2)),
    )


def _of_moments(ours: FeatureStatistics, theirs: FeatureStatistics) -> _Distance:
    """Compare sets by means and covariances.

    The trace of the root of the product is the sum of the roots of the eigenvalues of the
    symmetric ``R^T C2 R`` with ``C1 = R R^T``, which stays real for covariances without full rank.
    """
    values, vectors = np.linalg.eigh(ours.covariance)
    positive = values > 1e-12 * values[-1]  # others are rounding
    values, vectors = values[positive], vectors[:, positive]  # (R,), (D, R)
    root = vectors * np.sqrt(values)  # (D, R)
    squares, turn = np.linalg.eigh(root.T @ theirs.covariance @ root)
    overlap = np.sqrt(squares.clip(0))  # (R,)
    shift = ours.mean - theirs.mean
    spread = np.trace(ours.covariance) + np.trace(theirs.covariance)
    a, b = ours.features - ours.mean, theirs.features - theirs.mean
    inverse = np.divide(1, overlap, where=overlap > 1e-9 * overlap.max(), out=0 * overlap)
    carried = np.square((a @ (vectors / np.sqrt(values))) @ turn) @ overlap  # (N,)
    brought = np.square(b @ (root @ turn)) @ inverse  # (M,)
    return _Distance(
        max(0.0, float(shift @ shift + spread - 2 * overlap.sum())),
        _influence(a, shift, carried),
        _influence(b, -shift, brought),
    )


def _influence(centred: Float64, shift: Float64, carried: Float64) -> Float64:
    """Return the derivative of the distance by the weight of each image, of mean zero.

    Args:
        centred: (N, D) features without their mean.
        shift: (D,) their mean less that of the other set.
        carried: (N,) product of each with itself as the optimal transport to the other set moves
            it: the part of the root of the product.
    """
    raw = 2 * centred @ shift + np.square(centred).sum(1) - carried
    return np.asarray(raw - raw.mean() if len(raw) else raw)


def _mean_kernel(x: Float64, y: Float64, wx: Float64, wy: Float64, *, same: bool) -> Float64:
    """Return the mean of KID's cubic kernel of ``x`` and ``y`` under each row of their weights.

    Args:
        x: (N, D) features.
        y: (M, D) features.
        wx: (B, N) weights.
        wy: (B, M) weights.
        same: Both are one set: no image is compared with itself.
    """
    kernel = np.asarray((x @ y.T / x.shape[1] + 1) ** 3)  # (N, M)
    if same:
        kernel = kernel - np.diag(np.diag(kernel))
    total = np.einsum("bi,ij,bj->b", wx, kernel, wy, optimize=True)
    pairs = wx.sum(1) * wy.sum(1) - ((wx * wy).sum(1) if same else 0)
    with np.errstate(invalid="ignore"):  # a draw of one image, over and over, has no pairs
        return np.asarray(total / pairs)


def kid(
    ours: NDArray[np.float32], theirs: NDArray[np.float32], *, paired: bool = False, seed: int = 0
) -> tuple[float, Interval]:
    """Return the KID of two sets and its 95 % bootstrap interval; lower is better.

    Args:
        ours: (N, D) features.
        theirs: (M, D) features.
        paired: Row i of both comes from one face: both are drawn together.
        seed: Of the bootstrap.

    Raises:
        ConfigError: If a set has fewer than two images.
    """
    n, m = len(ours), len(theirs)
    if min(n, m) < 2:
        raise ConfigError(f"kid: expected at least two images in each set, got {n} and {m}")
    x, y = ours.astype(np.float64), theirs.astype(np.float64)
    random = np.random.default_rng(seed)
    draws = random.multinomial(n, np.full(n, 1 / n), REPLICATES).astype(np.float64)
    others = draws if paired else random.multinomial(m, np.full(m, 1 / m), REPLICATES).astype(float)
    wx, wy = np.vstack([np.ones(n), draws]), np.vstack([np.ones(m), others])
    values = (
        _mean_kernel(x, x, wx, wx, same=True)
        + _mean_kernel(y, y, wy, wy, same=True)
        - 2 * _mean_kernel(x, y, wx, wy, same=False)
    )
    low, high = np.nanpercentile(values[1:], [2.5, 97.5])
    return float(values[0]), (float(low), float(high))


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
        try:
            value, interval = kid(ours.features, theirs.features, paired=paired)
        except ConfigError as error:  # statistics from elsewhere come without features
            if "kid" in wanted:
                scores.not_computed["kid"] = str(error)
            return scores
        scores.metrics["kid"] = MetricResult(
            mean=value, ci95=interval, n=len(ours.features), by=computed_by("kid", protocol)
        )
    return scores
