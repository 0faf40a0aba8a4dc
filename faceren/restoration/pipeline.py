"""The stream of photos: threads decode, detect and encode while the network computes.

Photos are prepared ahead in threads, as many as memory allows; their faces go through the network
together; threads then paste and write. Results come in the order of the jobs, whatever finishes
first.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import torch

from faceren.errors import FacerenError, MachineError
from faceren.faces.tools import FaceTools
from faceren.files import sha256_of
from faceren.inference import Restorer
from faceren.restoration.budget import MemoryBudget
from faceren.restoration.finish import Watch, finish
from faceren.restoration.lane import NetworkLane, Restored
from faceren.restoration.options import RestoreOptions
from faceren.restoration.photo import Prepared, prepare
from faceren.restoration.plan import Job
from faceren.restoration.results import PhotoResult

AHEAD = 2
"""Photos prepared beyond those whose faces fill a batch."""
AUTOMATIC_WORKERS = 2
DEFAULT_MAX_MEMORY = 2 * 2**30
"""Bytes of the photos that are worked on at a time."""

PreparedOrFailed = Prepared | PhotoResult


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """Everything a run needs beside its jobs."""

    restorer: Restorer
    options: RestoreOptions
    max_pixels: int
    workers: int
    """Threads that decode, detect, paste and encode."""
    max_memory: int = DEFAULT_MAX_MEMORY
    """Bytes that photos may take between decoding and writing; one photo always may."""
    tools: FaceTools = field(default_factory=FaceTools)
    """What finds and outlines faces."""
    save_faces: bool = False
    watch: Watch | None = None
    """Told of each photo before and after; see ``finish``."""

    def settings(self, job: Job) -> str:
        """Return the digest of what decides the pixels of a photo's output."""
        return self.options.digest(self.restorer.checkpoint.sha256, job.given)

    @cached_property
    def lane(self) -> NetworkLane:
        """The network, and how long each stage has taken."""
        return NetworkLane(self.restorer)

    def run(self, jobs: Iterable[Job]) -> Iterator[PhotoResult]:
        """Restore photos; yield one result each, in order. A bad photo never stops the others.

        Raises:
            MachineError: If the disk is full or the device fails: the others would fail too.
        """
        threads = torch.get_num_threads()
        alone = _one_thread if self.restorer.device.type == "cpu" else None
        with ThreadPoolExecutor(self.workers, "faceren", alone) as pool:
            flow = _Flow(self, pool)
            try:
                yield from flow.run(jobs)
            finally:
                flow.cancel()
                torch.set_num_threads(threads)

    def one(self, job: Job) -> PhotoResult:
        """Restore one photo, with nothing beside it and one face at a time.

        Raises:
            MachineError: As ``run``.
        """
        prepared = self.prepared(job)
        if isinstance(prepared, PhotoResult):
            return prepared
        return self.finished(prepared, [self.lane.run([crop.pixels])[0] for crop in prepared.faces])

    def prepared(self, job: Job) -> PreparedOrFailed:
        """Prepare a photo for the network; a result if that failed."""
        try:
            with self.lane.stage("prepare"):
                return prepare(job, self.options, self.max_pixels, self.tools)
        except FacerenError as error:  # a missing library stops one kind of file, not the run
            return self.failure(job, error)

    def finished(self, prepared: Prepared, restored: list[Restored]) -> PhotoResult:
        """Paste and write a photo.

        Raises:
            MachineError: If the disk is full.
        """
        try:
            with self.lane.stage("finish"):
                result = finish(
                    prepared,
                    restored,
                    self.options,
                    lane=self.lane,
                    tools=self.tools,
                    save_faces=self.save_faces,
                    watch=self.watch,
                )
            return replace(result, settings=self.settings(prepared.job))
        except MachineError:
            raise
        except FacerenError as error:
            return self.failure(prepared.job, error)

    def failure(self, job: Job, error: FacerenError) -> PhotoResult:
        """Return the result that says why a photo failed."""
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
            settings=self.settings(job),
        )


class _Flow:
    """The photos of one run that are being worked on, from the first stage to the last."""

    def __init__(self, pipeline: Pipeline, pool: ThreadPoolExecutor) -> None:
        self.pipeline = pipeline
        self.pool = pool
        self.batch = pipeline.restorer.faces_a_pass
        photos = 2 * pipeline.workers + AHEAD + self.batch
        self.budget = MemoryBudget(pipeline.max_memory, photos, pipeline.options.scale)
        self.preparing: deque[tuple[int, Future[PreparedOrFailed]]] = deque()
        self.group: list[tuple[int, PreparedOrFailed]] = []
        self.writing: deque[Future[PhotoResult]] = deque()

    def run(self, jobs: Iterable[Job]) -> Iterator[PhotoResult]:
        for job in jobs:
            cost = self.budget.cost(job.source)
            while not self.budget.admit(cost):
                yield from self._step()
            self.preparing.append((cost, self.pool.submit(self.pipeline.prepared, job)))
        while self.preparing or self.group or self.writing:
            yield from self._step()

    def cancel(self) -> None:
        """Start nothing more."""
        for written in self.writing:
            written.cancel()
        for _, prepared in self.preparing:
            prepared.cancel()

    def _step(self) -> Iterator[PhotoResult]:
        """Move photos one stage on, and yield the first if it is done."""
        if self.writing and (self.writing[0].done() or not (self.preparing or self.group)):
            yield self.writing.popleft().result()
        elif self.preparing:
            cost, future = self.preparing.popleft()
            self.group.append((cost, future.result()))
            if self._faces() >= self.batch or len(self.group) >= self.batch:
                self._through_network()
        else:
            self._through_network()

    def _faces(self) -> int:
        return sum(len(item.faces) for _, item in self.group if isinstance(item, Prepared))

    def _through_network(self) -> None:
        """Restore the faces of the group and hand its photos on to be written."""
        photos = [item for _, item in self.group if isinstance(item, Prepared)]
        faces = [crop.pixels for photo in photos for crop in photo.faces]
        restored = self.pipeline.lane.run(faces)
        for cost, item in self.group:
            future: Future[PhotoResult] = Future()
            if isinstance(item, PhotoResult):
                future.set_result(item)
            else:
                mine, restored = restored[: len(item.faces)], restored[len(item.faces) :]
                future = self.pool.submit(self.pipeline.finished, item, mine)
            future.add_done_callback(partial(self._release, cost))
            self.writing.append(future)
        self.group = []

    def _release(self, cost: int, _: Future[PhotoResult]) -> None:
        self.budget.release(cost)


def _one_thread() -> None:
    """Let a worker's own arithmetic run in its thread alone."""
    torch.set_num_threads(1)
