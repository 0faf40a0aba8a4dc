"""``faceren restore --cluster ray``: photos go to workers on the nodes of a Ray cluster.

A worker holds the network and restores some photos at a time by the same code as on one machine;
this process plans, gives out work to those that have little, and alone writes the record, in the
order of the photos. If a worker or its node dies, what it had is done by another one: outputs are
whole or not there, so that doing a photo again does no harm.
"""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import faceren
from faceren.commands.options import RunOptions
from faceren.commands.workshop import Workshop
from faceren.errors import FacerenError, MachineError
from faceren.runs.plan import AnyJob, Job
from faceren.runs.storage import spelled

if TYPE_CHECKING:
    from faceren.restoration.pipeline import Pipeline

PHOTOS = 8
"""That a worker is given at a time."""
AT_A_WORKER = 2
"""Such portions: one that is worked on, one that waits."""
AHEAD = 8
"""Portions for each worker that may be done before their turn."""
MOST_DEATHS = 3
"""Of workers, over one photo or before they are there, that end the run."""
PATIENCE = 600.0
"""Seconds to wait for a first worker, which may be on a node that is yet to come."""
Done = TypeVar("Done")


class Worker:
    """What lives on a node: a pipeline, loaded once.

    Args:
        workshop: What it is made of.
        work: What it does with photos.
        folder: What paths are relative to, on every node; None if there are none.
    """

    def __init__(
        self, workshop: Workshop, work: Callable[..., Iterator[Any]], folder: Path | None
    ) -> None:
        self._workshop = workshop
        self._work = work
        self._folder = folder

    @cached_property
    def _pipeline(self) -> "Pipeline":  # not at once: an error there would have no name
        try:
            if self._folder is not None:
                os.chdir(self._folder)
        except OSError as error:
            raise MachineError(
                f"--cluster ray: {self._folder} is not on every node; photos and outputs have to "
                f"be on a disk that all share, or in an object store"
            ) from error
        return self._workshop.pipeline()

    def computes(self) -> tuple[str, str, str]:
        """Return what decides the bytes that it makes: program, weights, arithmetic."""
        return computes(self._pipeline)

    def run(self, jobs: Sequence[Job]) -> list[Any]:
        """Return what became of each photo, in order."""
        return list(self._work(self._pipeline, jobs))


def computes(pipeline: "Pipeline") -> tuple[str, str, str]:
    """Return what decides the bytes that a pipeline makes: program, weights, arithmetic."""
    restorer = pipeline.restorer
    return faceren.__version__, restorer.checkpoint.sha256, restorer.computed


def restored_on_ray(
    jobs: Sequence[AnyJob],
    workshop: Workshop,
    pipeline: "Pipeline",
    work: Callable[["Pipeline", Sequence[AnyJob]], Iterator[Done]],
    folder: Path | None,
) -> Iterator[Done]:
    """Restore photos on a Ray cluster; yield what ``work`` yields of each, in order.

    The cluster is that of ``RAY_ADDRESS``, else one that runs on this machine, else one that is
    started here for this run.

    Args:
        jobs: The photos.
        workshop: What workers load.
        pipeline: The same, loaded here.
        work: What a worker does with a portion.
        folder: See ``Worker``.

    Raises:
        MachineError: If Ray is not there, the workers compute otherwise than this machine, or they
            die again and again.
    """
    ray = _ray()
    try:
        here = replace(workshop, how=replace(workshop.how, cluster="off"))
        crew = _Crew(
            ray, here.how, computes(pipeline), lambda kind: kind.remote(here, work, folder)
        )
        yield from crew.restored(jobs)
    finally:
        ray.shutdown()


def _ray() -> Any:
    """Return Ray, connected.

    Raises:
        MachineError: If it is not installed, or the cluster cannot be reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves the machine
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise MachineError(
            "--cluster ray: this needs ray, which is not installed; install it: "
            "pip install 'faceren[cluster]'"
        ) from error
    try:
        ray.init(log_to_driver=False, logging_level="ERROR", configure_logging=False)
    except Exception as error:  # versions that differ, an address where nobody is
        text = " ".join(str(error).split())[:300]
        raise MachineError(f"--cluster ray: the cluster cannot be used: {text}") from error
    return ray


class _DiedError(MachineError):
    """A worker died."""


class _Crew:
    """The workers of a run; those that die are replaced, and others do their work.

    Args:
        ray: The library, connected.
        how: How many there are, and what each takes.
        wanted: What ``computes`` has to say of each.
        new: Starts one, of Ray's kind.
    """

    def __init__(
        self, ray: Any, how: RunOptions, wanted: tuple[str, str, str], new: Callable[[Any], Any]
    ) -> None:
        self._ray = ray
        self._wanted = wanted
        kind = ray.remote(Worker).options(num_cpus=how.cluster_cpus, num_gpus=how.cluster_gpus)
        self._new = partial(new, kind)
        self._starting: dict[Any, Any] = {}
        """Workers that load, by what tells that they are there."""
        self._ready: dict[Any, int] = {}
        """Portions that each of the others has."""
        self._given: dict[Any, tuple[Any, range]] = {}
        """Who has which photos, by what they will return."""
        self._deaths: Counter[int] = Counter()
        """How often a worker died of each photo; of none: -1."""
        self.size = how.cluster_workers
        if not self.size:
            has = self._ray.cluster_resources()
            fits = [has.get("CPU", 0) / how.cluster_cpus]
            fits += [has.get("GPU", 0) / how.cluster_gpus] if how.cluster_gpus else []
            if min(fits) < 1:
                raise MachineError(
                    f"--cluster ray: a worker takes {how.cluster_cpus:g} CPUs and "
                    f"{how.cluster_gpus:g} GPUs, the cluster has {has.get('CPU', 0):g} and "
                    f"{has.get('GPU', 0):g}; give --cluster-workers if it will grow"
                )
            self.size = int(min(fits))
        for _ in range(self.size):
            self._start()

    def _start(self) -> None:
        worker = self._new()
        self._starting[worker.computes.remote()] = worker

    def restored(self, jobs: Sequence[Job]) -> Iterator[Any]:
        """Give out photos as workers get free; yield what became of each, in order.

        Raises:
            MachineError: See ``restored_on_ray``.
        """
        coming = (range(at, min(at + PHOTOS, len(jobs))) for at in range(0, len(jobs), PHOTOS))
        again: deque[range] = deque()
        made: dict[int, Any] = {}
        told, given = 0, 0
        while told < len(jobs):
            for worker in sorted(self._ready, key=lambda worker: self._ready[worker]):
                ahead = given - told >= AHEAD * PHOTOS * self.size and not again
                if self._ready[worker] < AT_A_WORKER and not ahead:
                    part = again.popleft() if again else next(coming, None)
                    if part is not None:
                        self._given[worker.run.remote(jobs[part.start : part.stop])] = worker, part
                        self._ready[worker] += 1
                        given = max(given, part.stop)
            for part, results in self._returned(jobs):
                if results is None:  # done once more, photo by photo: one of them may be the cause
                    again.extend(range(at, at + 1) for at in part)
                else:
                    made |= zip(part, results, strict=True)
            while told in made:
                yield made.pop(told)
                told += 1

    def _returned(self, jobs: Sequence[Job]) -> Iterator[tuple[range, list[Any] | None]]:
        """Wait for a worker; yield which photos were done, and what became of them: None, it died.

        Raises:
            MachineError: If none comes, they make other bytes, or die again and again.
        """
        refs = [*self._starting, *self._given]
        done, _ = self._ray.wait(refs, timeout=None if self._ready else PATIENCE)
        if not done:
            raise MachineError(
                f"--cluster ray: no worker has started within {PATIENCE:g} seconds; the cluster is "
                f"too small for --cluster-cpus and --cluster-gpus, or its nodes are gone"
            )
        for ref in done:
            if ref in self._starting:
                self._begin(ref)
                continue
            worker, part = self._given.pop(ref)
            try:
                results = self._get(ref)
            except _DiedError as error:
                if self._ready.pop(worker, None) is not None:
                    self._start()
                if len(part) == 1:
                    self._count_death(part.start, spelled(jobs[part.start].source), error)
                yield part, None
            else:
                if worker in self._ready:  # it may have died since
                    self._ready[worker] -= 1
                yield part, results

    def _begin(self, ref: Any) -> None:
        """Take a worker that has loaded, unless it makes other bytes than this machine."""
        worker = self._starting.pop(ref)
        try:
            got = self._get(ref)
        except _DiedError as error:
            self._count_death(-1, "a worker", error)
            self._start()
            return
        if got != self._wanted:
            names = ("faceren", "weights", "computing")
            pairs = zip(names, self._wanted, got, strict=True)
            differ = "; ".join(
                f"{n} {a!r:.60} here, {b!r:.60} there" for n, a, b in pairs if a != b
            )
            raise MachineError(f"--cluster ray: a worker is not as this machine: {differ}")
        self._ready[worker] = 0

    def _count_death(self, photo: int, what: str, error: _DiedError) -> None:
        self._deaths[photo] += 1
        if self._deaths[photo] >= MOST_DEATHS:
            raise MachineError(
                f"{what}: {MOST_DEATHS} workers died, one after the other ({error}); --exclude "
                f"leaves a photo out, the same command goes on"
            ) from error

    def _get(self, ref: Any) -> Any:
        """Return what a worker has returned.

        Raises:
            FacerenError: What it raised; _DiedError if it died.
        """
        try:
            return self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, FacerenError):
                raise type(error.cause)(str(error.cause)) from error
            raise
        except self._ray.exceptions.RayError as error:
            raise _DiedError(" ".join(str(error).split())[:200]) from error
