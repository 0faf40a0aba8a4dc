"""The network as a lane that threads share: whoever asks waits for a turn.

On a CPU a pass gets the cores that the other threads of the run leave: two threads of arithmetic
on one core cost more than they bring. Where a core would idle, a second pass may run beside the
first. How many cores a pass gets changes no bit of the result. A GPU has one pass at a time.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from faceren.errors import FaceError, FacerenError, MachineError
from faceren.inference import Restorer
from faceren.restoration.results import Stage, Timing

Pixels = NDArray[np.float32]


@dataclass(frozen=True)
class Restored:
    """What the network made of one picture."""

    pixels: Pixels
    """(h, w, 3), of the picture's own size."""
    ms: float
    """Time of its pass, shared among the pictures in it."""
    error: FacerenError | None = None
    """Why there is no result; ``pixels`` are the input's then, for nobody to use."""


class NetworkLane:
    """A restorer that threads share, and a record of how long each stage of a run takes.

    Args:
        restorer: The loaded network.
        cores: Threads of a pass that nothing runs beside; default torch's own number.
    """

    def __init__(self, restorer: Restorer, cores: int | None = None) -> None:
        self.restorer = restorer
        self.timing = Timing()
        self.cores = cores or torch.get_num_threads()
        self._changed = threading.Condition()
        self._beside = 0
        """Threads of the run that work outside the network."""
        self._passing = 0
        """Cores that passes have."""
        self._since = 0.0
        """When the first of the passes that now run began."""
        self._mine = threading.local()

    @contextmanager
    def stage(self, name: Stage) -> Iterator[None]:
        """Count the time of a block as one stage's, and its thread as busy meanwhile."""
        began = time.perf_counter()
        self._mine.beside = 1
        self._add(1)
        try:
            yield
        finally:
            self._add(-1)
            self._mine.beside = 0
            with self._changed:
                self.timing.add(name, time.perf_counter() - began)

    def _add(self, number: int) -> None:
        with self._changed:
            self._beside += number
            self._changed.notify_all()

    def run(self, pictures: Sequence[Pixels]) -> list[Restored]:
        """Restore pictures of any sizes, those of equal size in full batches.

        Args:
            pictures: (h, w, 3) each, RGB in [0, 1].

        Raises:
            MachineError: If even one picture does not fit into memory.
        """
        results: dict[int, Restored] = {}
        for shape in sorted({picture.shape for picture in pictures}):
            indices = [i for i, picture in enumerate(pictures) if picture.shape == shape]
            size = self.restorer.faces_a_pass
            for start in range(0, len(indices), size):
                part = indices[start : start + size]
                results |= zip(part, self._batch([pictures[i] for i in part]), strict=True)
        return [results[index] for index in range(len(pictures))]

    def _batch(self, pictures: Sequence[Pixels]) -> list[Restored]:
        batch = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)  # (N, 3, h, w)
        began = time.perf_counter()
        try:
            restored = self._pass(batch)
        except MachineError:
            raise
        except FaceError as error:
            if len(pictures) == 1:
                return [Restored(pictures[0], 0.0, error)]
            return [self._batch([picture])[0] for picture in pictures]  # one spoils no other
        except FacerenError as error:
            return [Restored(picture, 0.0, error) for picture in pictures]
        ms = (time.perf_counter() - began) * 1000 / len(pictures)
        planes = restored.permute(0, 2, 3, 1).numpy()
        return [Restored(np.ascontiguousarray(picture), ms) for picture in planes]

    def _pass(self, batch: torch.Tensor) -> torch.Tensor:
        with self._turn() as cores:
            if self.restorer.device.type == "cpu":
                torch.set_num_threads(cores)
            return self.restorer.restore(batch)

    @contextmanager
    def _turn(self) -> Iterator[int]:
        """Wait for a turn and yield the cores that a pass has; count the time of passes."""
        shared = self.restorer.device.type == "cpu"
        with self._changed:
            self._changed.wait_for(lambda: not self._passing or (shared and self._free() > 0))
            cores = max(1, self._free())
            if not self._passing:
                self._since = time.perf_counter()
            self._passing += cores
        try:
            yield cores
        finally:
            with self._changed:
                self._passing -= cores
                self.timing.passes += 1
                if not self._passing:
                    self.timing.network += time.perf_counter() - self._since
                self._changed.notify_all()

    def _free(self) -> int:
        """Return the cores that nobody uses; the thread that asks does not count."""
        return self.cores - (self._beside - getattr(self._mine, "beside", 0)) - self._passing
