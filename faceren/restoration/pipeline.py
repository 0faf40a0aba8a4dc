"""A run's stages: threads decode, detect and encode while the network computes."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch

from faceren.errors import FacerenError, MachineError
from faceren.faces.given import GivenFace
from faceren.faces.tools import FaceTools
from faceren.files import sha256_of
from faceren.inference import Restorer
from faceren.restoration.budget import MemoryBudget
from faceren.restoration.finish import Watch, finish
from faceren.restoration.flow import Flow, PreparedOrFailed, Stages
from faceren.restoration.lane import NetworkLane, Restored
from faceren.restoration.options import RestoreOptions
from faceren.restoration.photo import Prepared, prepare
from faceren.restoration.results import PhotoResult
from faceren.runs.plan import Job

AHEAD = 4
"""Photos on their way beyond those in the hands of the threads and those that fill a batch."""
AUTOMATIC_WORKERS = 2
DEFAULT_MAX_MEMORY = 2 * 2**30
"""Bytes of the photos that are worked on at a time."""


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
    given: Mapping[str, tuple[GivenFace, ...]] = field(default_factory=dict)
    """Faces that a person has marked, by the keys of the jobs."""
    save_faces: bool = False
    watch: Watch | None = None
    """Told of each photo before and after; see ``finish``."""

    def settings(self, job: Job) -> str:
        """Return the digest of what decides the pixels of a photo's output."""
        given = self.given.get(job.key, ())
        return self.options.digest(self.restorer.checkpoint.sha256, given)

    @cached_property
    def lane(self) -> NetworkLane:
        """The network, and how long each stage has taken."""
        return NetworkLane(self.restorer)

    def run(self, jobs: Iterable[Job]) -> Iterator[PhotoResult]:
        """Restore photos; yield one result each, in order. A bad photo never stops the others.

        Raises:
            MachineError: If the disk is full or the device fails: the others would fail too.
        """
        threads = self.lane.cores  # asked here: a thread of the pool has but one
        alone = _one_thread if self.restorer.device.type == "cpu" else None
        stages = Stages(self.prepared, self.lane.run, self.finished)
        batch = self.restorer.faces_a_pass
        budget = MemoryBudget(self.max_memory, 2 * self.workers + AHEAD + batch, self.options.scale)
        with (
            ThreadPoolExecutor(self._passes, "faceren-network") as network,
            ThreadPoolExecutor(self.workers, "faceren", alone) as pool,
        ):
            flow = Flow(stages, pool, network, batch=batch, budget=budget)
            try:
                yield from flow.run(jobs)
            finally:
                flow.cancel()
                torch.set_num_threads(threads)

    @property
    def _passes(self) -> int:
        """Threads that wait for the network: two where a second pass may fill a core."""
        return 2 if self.restorer.device.type == "cpu" else 1

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
                given = self.given.get(job.key, ())
                return prepare(job, self.options, self.max_pixels, self.tools, given)
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


def _one_thread() -> None:
    """Let a worker's own arithmetic run in its thread alone."""
    torch.set_num_threads(1)
