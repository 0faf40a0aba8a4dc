"""Inception features of a set of images: the network, how it is fed, and their statistics.

Images go in a few at a time; mean and covariance are gathered in constant memory and can be kept in
a file. Shape letters: N images, H and W pixels, D = 2048 features.
"""

import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from faceren.arrays import Float64
from faceren.assets import asset
from faceren.errors import ConfigError, ShapeError
from faceren.files import atomic_path
from faceren.metrics.names import Protocol

SIDE = 299
"""Sides in pixels of what the network sees."""
BATCH = 8
"""Images a pass; results depend on it by rounding only."""
MOST_BYTES = 2**30
"""Of saved statistics; 2048 features take 34 MB and those of each image 8 KB more."""
KEPT = 2048
"""Most features that are kept one by one, for KID and the intervals: 16 MB."""


@cache
def load_inception(device: torch.device) -> Any:
    """Return the TorchScript network: (N, 3, 299, 299) in [-1, 1] to features (N, 2048).

    It is loaded once a process, because its first passes are slow.

    Raises:
        MachineError: If the weights are missing or damaged.
    """
    with warnings.catch_warnings():
        # the only form in which the network of 2015 is published for torch
        warnings.filterwarnings("ignore", message=".*torch.jit.load.*", category=FutureWarning)
        warnings.filterwarnings("ignore", message=".*torch.jit.load.*", category=DeprecationWarning)
        load: Any = torch.jit.load  # has no types
        return load(str(asset("inception-2015")), map_location=device).eval()


def clean_input(image: Tensor) -> Tensor:
    """Return an image as clean-fid feeds it: cubic with antialiasing, channel by channel in float.

    Parmar et al., On Aliased Resizing and Surprising Subtleties in GAN Evaluation (CVPR 2022).

    Args:
        image: (1, 3, H, W), RGB in [0, 1].

    Returns:
        (1, 3, 299, 299), RGB, about [-1, 1).
    """
    if image.ndim != 4 or image.shape[:2] != (1, 3):
        raise ShapeError(f"expected one image (1, 3, H, W), got {tuple(image.shape)}")
    planes = [
        np.asarray(
            Image.fromarray(plane).resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32
        )
        for plane in (image[0] * 255).cpu().numpy()
    ]
    return (torch.from_numpy(np.stack(planes)).clamp(0, 255)[None] - 128) / 128


def paper_input(image: Tensor) -> Tensor:
    """Return an image as the paper fed it: bilinear without antialiasing, in the order BGR.

    Args:
        image: (1, 3, H, W), RGB in [0, 1].

    Returns:
        (1, 3, 299, 299), BGR in [-1, 1].
    """
    if image.ndim != 4 or image.shape[:2] != (1, 3):
        raise ShapeError(f"expected one image (1, 3, H, W), got {tuple(image.shape)}")
    small = F.interpolate(image.flip(1), size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    return 2 * small - 1


@dataclass(frozen=True)
class FeatureStatistics:
    """What FID needs to know of a set of images."""

    mean: Float64
    """Mean feature, (D,)."""
    covariance: Float64
    """Unbiased covariance of the features, (D, D)."""
    count: int
    """N; 0 if a file from elsewhere does not say."""
    way: str
    """How images were fed, ``standard`` or ``paper``; empty if a file does not say."""
    features: NDArray[np.float32]
    """Features of all images, or of KEPT drawn among them, (n, D); (0, D) if a file has none."""


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
        self._sum: Float64 = np.zeros(0)
        self._outer: Float64 = np.zeros((0, 0))

    def add(self, features: NDArray[np.float32]) -> None:
        """Take in the features of a batch, (N, D)."""
        wide = features.astype(np.float64)
        if self.count == 0:
            size = wide.shape[1]
            self._sum, self._outer = np.zeros(size), np.zeros((size, size))
        self._sum += wide.sum(0)
        self._outer += wide.T @ wide
        for row in features:  # each is kept with the same probability (Vitter's algorithm R)
            if len(self._kept) < KEPT:
                self._kept.append(row.copy())
            elif (place := int(self._random.integers(self.count + 1))) < KEPT:
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


class FeatureStream:
    """Gather the features of a set of images.

    Args:
        network: From ``load_inception``.
        device: Where it is.
        protocol: How images are fed.
        batch: Images a pass; it changes results by rounding only.
    """

    def __init__(
        self, network: Any, device: torch.device, protocol: Protocol, *, batch: int = BATCH
    ) -> None:
        self._network, self._device, self._batch = network, device, batch
        self._prepare: Callable[[Tensor], Tensor] = (
            clean_input if protocol == "standard" else paper_input
        )
        self._waiting: list[Tensor] = []
        self._collector = FeatureCollector(protocol)

    def add(self, image: Tensor) -> None:
        """Take in an image (1, 3, H, W), RGB in [0, 1]."""
        self._waiting.append(self._prepare(image))
        if len(self._waiting) >= self._batch:
            self._flush()

    @torch.inference_mode()
    def _flush(self) -> None:
        if self._waiting:
            inputs = torch.cat(self._waiting).to(self._device)
            self._collector.add(self._network(inputs).float().cpu().numpy())
            self._waiting = []

    @property
    def count(self) -> int:
        """Images taken in so far."""
        return self._collector.count + len(self._waiting)

    def statistics(self) -> FeatureStatistics:
        """Return the statistics of all images so far.

        Raises:
            ConfigError: If there are fewer than two.
        """
        self._flush()
        return self._collector.statistics()


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
        found = _arrays(path)
    except Exception as error:  # a file that anybody may have written
        reason = str(error) or type(error).__name__
        raise ConfigError(f"{path}: cannot be read as .npz statistics ({reason:.200})") from error
    mean = found.get("mu", np.zeros(0)).ravel()
    size = mean.size
    features = found.get("features", np.zeros((0, size), np.float32))
    covariance = found.get("sigma", np.zeros((0, 0)))
    shapes = covariance.shape == (size, size)
    shapes = shapes and features.ndim == 2 and features.shape[1] == size
    numbers = all(a.dtype.kind == "f" and np.isfinite(a).all() for a in (mean, covariance))
    count, way = found.get("count", np.int64(0)), found.get("way", np.str_(""))
    if not size or not shapes or not numbers or features.dtype.kind != "f":
        raise ConfigError(
            f"{path}: expected the arrays mu (D) and sigma (D, D) of finite numbers, "
            f"got { {name: array.shape for name, array in found.items()} }"
        )
    if count.ndim or count.dtype.kind not in "iu" or count < 0 or way.ndim:
        raise ConfigError(
            f"{path}: expected a whole number as count and a text as way, "
            f"got shapes {count.shape} and {way.shape}"
        )
    return FeatureStatistics(
        mean.astype(np.float64), covariance.astype(np.float64), int(count), str(way), features
    )


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an .npz file; ValueError if unpacked they would be too large."""
    with zipfile.ZipFile(path) as archive:
        inside = sum(item.file_size for item in archive.infolist())
    if inside > MOST_BYTES:
        raise ValueError(f"{inside:,} bytes are packed into it, expected at most {MOST_BYTES:,}")
    with np.load(path, allow_pickle=False) as arrays:
        return {name: np.asarray(arrays[name]) for name in arrays.files}
