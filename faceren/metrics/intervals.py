"""95 % intervals by the bootstrap, with a fixed seed: the same figures give the same interval.

Source: Efron, Bootstrap Methods: Another Look at the Jackknife (Ann. Statist. 7(1), 1979).
"""

from collections.abc import Sequence

import numpy as np

REPLICATES = 1000

Interval = tuple[float, float] | None
"""Low and high; None where an interval cannot be had."""


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
