"""Score images one after another, in memory that does not grow with their pixels.

dlib works in a thread of its own beside torch. Shape letters: H and W pixels; a tensor of an image
is (1, 3, H, W), RGB in [0, 1].
"""

import importlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from faceren.arrays import Rgb8
from faceren.assets import asset
from faceren.checks import nearest
from faceren.errors import ConfigError, MachineError, ShapeError
from faceren.images import to_tensor
from faceren.metrics.fid import SetScores, compare_sets
from faceren.metrics.fidelity import (
    CEILING,
    PAPER_CEILING,
    SeenFace,
    fed,
    lle,
    ms_ssim,
    psnr,
    see_face,
    ssim,
)
from faceren.metrics.inception import FeatureStatistics, FeatureStream, load_inception
from faceren.metrics.names import PAIRED, PYIQA, SETS, Protocol
from faceren.metrics.niqe import niqe, niqe_legacy
from faceren.metrics.results import ImageScores, MetricResult, Scores, computed_by, mean_interval
from faceren.networks.perceptual import LpipsAlexNet

SeenLater = Future[SeenFace | None]

AHEAD = 4
"""Pairs that may wait for dlib while torch goes on."""
WANTING = {
    "fed": "no pair of images in which dlib finds a face in both",
    "lle": "no pair of images in which dlib finds a face in both",
    "identity": "no restored face with an identity distance in the manifest",
}


LPIPS_LEAST_SIDE = 32
"""Smaller images leave nothing for the third convolution."""
JPEG_QUALITY = 95
"""Quality of the JPEG that images went through before the paper measured them."""


@dataclass(frozen=True)
class Measure:
    """A metric, ready to use."""

    function: Callable[[Tensor, Tensor], Tensor | float]
    """Takes an image and its reference, or the image twice."""
    paired: bool = True
    """Whether it needs a reference."""

    def __call__(self, image: Tensor, reference: Tensor) -> float:
        """Return the figure of an image; ``reference`` is the image again if it has none."""
        return float(self.function(image, reference))


def tensor_measures(
    metrics: Sequence[str], protocol: Protocol, device: torch.device
) -> dict[str, Measure]:
    """Return those of ``metrics`` that work on tensors, their weights loaded.

    Raises:
        MachineError: If weights or libraries are missing.
        ConfigError: If pyiqa has no such metric.
    """
    paper = protocol == "paper"
    measures = {}
    for name in metrics:
        if name == "psnr":
            measures[name] = Measure(partial(psnr, ceiling=PAPER_CEILING if paper else CEILING))
        elif name == "ssim":
            measures[name] = Measure(ssim)
        elif name == "ms-ssim":
            measures[name] = Measure(partial(ms_ssim, slip=paper))
        elif name == "lpips":
            measures[name] = load_lpips(device, bgr=paper)  # so the paper fed it
        elif name.startswith(PYIQA):
            measures[name] = load_pyiqa(name, device)
    return measures


def load_lpips(device: torch.device, *, bgr: bool = False) -> Measure:
    """Return LPIPS on AlexNet, version 0.1, in float32.

    Args:
        device: Where to run it.
        bgr: Swap red and blue first.

    Raises:
        MachineError: If the weights are missing or damaged.
    """
    network = LpipsAlexNet(asset("lpips-alexnet")).eval().to(device)

    def measure(image: Tensor, reference: Tensor) -> Tensor:
        if min(image.shape[2:]) < LPIPS_LEAST_SIDE:
            raise ShapeError(f"lpips: expected at least {LPIPS_LEAST_SIDE} pixels a side")
        pair = torch.cat([image, reference]).to(device)
        ordered = pair.flip(1) if bgr else pair
        distance: Tensor = network(ordered[:1], ordered[1:])
        return distance

    return Measure(measure)


def load_pyiqa(name: str, device: torch.device) -> Measure:
    """Return a metric of the package pyiqa, if the user has installed it (mind its licence).

    Args:
        name: With the prefix ``pyiqa:``.
        device: Where to run it.

    Raises:
        MachineError: If pyiqa is not installed.
        ConfigError: If it has no such metric.
    """
    try:
        package: Any = importlib.import_module("pyiqa")
    except ImportError as error:
        raise MachineError(
            f"--metrics {name}: the package pyiqa is not installed; pip install pyiqa "
            f"(mind its non-commercial licence)"
        ) from error
    wanted, known = name.removeprefix(PYIQA), list(package.list_models())
    if wanted not in known:
        raise ConfigError(f"--metrics: pyiqa has no metric {wanted!r}{nearest(wanted, known)}")
    metric = package.create_metric(wanted, device=device)
    if metric.metric_mode == "FR":
        return Measure(metric)
    return Measure(lambda image, _: metric(image), paired=False)


def recompressed(*panels: Rgb8) -> list[Rgb8]:
    """Return images after one OpenCV JPEG at quality 95, chroma at half resolution.

    The paper's code wrote input, result and original side by side into one file and cut them out of
    it again. Where the width is a multiple of 16 each compresses as if alone, but for chroma, which
    is interpolated across the seams.

    Args:
        panels: (H, W, 3) uint8 each, all of one size, from left to right.
    """
    bgr = np.ascontiguousarray(np.hstack(panels)[:, :, ::-1])
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[:, :, ::-1]
    return [np.ascontiguousarray(part) for part in np.hsplit(decoded, len(panels))]


class Scorer:
    """Score results, each with its reference or alone; a context manager.

    Args:
        metrics: Names, from ``parse_metrics``.
        protocol: ``standard`` or ``paper``.
        device: Where the networks run.

    Raises:
        MachineError: If weights or libraries are missing.
        ConfigError: If a metric of pyiqa is unknown.
    """

    def __init__(self, metrics: Sequence[str], protocol: Protocol, device: torch.device) -> None:
        self.metrics, self.protocol = tuple(metrics), protocol
        self._measures = tensor_measures(self.metrics, protocol, device)
        self._rows: list[ImageScores] = []
        self._pool = ThreadPoolExecutor(1)
        self._seen: deque[tuple[ImageScores, SeenLater, SeenLater]] = deque()
        self._mixed = 0
        self._sets_paired = True
        self._ours = self._theirs = None
        if set(SETS) & set(metrics):
            network = load_inception(device)
            self._ours = FeatureStream(network, device, protocol)
            self._theirs = FeatureStream(network, device, protocol)

    def __enter__(self) -> "Scorer":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def add(
        self,
        row: ImageScores,
        result: Rgb8,
        reference: Rgb8 | None = None,
        damaged: Rgb8 | None = None,
    ) -> None:
        """Score one result.

        Args:
            row: What it is; its values and failures are filled in, some of them by ``finish``.
            result: (H, W, 3) uint8.
            reference: The same shape, or None.
            damaged: What it was restored from, which the protocol of the paper has beside it in a
                JPEG; the result itself if not given, or of another shape.

        Raises:
            ShapeError: If the shapes differ; nothing is scored then.
        """
        if reference is not None and reference.shape != result.shape:
            raise ShapeError(
                f"expected the size of its reference, {reference.shape[1]}x{reference.shape[0]}, "
                f"got {result.shape[1]}x{result.shape[0]}, and no resize is recorded"
            )
        self._rows.append(row)
        if reference is not None:
            gray, other = ((rgb == rgb[:, :, :1]).all() for rgb in (result, reference))
            self._mixed += bool(gray != other)
        if self.protocol == "paper":
            left = result if damaged is None or damaged.shape != result.shape else damaged
            if reference is None:
                _, result = recompressed(left, result)
            else:
                _, result, reference = recompressed(left, result, reference)
        if {"fed", "lle"} & set(self.metrics) and reference is not None:
            ours, theirs = (self._pool.submit(see_face, rgb) for rgb in (result, reference))
            self._seen.append((row, ours, theirs))
        self._measure(row, result, reference)
        while len(self._seen) > AHEAD:
            self._take_faces()

    def add_reference(self, reference: Rgb8) -> None:
        """Take an image of the set that FID and KID compare with, not paired with a result."""
        self._sets_paired = False
        if self._theirs is not None:
            (rgb,) = recompressed(reference) if self.protocol == "paper" else (reference,)
            self._theirs.add(to_tensor(rgb))

    def _measure(self, row: ImageScores, result: Rgb8, reference: Rgb8 | None) -> None:
        image = to_tensor(result)
        other = image if reference is None else to_tensor(reference)
        if self._ours is not None and self._theirs is not None:
            self._ours.add(image)
            if reference is not None:
                self._theirs.add(other)
        with torch.inference_mode():
            for metric, measure in self._measures.items():
                if reference is not None or not measure.paired:
                    row.note(metric, partial(measure, image, other))
        if "niqe" in self.metrics:
            row.note("niqe", partial(niqe if self.protocol == "standard" else niqe_legacy, result))
        if "identity" in self.metrics and row.identity is not None:
            row.values["identity"] = row.identity

    def _take_faces(self) -> None:
        row, ours, theirs = self._seen.popleft()
        face, other = ours.result(), theirs.result()
        if face is not None and other is not None:
            for metric, measure in (("fed", fed), ("lle", lle)):
                if metric in self.metrics:
                    row.note(metric, partial(measure, face, other))

    def our_statistics(self) -> FeatureStatistics:
        """Return the statistics of the results, to be saved.

        Raises:
            ConfigError: If neither FID nor KID was asked for, or there are fewer than two images.
        """
        if self._ours is None:
            raise ConfigError("--save-stats needs fid or kid among the metrics")
        return self._ours.statistics()

    def finish(self, reference: FeatureStatistics | None = None) -> Scores:
        """Return the scores of all that was added.

        Args:
            reference: Saved statistics that FID and KID compare with.

        Raises:
            ConfigError: If the statistics do not fit.
        """
        while self._seen:
            self._take_faces()
        sets = self._compare_sets(reference)
        results, reasons = dict(sets.metrics), dict(sets.not_computed)
        for metric in self.metrics:
            if metric not in SETS:
                values = [row.values[metric] for row in self._rows if metric in row.values]
                failed = next(
                    (row.failures[metric] for row in self._rows if metric in row.failures), ""
                )
                if not values:
                    reasons[metric] = failed or WANTING.get(metric, "no image to compute it for")
                else:
                    results[metric] = MetricResult(
                        mean=float(np.mean(values)),
                        ci95=mean_interval(values),
                        n=len(values),
                        by=computed_by(metric, self.protocol),
                        missing=sum(
                            metric not in row.values
                            for row in self._rows
                            if row.reference is not None or metric not in PAIRED
                        ),
                    )
        warnings = list(sets.warnings)
        if self._mixed:
            warnings.append(
                f"{self._mixed} pairs compare a gray image with one in colour: the colour counts "
                f"as an error in every metric"
            )
        return Scores(
            metrics={name: results[name] for name in (*self.metrics, *results) if name in results},
            not_computed=reasons,
            images=tuple(self._rows),
            warnings=tuple(warnings),
        )

    def _compare_sets(self, reference: FeatureStatistics | None) -> SetScores:
        wanted = tuple(name for name in self.metrics if name in SETS)
        if self._ours is None or self._theirs is None:
            return SetScores()
        count = self._theirs.count if reference is None else 2
        if min(self._ours.count, count) < 2:
            reason = f"expected at least two images in each set, got {self._ours.count} and {count}"
            return SetScores(not_computed=dict.fromkeys(wanted, reason))
        theirs = self._theirs.statistics() if reference is None else reference
        paired = self._sets_paired and reference is None
        return compare_sets(self._ours.statistics(), theirs, wanted, self.protocol, paired=paired)
