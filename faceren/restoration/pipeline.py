"""A run's stages: threads decode, detect and encode while the network computes."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Literal

from faceren.arrays import Rgb
from faceren.engines import Restorer
from faceren.errors import FacerenError, MachineError, may_pass, unforeseen
from faceren.faces.given import GivenFace
from faceren.faces.tools import FaceTools
from faceren.files import sha256_of
from faceren.graphs.session import usable_cores
from faceren.images import DEFAULT_MAX_PIXELS, Restoration
from faceren.restoration.finish import Watcher, finish
from faceren.restoration.options import RestoreOptions
from faceren.restoration.photo import Prepared, prepare
from faceren.restoration.repair.repair import Repairer
from faceren.restoration.results import PhotoResult
from faceren.restoration.stream import (
    MemoryBudget,
    NetworkResultOrError,
    PhotoStream,
    PreparedOrFailed,
    SharedNetwork,
    Stages,
)
from faceren.runs.plan import Job

AHEAD = 4
"""Photos on their way beyond those in the hands of the threads and those that fill a batch."""
AUTOMATIC_WORKERS = 2
"""Threads beside a network on a CPU; beside a GPU as many as there are cores: it is soon done."""
DEFAULT_MAX_MEMORY = 2 * 2**30
"""Bytes of the photos that are worked on at a time."""

Stage = Literal["prepare", "network", "finish"]


def automatic_workers(restorer: Restorer) -> int:
    """Return how many threads prepare and finish photos beside a network."""
    return AUTOMATIC_WORKERS if restorer.on_cpu else max(AUTOMATIC_WORKERS, usable_cores())


class Timing:
    """Seconds that a run has spent in each stage so far: where its time goes, for a benchmark."""

    def __init__(self) -> None:
        self.prepare = 0.0
        """Decoding, detecting, aligning; by all threads together."""
        self.network = 0.0
        """In which the network was at work, however many threads it worked for: never more than
        went by."""
        self.finish = 0.0
        """Pasting, measuring, encoding, writing; by all threads together. Passes over a photo's
        background are part of it, and of ``network``."""
        self._lock = threading.Lock()
        self._inside = 0
        self._since = 0.0

    @contextmanager
    def of(self, stage: Stage) -> Iterator[None]:
        """Count the time of a block as a stage's."""
        began = time.perf_counter()
        with self._lock:
            if stage == "network":
                self._inside += 1
                self._since = began if self._inside == 1 else self._since
        try:
            yield
        finally:
            ended = time.perf_counter()
            with self._lock:
                if stage == "prepare":
                    self.prepare += ended - began
                elif stage == "finish":
                    self.finish += ended - began
                else:
                    self._inside -= 1
                    self.network += ended - self._since if not self._inside else 0.0


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
    repairer: Repairer | None = None
    """What looks for marks on prints, if anything does."""
    save_faces: bool = False
    watcher: Watcher | None = None
    """Told of each photo before and after."""
    timing: Timing = field(default_factory=Timing)

    def settings(self, job: Job) -> str:
        """Return the digest of what decides the pixels of a photo's output."""
        given = self.given.get(job.key, ())
        sha256, computed = self.restorer.checkpoint.sha256, self.restorer.computed
        if self.repairer is not None:
            computed += self.repairer.digest(job.key)
        if self.options.scale == "auto" and self.max_pixels != DEFAULT_MAX_PIXELS:
            computed += f" up to {self.max_pixels} pixels"  # which may decide on the scale
        return self.options.digest(sha256, given, computed)

    @cached_property
    def network(self) -> SharedNetwork:
        """The network, as the threads of the run share it."""
        return SharedNetwork(self.restorer)

    def run(self, jobs: Iterable[Job]) -> Iterator[PhotoResult]:
        """Restore photos; yield one result each, in order. A bad photo never stops the others.

        Raises:
            MachineError: If the disk is full or the device fails: the others would fail too.
        """
        cores = self.network.cores  # asked here: a thread of the pool has but one
        stages = Stages(self.prepared, self.restored, self.finished)
        batch, devices = self.restorer.faces_a_pass, self.restorer.devices
        ahead = 2 * self.workers + AHEAD + batch * devices
        scale = 2 if self.options.scale == "auto" else self.options.scale  # 2: until it is chosen
        budget = MemoryBudget(self.max_memory, ahead, scale)
        passes = 2 if self.restorer.on_cpu else devices  # the second may fill an idle core
        alone = partial(self.restorer.use_cores, 1)  # a worker's own arithmetic
        with (
            ThreadPoolExecutor(passes, "faceren-network") as network,
            ThreadPoolExecutor(self.workers, "faceren", alone) as pool,
        ):
            stream = PhotoStream(stages, pool, network, batch=batch, budget=budget)
            try:
                yield from stream.run(jobs)
            finally:
                stream.cancel()
                self.restorer.use_cores(cores)

    def one(self, job: Job) -> PhotoResult:
        """Restore one photo, with nothing beside it and one face at a time.

        Raises:
            MachineError: As ``run``.
        """
        prepared = self.prepared(job)
        if isinstance(prepared, PhotoResult):
            return prepared
        return self.finished(prepared, [self.restored([c.seen])[0] for c in prepared.faces])

    def prepared(self, job: Job) -> PreparedOrFailed:
        """Prepare a photo for the network; a result if that failed."""
        try:
            with self.timing.of("prepare"), self.network.beside():
                given = self.given.get(job.key, ())
                return prepare(job, self.options, self.max_pixels, self.tools, given, self.repairer)
        except FacerenError as error:  # a missing library stops one kind of file, not the run
            return self.failure(job, error)
        except Exception as error:  # nor does a file that no parser has foreseen
            return self.failure(job, unforeseen(error))

    def restored(self, pictures: Sequence[Rgb]) -> list[NetworkResultOrError]:
        """Send pictures of any photos through the network; see ``SharedNetwork.run``."""
        with self.timing.of("network"):
            return self.network.run(pictures)

    def finished(self, prepared: Prepared, restored: list[NetworkResultOrError]) -> PhotoResult:
        """Paste and write a photo.

        Raises:
            MachineError: If the disk is full.
        """
        checkpoint = self.restorer.checkpoint
        try:
            with self.timing.of("finish"), self.network.beside():
                result = finish(
                    prepared,
                    restored,
                    self.options,
                    note=Restoration(checkpoint.info.name, checkpoint.sha256),
                    restore=self.restored,
                    tools=self.tools,
                    save_faces=self.save_faces,
                    watcher=self.watcher,
                )
            return replace(result, settings=self.settings(prepared.job))
        except MachineError:
            raise
        except FacerenError as error:
            return self.failure(prepared.job, error)
        except Exception as error:
            return self.failure(prepared.job, unforeseen(error))

    def failure(self, job: Job, error: FacerenError) -> PhotoResult:
        """Return the result that says why a photo failed."""
        reason = str(error)
        if str(job.source) not in reason and job.source.name not in reason:
            reason = f"{job.source}: {reason}"
        digest = ""  # which no file has: what may go better next time is tried again
        with suppress(OSError):
            digest = "" if may_pass(error) else sha256_of(job.source)
        return PhotoResult(
            source=job.source,
            output=job.output,
            key=job.key,
            status="failed",
            reason=reason,
            input_sha256=digest,
            settings=self.settings(job),
        )
