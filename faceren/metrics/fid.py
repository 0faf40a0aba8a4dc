"""FID, the Fréchet distance between two sets of images in the features of Inception.

Source: Heusel et al., GANs Trained by a Two Time-Scale Update Rule (arXiv:1706.08500), section 4.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceren.errors import ConfigError
from faceren.metrics.intervals import Interval, resampled_rows
from faceren.metrics.statistics import FeatureStatistics, Matrix

Rows = NDArray[np.intp]

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
    if _few(ours) and _few(theirs):
        products = _Products.of(ours, theirs)
        return products.distance(np.arange(ours.count), np.arange(theirs.count))
    return frechet_distance(ours.mean, ours.covariance, theirs.mean, theirs.covariance)


def _few(statistics: FeatureStatistics) -> bool:
    """Say whether the features of all images are known, and not too many to work with directly."""
    known = len(statistics.features) == statistics.count
    return known and 2 <= statistics.count <= MOST_RESAMPLED


@dataclass(frozen=True)
class _Products:
    """Inner products of the features of two sets: all that FID needs, small for few images."""

    xx: Matrix
    yy: Matrix
    xy: Matrix

    @classmethod
    def of(cls, ours: FeatureStatistics, theirs: FeatureStatistics) -> "_Products":
        x, y = ours.features.astype(np.float64), theirs.features.astype(np.float64)
        return cls(x @ x.T, y @ y.T, x @ y.T)

    def distance(self, i: Rows, j: Rows) -> float:
        """Return the FID of rows ``i`` of the one set and ``j`` of the other.

        With features A and B after subtraction of their means, the traces are those of AA' and
        BB', and the trace of the root of the product is the sum of the singular values of AB'.
        """
        n, m = len(i), len(j)
        xx, yy, xy = self.xx[np.ix_(i, i)], self.yy[np.ix_(j, j)], self.xy[np.ix_(i, j)]
        spread = np.trace(_centred(xx)) / (n - 1) + np.trace(_centred(yy)) / (m - 1)
        cross = np.linalg.svd(_centred(xy), compute_uv=False).sum() / np.sqrt((n - 1) * (m - 1))
        return max(0.0, float(xx.mean() + yy.mean() - 2 * xy.mean() + spread - 2 * cross))


def _centred(products: Matrix) -> Matrix:
    """Return the products after the means of the features are subtracted."""
    rows, columns = products.mean(0), products.mean(1)[:, None]
    return np.asarray(products - rows - columns + products.mean())


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
    if not (_few(ours) and _few(theirs)):
        return None
    products = _Products.of(ours, theirs)
    draws = resampled_rows(ours.count, theirs.count, REPLICATES, paired=paired)
    replicates = np.array([products.distance(i, j) for i, j in draws])
    low, high = np.percentile(replicates - replicates.mean() + value, [2.5, 97.5])
    return max(0.0, float(low)), float(high)
