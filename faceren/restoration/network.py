"""The network, shared by the threads of a run: whoever asks waits for a turn.

On a CPU a pass gets the cores that the other threads of the run leave: two threads of arithmetic
on one core cost more than they bring. Where a core would idle, a second pass may run beside the
first. How many cores a pass gets changes no bit of the result. Each GPU has one pass at a time.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from faceren.arrays import Rgb
from faceren.engines import Restorer
from faceren.errors import FaceError, FacerenError, MachineError


@dataclass(frozen=True)
class Restored:
    """What the network made of one picture."""

    pixels: Rgb
    """(h, w, 3), of the picture's own size."""
    ms: float
    """Time of its pass, shared among the pictures in it."""


RestoredOrError = Restored | FacerenError
"""A picture for which there is no result has the reason in its place."""


def without_errors(results: Sequence[RestoredOrError]) -> list[Restored]:
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

    def run(self, pictures: Sequence[Rgb]) -> list[RestoredOrError]:
        """Restore pictures of any sizes, those of equal size in full batches.

        Args:
            pictures: (h, w, 3) each, RGB in [0, 1].

        Raises:
            MachineError: If even one picture does not fit into memory.
        """
        results: dict[int, RestoredOrError] = {}
        for shape in sorted({picture.shape for picture in pictures}):
            indices = [i for i, picture in enumerate(pictures) if picture.shape == shape]
            size = self.restorer.faces_a_pass
            for start in range(0, len(indices), size):
                part = indices[start : start + size]
                results |= zip(part, self._batch([pictures[i] for i in part]), strict=True)
        return [results[index] for index in range(len(pictures))]

    def _batch(self, pictures: Sequence[Rgb]) -> list[RestoredOrError]:
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
        return [Restored(picture, ms) for picture in restored]

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
