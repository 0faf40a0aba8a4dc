"""Mean and covariance of features, gathered batch by batch in constant memory, kept in a file.

Shape letters: N images, D = 2048 features.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceren.errors import ConfigError
from faceren.files import atomic_path

Matrix = NDArray[np.float64]

KEPT = 2048
"""Most features that are kept one by one, for KID and the intervals: 16 MB."""


@dataclass(frozen=True)
class FeatureStatistics:
    """What FID needs to know of a set of images."""

    mean: Matrix
    """(D,)."""
    covariance: Matrix
    """(D, D), unbiased."""
    count: int
    """N; 0 if a file from elsewhere does not say."""
    way: str
    """How images were fed, ``standard`` or ``paper``; empty if a file does not say."""
    features: NDArray[np.float32]
    """Of all images, or of KEPT drawn among them, (n, D); (0, D) if a file has none."""


class FeatureCollector:
    """Gather the features of a set of images.

    Args:
        way: ``standard`` or ``paper``, written down with the statistics.
        seed: Of the draw among more than KEPT images.
    """

    def __init__(self, way: str, *, seed: int = 0) -> None:
        self.way = way
        self.count = 0
        self._random = np.random.default_rng(seed)
        self._kept: list[NDArray[np.float32]] = []
        self._sum: Matrix = np.zeros(0)
        self._outer: Matrix = np.zeros((0, 0))

    def add(self, features: NDArray[np.float32]) -> None:
        """Take in the features of a batch, (N, D)."""
        wide = features.astype(np.float64)
        if self.count == 0:
            size = wide.shape[1]
            self._sum, self._outer = np.zeros(size), np.zeros((size, size))
        self._sum += wide.sum(0)
        self._outer += wide.T @ wide
        for row in features:
            self._keep(row)

    def _keep(self, row: NDArray[np.float32]) -> None:
        """Keep every feature with the same probability (Vitter's algorithm R)."""
        if len(self._kept) < KEPT:
            self._kept.append(row.copy())
        else:
            place = int(self._random.integers(self.count + 1))
            if place < KEPT:
                self._kept[place] = row.copy()
        self.count += 1

    def statistics(self) -> FeatureStatistics:
        """Return mean and covariance of what was added.

        Raises:
            ConfigError: If that are fewer than two images.
        """
        if self.count < 2:
            raise ConfigError(f"fid: expected at least two images in a set, got {self.count}")
        mean = self._sum / self.count
        scatter = self._outer - self.count * np.outer(mean, mean)
        return FeatureStatistics(
            mean, scatter / (self.count - 1), self.count, self.way, np.stack(self._kept)
        )


def save_statistics(path: Path, statistics: FeatureStatistics) -> None:
    """Write statistics as .npz; ``mu`` and ``sigma`` are named as other tools name them."""
    with atomic_path(path.with_suffix(".npz")) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            mu=statistics.mean,
            sigma=statistics.covariance,
            count=np.int64(statistics.count),
            way=np.str_(statistics.way),
            features=statistics.features,
        )


def load_statistics(path: Path) -> FeatureStatistics:
    """Read statistics that ``save_statistics``, pytorch-fid or clean-fid wrote.

    Raises:
        ConfigError: If the file is missing or holds no such statistics.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise ConfigError(f"{path}: cannot be read as .npz statistics ({error})") from error
    mean, covariance = found.get("mu"), found.get("sigma")
    if mean is None or covariance is None or covariance.shape != (mean.size, mean.size):
        raise ConfigError(
            f"{path}: expected the arrays mu (D) and sigma (D, D), "
            f"got { {name: array.shape for name, array in found.items()} }"
        )
    return FeatureStatistics(
        mean.astype(np.float64).ravel(),
        covariance.astype(np.float64),
        int(found.get("count", 0)),
        str(found.get("way", "")),
        found.get("features", np.zeros((0, mean.size), np.float32)),
    )
