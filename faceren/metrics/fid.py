"""FID, the Fréchet distance between two sets of images in the features of Inception.

Source: Heusel et al., GANs Trained by a Two Time-Scale Update Rule (arXiv:1706.08500), section 4.
"""

import numpy as np
from numpy.typing import NDArray

from faceren.errors import ConfigError
from faceren.metrics.intervals import Interval, resampled_rows
from faceren.metrics.statistics import FeatureStatistics, Matrix

TRUSTED = 2048
"""With fewer images than features the covariance has no full rank, and FID grows."""
MOST_RESAMPLED = 512
"""Largest set whose interval is computed; each replicate is a decomposition of its size."""
REPLICATES = 200


def frechet_distance(
    mean1: Matrix, covariance1: Matrix, mean2: Matrix, covariance2: Matrix
) -> float:
    """Return the squared Fréchet distance of two Gaussians.

    The trace of the root of the product is the sum of the roots of the eigenvalues of the
    symmetric ``R^T C2 R`` with ``C1 = R R^T``, which stays real for covariances without full rank.

    Args:
        mean1: (D,).
        covariance1: (D, D).
        mean2: (D,).
        covariance2: (D, D).
    """
    values, vectors = np.linalg.eigh(covariance1)
    root = vectors * np.sqrt(values.clip(0))
    overlap = np.sqrt(np.linalg.eigvalsh(root.T @ covariance2 @ root).clip(0)).sum()
    difference = mean1 - mean2
    spread = np.trace(covariance1) + np.trace(covariance2) - 2 * overlap
    return max(0.0, float(difference @ difference + spread))


def fid(ours: FeatureStatistics, theirs: FeatureStatistics) -> float:
    """Return the FID of two sets of images; lower is better.

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
    return frechet_distance(ours.mean, ours.covariance, theirs.mean, theirs.covariance)


def _centred(gram: Matrix, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Matrix:
    """Return the products of resampled features after their means are subtracted."""
    part = gram[np.ix_(rows, columns)]
    return np.asarray(part - part.mean(0) - part.mean(1)[:, None] + part.mean())


def fid_interval(
    ours: FeatureStatistics, theirs: FeatureStatistics, value: float, *, paired: bool
) -> Interval:
    """Return the 95 % bootstrap interval of a FID, or None for sets over 512 images or unknown.

    A resampled set has repeats, which raises its FID; the replicates are therefore moved so that
    their mean is the figure itself: the interval is of the figure at this number of images.

    Args:
        ours: The results.
        theirs: The references.
        value: Their FID.
        paired: Image i of both sets show the same face: both are drawn together.
    """
    x, y = ours.features.astype(np.float64), theirs.features.astype(np.float64)
    known = len(x) == ours.count and len(y) == theirs.count
    if not known or min(len(x), len(y)) < 2 or max(len(x), len(y)) > MOST_RESAMPLED:
        return None
    xx, yy, xy = x @ x.T, y @ y.T, x @ y.T
    replicates = []
    for i, j in resampled_rows(len(x), len(y), REPLICATES, paired=paired):
        n, m = len(i), len(j)
        # with centred features A, B: tr(AA')/(n-1) + tr(BB')/(m-1) - 2 ||AB'||_* / sqrt(...)
        spread = np.trace(_centred(xx, i, i)) / (n - 1) + np.trace(_centred(yy, j, j)) / (m - 1)
        cross = np.linalg.svd(_centred(xy, i, j), compute_uv=False).sum()
        means = xx[np.ix_(i, i)].mean() + yy[np.ix_(j, j)].mean() - 2 * xy[np.ix_(i, j)].mean()
        replicates.append(means + spread - 2 * cross / np.sqrt((n - 1) * (m - 1)))
    low, high = np.percentile(np.array(replicates) - np.mean(replicates) + value, [2.5, 97.5])
    return max(0.0, float(low)), float(high)
