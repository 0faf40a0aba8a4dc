"""The processes of one training, which ``torchrun`` starts: one for each GPU, on any machines.

Each computes on its share of every step's images. What one of them cannot do ends all, and is told
once: by the first that met it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed

from faceren.errors import FacerenError, MachineError, PeerError

PATIENCE = timedelta(hours=1)
"""How long a process waits for the others: the first one validates and saves alone."""


@dataclass(frozen=True)
class Processes:
    """Which of the processes this is."""

    rank: int = 0
    """Its number."""
    count: int = 1
    """How many there are."""
    here: int = 1
    """How many of them are on this machine."""

    @property
    def first(self) -> bool:
        """Whether this one writes and tells what happens."""
        return self.rank == 0

    def gathered(self, value: Any) -> list[Any]:
        """Return the values of all processes, by number; all have to call this."""
        values = [value] * self.count
        if self.count > 1:
            distributed.all_gather_object(values, value)
        return values

    @contextmanager
    def together(self) -> Iterator[None]:
        """Go on after the block only if all processes do; all have to come here.

        Raises:
            FacerenError: Of this process, if it is the first of those that failed.
            PeerError: If another one is, which tells why.
        """
        failed: FacerenError | None = None
        try:
            yield
        except FacerenError as error:
            if self.count == 1:
                raise
            failed = error
        told = self.gathered(str(failed or ""))
        tellers = [number for number, message in enumerate(told) if message]
        if not tellers:
            return
        if failed is None or self.rank != tellers[0]:
            raise PeerError(f"process {tellers[0]} failed") from failed
        raise failed if set(told) == {told[0]} else self.named(failed)

    def check_alike(self, values: dict[str, Any]) -> None:
        """Raise MachineError, alike in all, unless every process has found the same.

        Args:
            values: What was found, by what a message calls it.
        """
        everyone = self.gathered(values)
        for name, mine in everyone[0].items():
            for number, theirs in enumerate(everyone):
                if theirs.get(name) != mine:
                    raise MachineError(
                        f"{name}: process 0 found {mine}, process {number} {theirs.get(name)}; all "
                        f"need the same files, on a disk that they share or copied to each machine"
                    )

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Name the process in what it fails of, and say little if it was another that did.

        Raises:
            PeerError: If another process has ended meanwhile.
        """
        try:
            yield
        except PeerError:
            raise
        except FacerenError as error:
            if self.first:
                raise
            raise self.named(error) from error
        except RuntimeError as error:
            if self.count == 1 or not _is_of_a_connection(error):
                raise
            raise PeerError("another process of the training has ended") from error

    def named(self, error: FacerenError) -> FacerenError:
        """Return an error that names the process that met it."""
        return type(error)(f"process {self.rank} of {self.count}: {error}")


def _is_of_a_connection(error: RuntimeError) -> bool:
    text = str(error).lower()
    return isinstance(error, distributed.DistError) or any(
        word in text for word in ("gloo", "nccl", "connection closed by peer")
    )


@contextmanager
def joined() -> Iterator[Processes]:
    """Yield which process this is of those that ``torchrun`` started, or the only one.

    Raises:
        MachineError: If the others cannot be reached.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes()
        return
    rank, here = int(os.environ["RANK"]), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    gpus = torch.cuda.is_available() and distributed.is_nccl_available()
    try:
        if distributed.is_initialized():  # by a training that failed, in the same Python
            distributed.destroy_process_group()
        distributed.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo", timeout=PATIENCE)
    except (ValueError, RuntimeError) as error:
        where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        raise MachineError(
            f"process {rank} of {count} cannot reach the others through {where} "
            f"({str(error).splitlines()[0]}); start all of them with torchrun"
        ) from error
    yield Processes(rank, count, here)
    # not after an error, whose traceback may hold what uses the group: the process ends soon
    distributed.destroy_process_group()
