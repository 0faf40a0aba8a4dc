"""KID, the kernel distance between two sets of images: FID's companion for small sets.

Source: Bińkowski et al., Demystifying MMD GANs (arXiv:1801.01401). Unbiased at any number of
images, so it can be below 0.
"""

import numpy as np
from numpy.typing import NDArray

from faceren.errors import ConfigError
from faceren.metrics.intervals import REPLICATES, Interval
from faceren.metrics.statistics import Matrix


def _kernel(x: Matrix, y: Matrix) -> Matrix:
    return np.asarray((x @ y.T / x.shape[1] + 1) ** 3)


def _weighted(kernel: Matrix, weights: Matrix, others: Matrix, *, same: bool) -> Matrix:
    """Return the mean of the kernel under each row of weights; ``same`` leaves out the diagonal."""
    if same:
        kernel = kernel - np.diag(np.diag(kernel))
    total = np.einsum("bi,ij,bj->b", weights, kernel, others, optimize=True)
    pairs = weights.sum(1) * others.sum(1) - ((weights * others).sum(1) if same else 0)
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
        _weighted(_kernel(x, x), wx, wx, same=True)
        + _weighted(_kernel(y, y), wy, wy, same=True)
        - 2 * _weighted(_kernel(x, y), wx, wy, same=False)
    )
    low, high = np.nanpercentile(values[1:], [2.5, 97.5])
    return float(values[0]), (float(low), float(high))
