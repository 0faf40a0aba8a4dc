"""The photos of one run on their way: prepared, through the network, finished, side by side.

Three parties work at once: a pool of threads prepares and finishes photos, others feed the
network, and the caller's thread hands out work whenever a piece is done. Each waits only
when there is no work for it, or no room in memory for one more photo.

The network is shared by the threads of a run: whoever asks waits for a turn. On a CPU a pass gets
the cores that the other threads of the run leave: two threads of arithmetic on one core cost more
than they bring. Where a core would idle, a second pass may run beside the first. How many cores a
pass gets changes no bit of the result. Each GPU has one pass at a time.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from faceren.arrays import Rgb
from faceren.engines import Restorer
from faceren.errors import FaceError, FacerenError, MachineError
from faceren.images import decoded_bytes
from faceren.restoration.photo import Prepared
from faceren.restoration.results import PhotoResult
from faceren.runs.plan import Job


@dataclass(frozen=True)
class NetworkResult:
    """What the network made of one picture."""

    pixels: Rgb
    """(h, w, 3), of the picture's own size."""
    ms: float
    """Time of its pass, shared among the pictures in it."""


NetworkResultOrError = NetworkResult | FacerenError
"""A picture for which there is no result has the reason in its place."""


def without_errors(results: Sequence[NetworkResultOrError]) -> list[NetworkResult]:
    """Return what the network made of pictures that belong together.

    Raises:
        FacerenError: If it failed for one of them: the first of the errors.
    """
    restored = []
    for result in results:
        if isinstance(result, FacerenError):
            raise result
        restored.append(result)
    return restored


class SharedNetwork:
    """A restorer that threads share.

    Args:
        restorer: The loaded network.
        cores: Threads of a pass that nothing runs beside; default the restorer's own number.
    """

    def __init__(self, restorer: Restorer, cores: int | None = None) -> None:
        self.restorer = restorer
        self.cores = cores or restorer.cores
        self._changed = threading.Condition()
        self._beside = 0
        """Threads of the run that work outside the network."""
        self._passing = 0
        """Cores that passes have; passes on GPUs take none, and count as one each."""
        self._mine = threading.local()

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Count the thread as busy outside the network while a block lasts."""
        self._mine.beside = 1
        self._add(1)
        try:
            yield
        finally:
            self._add(-1)
            self._mine.beside = 0

    def _add(self, number: int) -> None:
        with self._changed:
            self._beside += number
            self._changed.notify_all()

    def run(self, pictures: Sequence[Rgb]) -> list[NetworkResultOrError]:
        """Restore pictures of any sizes, those of equal size in full batches.

        Args:
            pictures: (h, w, 3) each, RGB in [0, 1].

        Raises:
            MachineError: If even one picture does not fit into memory.
        """
        results: dict[int, NetworkResultOrError] = {}
        for shape in sorted({picture.shape for picture in pictures}):
            indices = [i for i, picture in enumerate(pictures) if picture.shape == shape]
            size = self.restorer.faces_a_pass
            for start in range(0, len(indices), size):
                part = indices[start : start + size]
                results |= zip(part, self._batch([pictures[i] for i in part]), strict=True)
        return [results[index] for index in range(len(pictures))]

    def _batch(self, pictures: Sequence[Rgb]) -> list[NetworkResultOrError]:
        """Restore pictures of one size in one pass; one that fails spoils no other."""
        began = time.perf_counter()
        try:
            with self._turn() as cores:
                self.restorer.use_cores(cores)
                restored = self.restorer.restore_pictures(pictures)
        except MachineError:
            raise
        except FaceError as error:
            if len(pictures) == 1:
                return [error]
            return [self._batch([picture])[0] for picture in pictures]
        except FacerenError as error:
            return [error] * len(pictures)
        ms = (time.perf_counter() - began) * 1000 / len(pictures)
        return [NetworkResult(picture, ms) for picture in restored]

    @contextmanager
    def _turn(self) -> Iterator[int]:
        """Wait for a turn and yield the cores that a pass has."""
        with self._changed:
            self._changed.wait_for(self._has_room)
            cores = max(1, self._free()) if self.restorer.on_cpu else 1
            self._passing += cores
        try:
            yield cores
        finally:
            with self._changed:
                self._passing -= cores
                self._changed.notify_all()

    def _has_room(self) -> bool:
        """Say whether one more pass may begin."""
        if not self.restorer.on_cpu:
            return self._passing < self.restorer.devices
        return not self._passing or self._free() > 0

    def _free(self) -> int:
        """Return the cores that nobody uses; the thread that asks does not count."""
        return self.cores - (self._beside - getattr(self._mine, "beside", 0)) - self._passing


PreparedOrFailed = Prepared | PhotoResult
Result = TypeVar("Result")

COPIES = 3
"""Times a photo's pixels are held at once: its raster, what the detector sees, what is encoded."""


class MemoryBudget:
    """A bound on the memory of the photos between decoding and writing.

    Args:
        limit: Bytes. One photo is admitted always, whatever it takes.
        photos: Most photos at a time.
        scale: How many times as high and wide the photos become at most.
    """

    def __init__(self, limit: int, photos: int, scale: int = 1) -> None:
        self._limit = limit
        self._photos = photos
        self._scale = scale
        self._taken: list[int] = []
        self._lock = threading.Lock()

    def cost(self, path: Path) -> int:
        """Return the bytes that a photo takes while it is worked on, told by its header."""
        return COPIES * self._scale**2 * decoded_bytes(path)

    def admit(self, cost: int) -> bool:
        """Take ``cost`` bytes if they are there; say whether they were."""
        with self._lock:
            full = len(self._taken) >= self._photos or sum(self._taken) + cost > self._limit
            if full and self._taken:
                return False
            self._taken.append(cost)
            return True

    def settled(self, cost: int, scale: int) -> int:
        """Give back what a photo does not take after all; return what it takes.

        Args:
            cost: Taken for it.
            scale: How many times as high and wide it has become.
        """
        with self._lock:
            self._taken.remove(cost)
            self._taken.append(cost := cost * scale**2 // self._scale**2)
        return cost

    def release(self, cost: int) -> None:
        """Give back what ``admit`` took."""
        with self._lock:
            self._taken.remove(cost)


@dataclass(frozen=True)
class Stages:
    """What is done with a photo, in order."""

    prepare: Callable[[Job], PreparedOrFailed]
    restore: Callable[[list[Rgb]], list[NetworkResultOrError]]
    """The network, on faces of any photos."""
    finish: Callable[[Prepared, list[NetworkResultOrError]], PhotoResult]


@dataclass
class _OnTheWay:
    """One photo between its job and its result."""

    cost: int
    prepared: Future[PreparedOrFailed] | None
    """Let go once it is read, so that the photo is in memory no longer than it is worked on."""
    finished: Future[PhotoResult] | None = None


@dataclass(frozen=True)
class _Group:
    """Photos whose faces go through the network together."""

    photos: list[tuple[_OnTheWay, PreparedOrFailed]]
    restored: Future[list[NetworkResultOrError]]


class PhotoStream:
    """Move the photos of one run from stage to stage; results come in the order of the jobs.

    Args:
        stages: What to do with them.
        pool: Threads that prepare and finish.
        network: Threads that restore; more than one only if the network can be shared.
        batch: Faces that fill a pass of the network.
        budget: How many photos may be on their way.
    """

    def __init__(
        self,
        stages: Stages,
        pool: ThreadPoolExecutor,
        network: ThreadPoolExecutor,
        *,
        batch: int,
        budget: MemoryBudget,
    ) -> None:
        self._stages = stages
        self._pool = pool
        self._network = network
        self._batch = batch
        self._budget = budget
        self._unseen: deque[_OnTheWay] = deque()
        self._preparing: deque[_OnTheWay] = deque()
        self._gathered: list[tuple[_OnTheWay, PreparedOrFailed]] = []
        self._passing: deque[_Group] = deque()
        self._news: SimpleQueue[None] = SimpleQueue()

    def run(self, jobs: Iterable[Job]) -> Iterator[PhotoResult]:
        """Yield one result for each job, in order.

        Raises:
            MachineError: From a stage, if the others would fail too.
        """
        coming = iter(jobs)
        job = next(coming, None)
        while job or self._unseen:
            while job and self._started(job):
                job = next(coming, None)
            self._gather()
            self._hand_over()
            while self._unseen and (finished := _done(self._unseen[0].finished)):
                self._unseen.popleft()
                yield finished.result()
                self._hand_over()  # the caller may have taken its time
            if self._unseen:
                self._news.get()  # until something is done

    def cancel(self) -> None:
        """Start nothing more."""
        for photo in self._unseen:
            for future in (photo.prepared, photo.finished):
                if future is not None:
                    future.cancel()
        for group in self._passing:
            group.restored.cancel()

    def _started(self, job: Job) -> bool:
        """Start on a photo, if there is room for it."""
        cost = self._budget.cost(job.source)
        if not self._budget.admit(cost):
            return False
        future = self._pool.submit(self._stages.prepare, job)
        future.add_done_callback(self._notify)
        photo = _OnTheWay(cost, future)
        self._preparing.append(photo)
        self._unseen.append(photo)
        return True

    def _notify(self, _: object) -> None:
        self._news.put(None)

    def _gather(self) -> None:
        """Send the faces of prepared photos to the network, in order, in full batches.

        A batch that is not full goes when no photo is being prepared: there is no room for more.
        """
        while self._preparing and (prepared := _done(self._preparing[0].prepared)):
            photo, item = self._preparing.popleft(), prepared.result()
            photo.prepared = None
            if isinstance(item, Prepared):
                photo.cost = self._budget.settled(photo.cost, item.photo.scale)
            self._gathered.append((photo, item))
            faces = sum(len(p.faces) for _, p in self._gathered if isinstance(p, Prepared))
            if faces >= self._batch or len(self._gathered) >= self._batch:
                self._send()
        if self._gathered and not self._preparing:
            self._send()

    def _send(self) -> None:
        photos, self._gathered = self._gathered, []
        prepared = [item for _, item in photos if isinstance(item, Prepared)]
        faces = [crop.seen for item in prepared for crop in item.faces]
        future = self._network.submit(self._stages.restore, faces)
        future.add_done_callback(self._notify)
        self._passing.append(_Group(photos, future))

    def _hand_over(self) -> None:
        """Let photos that have been through the network be finished."""
        while self._passing and self._passing[0].restored.done():
            group = self._passing.popleft()
            restored = group.restored.result()
            for photo, item in group.photos:
                photo.finished = Future()
                if isinstance(item, PhotoResult):
                    photo.finished.set_result(item)
                else:
                    mine, restored = restored[: len(item.faces)], restored[len(item.faces) :]
                    photo.finished = self._pool.submit(self._stages.finish, item, mine)
                photo.finished.add_done_callback(partial(self._release, photo.cost))

    def _release(self, cost: int, _: object) -> None:
        self._budget.release(cost)
        self._news.put(None)


def _done(future: Future[Result] | None) -> Future[Result] | None:
    return future if future is not None and future.done() else None
