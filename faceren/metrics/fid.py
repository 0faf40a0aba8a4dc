"""FID, the Fréchet distance between two sets of images in the features of Inception.

Sources: Heusel et al., GANs Trained by a Two Time-Scale Update Rule (arXiv:1706.08500), section 4;
the interval is by the infinitesimal jackknife (Jaeckel 1972; Efron, The Jackknife, the Bootstrap
and Other Resampling Plans, 1982, chapter 6). One decomposition gives figure and interval, at any
number of images; a bootstrap would need hundreds, and its repeats of images raise a FID.

Shape letters: N and M images of the two sets, D features, R the rank of a covariance.
"""

from dataclasses import dataclass

import numpy as np

from faceren.errors import ConfigError
from faceren.metrics.intervals import Interval
from faceren.metrics.statistics import FeatureStatistics, Matrix

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
    ours: Matrix
    """(N,): how much the value moves as an image of the first set gets more weight."""
    theirs: Matrix
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
    _check(ours, theirs)
    found = _of_images(ours, theirs) if _few(ours) and _few(theirs) else _of_moments(ours, theirs)
    half = NORMAL95 * _standard_error(found, ours.count, theirs.count, paired=paired)
    return found.value, (max(0.0, found.value - half), found.value + half)


def _check(ours: FeatureStatistics, theirs: FeatureStatistics) -> None:
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


def _few(statistics: FeatureStatistics) -> bool:
    """Say whether the features of all images are known, and not too many to work with directly."""
    return 2 <= len(statistics.features) == statistics.count <= FEW


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
    values, vectors = _positive_eigen(ours.covariance)
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


def _positive_eigen(covariance: Matrix) -> tuple[Matrix, Matrix]:
    """Return the eigenvalues above rounding, (R,), and their vectors, (D, R)."""
    values, vectors = np.linalg.eigh(covariance)
    positive = values > 1e-12 * values[-1]
    return values[positive], vectors[:, positive]


def _influence(centred: Matrix, shift: Matrix, carried: Matrix) -> Matrix:
    """Return the derivative of the distance by the weight of each image, of mean zero.

    Args:
        centred: (N, D) features without their mean.
        shift: (D,) their mean less that of the other set.
        carried: (N,) product of each with itself as the optimal transport to the other set moves
            it: the part of the root of the product.
    """
    raw = 2 * centred @ shift + np.square(centred).sum(1) - carried
    return np.asarray(raw - raw.mean() if len(raw) else raw)


def _standard_error(found: _Distance, n: int, m: int, *, paired: bool) -> float:
    """Return the standard error of a distance of sets of ``n`` and ``m`` images."""
    if paired and len(found.ours) == len(found.theirs):
        return float(np.sqrt((found.ours + found.theirs).var(ddof=1) / n))
    known = [(x, k) for x, k in ((found.ours, n), (found.theirs, m)) if len(x) > 1]
    return float(np.sqrt(sum(x.var(ddof=1) / k for x, k in known)))
