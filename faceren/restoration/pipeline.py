"""The stream of photos: threads decode, detect and encode while the network computes.

Photos are prepared ahead in threads, a few at a time, so that memory does not grow with the
folder; their faces go through the network together; threads then paste and write. Results come in
the order of the jobs, whatever finishes first.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch

from faceren.errors import FacerenError, MachineError
from faceren.files import sha256_of
from faceren.inference import Restorer
from faceren.manifest import Manifest
from faceren.restoration.crops import FaceCrop, Pixels
from faceren.restoration.options import RestoreOptions
from faceren.restoration.photo import Prepared, finish, prepare
from faceren.restoration.plan import Job
from faceren.restoration.results import PhotoResult

AHEAD = 2
"""Photos prepared beyond those whose faces fill a batch."""


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """Everything a run needs beside its jobs."""

    restorer: Restorer
    options: RestoreOptions
    max_pixels: int
    workers: int
    """Threads that decode, detect, paste and encode."""
    save_faces: bool = False

    @property
    def settings(self) -> str:
        """Digest of what decides the pixels of an output."""
        return self.options.digest(self.restorer.checkpoint.sha256)

    def run(self, jobs: Iterable[Job]) -> Iterator[PhotoResult]:
        """Restore photos; yield one result each, in order. A bad photo never stops the others.

        Raises:
            MachineError: If the disk is full or the device fails: the others would fail too.
        """
        with ThreadPoolExecutor(self.workers, thread_name_prefix="faceren") as pool:
            writing: deque[Future[PhotoResult]] = deque()
            try:
                for group in self._groups(pool, jobs):
                    writing.extend(self._restored(pool, group))
                    while len(writing) > self.workers + AHEAD:
                        yield writing.popleft().result()
                while writing:
                    yield writing.popleft().result()
            finally:
                for future in writing:
                    future.cancel()

    def _groups(
        self, pool: ThreadPoolExecutor, jobs: Iterable[Job]
    ) -> Iterator[list[Prepared | PhotoResult]]:
        """Yield prepared photos in groups that fill a batch, reading a few photos ahead."""
        waiting: deque[Future[Prepared | PhotoResult]] = deque()
        group: list[Prepared | PhotoResult] = []
        full = self.restorer.faces_a_pass
        for job in jobs:
            waiting.append(pool.submit(self._prepare, job))
            if len(waiting) < self.workers + AHEAD:
                continue
            group.append(waiting.popleft().result())
            if _count(group) >= full or len(group) >= full:
                yield group
                group = []
        while waiting:
            group.append(waiting.popleft().result())
            if _count(group) >= full:
                yield group
                group = []
        yield group

    def _prepare(self, job: Job) -> Prepared | PhotoResult:
        try:
            return prepare(job, self.options, self.max_pixels)
        except FacerenError as error:  # a missing library stops one kind of file, not the run
            return self._failure(job, error)

    def _failure(self, job: Job, error: FacerenError) -> PhotoResult:
        reason = str(error)
        if str(job.source) not in reason and job.source.name not in reason:
            reason = f"{job.source}: {reason}"
        try:
            digest = sha256_of(job.source)
        except OSError:
            digest = ""
        return PhotoResult(
            source=job.source,
            output=job.output,
            key=job.key,
            status="failed",
            reason=reason,
            input_sha256=digest,
            settings=self.settings,
        )

    def _restored(
        self, pool: ThreadPoolExecutor, group: Sequence[Prepared | PhotoResult]
    ) -> Iterator[Future[PhotoResult]]:
        photos = [item for item in group if isinstance(item, Prepared)]
        outcome = self._network([crop for photo in photos for crop in photo.faces])
        for item in group:
            if isinstance(item, PhotoResult):
                yield _known(item)
                continue
            mine, outcome = outcome[: len(item.faces)], outcome[len(item.faces) :]
            yield pool.submit(self._finish, item, mine)

    def _network(self, crops: Sequence[FaceCrop]) -> list["Restored"]:
        """Restore crops of all sizes, each size in batches of its own."""
        results: dict[int, Restored] = {}
        for shape in sorted({crop.pixels.shape for crop in crops}):
            indices = [i for i, crop in enumerate(crops) if crop.pixels.shape == shape]
            size = self.restorer.faces_a_pass
            for start in range(0, len(indices), size):
                part = indices[start : start + size]
                results |= zip(part, self._batch([crops[i] for i in part]), strict=True)
        return [results[index] for index in range(len(crops))]

    def _batch(self, crops: Sequence[FaceCrop]) -> list["Restored"]:
        pixels = np.stack([crop.pixels for crop in crops])
        faces = torch.from_numpy(pixels).permute(0, 3, 1, 2)  # (N, 3, S, S)
        began = time.perf_counter()
        try:
            restored = self.restorer.restore(faces).permute(0, 2, 3, 1).numpy()
        except MachineError:
            raise
        except FacerenError as error:
            return [Restored(crop.pixels, 0.0, error) for crop in crops]
        each = (time.perf_counter() - began) * 1000 / len(crops)
        return [Restored(np.ascontiguousarray(face), each, None) for face in restored]

    def _finish(self, prepared: Prepared, restored: Sequence["Restored"]) -> PhotoResult:
        try:
            for face in restored:
                if face.error is not None:
                    raise face.error
            pixels, times = [face.pixels for face in restored], [face.ms for face in restored]
            result = finish(
                prepared,
                pixels,
                times,
                self.options,
                model=self.restorer.checkpoint,
                save_faces=self.save_faces,
            )
            return replace(result, settings=self.settings)
        except MachineError:
            raise
        except FacerenError as error:
            return self._failure(prepared.job, error)


@dataclass(frozen=True)
class Restored:
    """What the network made of one crop."""

    pixels: Pixels
    ms: float
    error: FacerenError | None


def _known(result: PhotoResult) -> Future[PhotoResult]:
    """Return a future that is done already."""
    future: Future[PhotoResult] = Future()
    future.set_result(result)
    return future


def _count(group: Sequence[Prepared | PhotoResult]) -> int:
    return sum(len(item.faces) for item in group if isinstance(item, Prepared))


def unchanged(
    job: Job, manifest: Manifest, settings: str, *, retry_failed: bool
) -> PhotoResult | None:
    """Return a ``skipped`` result if an earlier run has done this very job, else None.

    Done means: the same bytes in, the same settings, and the output still as it was written.
    """
    line = manifest.items.get(job.key)
    if line is None or line.get("settings") != settings:
        return None
    failed = line["status"] == "failed"
    if failed and retry_failed:
        return None
    try:
        if sha256_of(job.source) != line["input_sha256"]:
            return None
        if not failed and sha256_of(job.output) != line["output_sha256"]:
            return None
    except OSError:
        return None
    return PhotoResult(
        source=job.source,
        output=job.output,
        key=job.key,
        status="skipped",
        previous=line["status"],
        reason=line.get("reason", ""),
        input_sha256=line["input_sha256"],
        output_sha256=line.get("output_sha256") or "",
        settings=settings,
    )
