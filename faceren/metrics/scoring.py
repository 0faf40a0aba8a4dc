"""Score images one after another, in memory that does not grow with their pixels.

dlib works in a thread of its own beside torch. Shape letters: H and W pixels.
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np
import torch

from faceren.arrays import Rgb8
from faceren.errors import ConfigError, ShapeError
from faceren.images import to_tensor
from faceren.metrics.fed import SeenFace, fed, lle, see_face
from faceren.metrics.fid import SetScores, compare_sets
from faceren.metrics.inception import FeatureStatistics, FeatureStream, load_inception
from faceren.metrics.measures import recompressed, tensor_measures
from faceren.metrics.names import PAIRED, SETS, Protocol
from faceren.metrics.niqe import niqe, niqe_legacy
from faceren.metrics.results import (
    ImageScores,
    MetricResult,
    Scores,
    computed_by,
    mean_interval,
)

FacePair = tuple[SeenFace | None, SeenFace | None]

AHEAD = 4
"""Pairs that may wait for dlib while torch goes on."""
WANTING = {
    "fed": "no pair of images in which dlib finds a face in both",
    "lle": "no pair of images in which dlib finds a face in both",
    "identity": "no restored face with an identity distance in the manifest",
}


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
        self._seen: deque[tuple[ImageScores, Future[FacePair]]] = deque()
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

    def add(self, row: ImageScores, result: Rgb8, reference: Rgb8 | None = None) -> None:
        """Score one result.

        Args:
            row: What it is; its values and failures are filled in, some of them by ``finish``.
            result: (H, W, 3) uint8.
            reference: The same shape, or None.

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
            self._mixed += _is_gray(result) != _is_gray(reference)
        if self.protocol == "paper":
            result = recompressed(result)
            reference = None if reference is None else recompressed(reference)
        if {"fed", "lle"} & set(self.metrics) and reference is not None:
            self._seen.append((row, self._pool.submit(_see_faces, result, reference)))
        self._measure(row, result, reference)
        while len(self._seen) > AHEAD:
            self._take_faces()

    def add_reference(self, reference: Rgb8) -> None:
        """Take an image of the set that FID and KID compare with, not paired with a result."""
        self._sets_paired = False
        if self._theirs is not None:
            rgb = recompressed(reference) if self.protocol == "paper" else reference
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
        row, future = self._seen.popleft()
        face, other = future.result()
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
                self._summarise(metric, results, reasons)
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

    def _summarise(
        self, metric: str, results: dict[str, MetricResult], reasons: dict[str, str]
    ) -> None:
        values = [row.values[metric] for row in self._rows if metric in row.values]
        failed = next((row.failures[metric] for row in self._rows if metric in row.failures), "")
        if not values:
            reasons[metric] = failed or WANTING.get(metric, "no image to compute it for")
            return
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


def _see_faces(result: Rgb8, reference: Rgb8) -> FacePair:
    return see_face(result), see_face(reference)


def _is_gray(rgb: Rgb8) -> bool:
    return bool((rgb == rgb[:, :, :1]).all())
