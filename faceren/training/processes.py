"""The processes of one training, which ``torchrun`` starts, and how a step is divided among them.

Each computes on its share of every step's images. What one of them cannot do ends all, and is told
once: by the first that met it.

A loss is a mean over the images of a step, or over the whole faces among them. Each pass adds the
mean of its own images times their share, so what is minimised depends neither on the number of
processes nor on how many images fit into a GPU's memory at once.

Importing Fabric imports torchmetrics, only to learn its version, and that imports torchvision,
whose breakage on machines with a torch it was not built for would then break training.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

from faceren.errors import ConfigError, FacerenError, MachineError, PeerError
from faceren.inference import pick_device

if TYPE_CHECKING:
    from lightning_fabric import Fabric


_LEFT: list[Any] = []
"""Groups that are done with. They stay until the process ends: one that is freed in the moment of
its last answer waits for ever (torch 2.13), as its thread needs the lock that Python holds then."""
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
    rank, here = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    gpus = torch.cuda.is_available() and distributed.is_nccl_available()
    try:
        if distributed.is_initialized():  # by a training that failed, in the same Python
            _leave()
        distributed.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo", timeout=PATIENCE)
    except (ValueError, RuntimeError) as error:
        where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        raise MachineError(
            f"process {rank} of {count} cannot reach the others through {where} "
            f"({str(error).splitlines()[0]}); start all of them with torchrun"
        ) from error
    yield Processes(rank, count, here)
    _leave()  # not after an error, whose traceback may hold what uses the group


def _leave() -> None:
    _LEFT.append(distributed.group.WORLD)
    distributed.destroy_process_group()


@contextmanager
def _hidden(module: str) -> Iterator[None]:
    """Make a module that is not imported yet look as if it were not installed."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # what the import system documents
    try:
        yield
    finally:
        del sys.modules[module]


def build_fabric(
    device: str, precision: str, processes: Processes, *, unused: bool = False
) -> "Fabric":
    """Return a launched Fabric.

    Args:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``auto``, ``fp32`` or ``bf16``.
        processes: Which one this is of those that compute together.
        unused: Whether a step may leave weights unused; to look for them takes time.

    Raises:
        ConfigError: If a single device is named for several processes.
        MachineError: If this machine has no such device, or too few of them.
    """
    with _hidden("torchmetrics"):
        from lightning_fabric import Fabric
        from lightning_fabric.plugins.environments.lightning import LightningEnvironment
        from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
        from lightning_fabric.strategies.ddp import DDPStrategy
    place, many = pick_device(device), processes.count > 1
    _check_devices(device, place, processes)
    single = [place.index] if place.index is not None else 1
    fabric = Fabric(
        accelerator=place.type,
        devices=processes.here if many else single,
        num_nodes=max(1, processes.count // processes.here),
        # all compute the same spectral norms, so there is nothing to broadcast
        strategy=DDPStrategy(find_unused_parameters=unused, broadcast_buffers=False)
        if many
        else "auto",
        precision="bf16-mixed" if use_bf16(precision, place) else "32-true",
        # named, as a queue's variables alone do not make one process many
        plugins=[TorchElasticEnvironment() if many else LightningEnvironment()],
    )
    fabric.launch()
    return fabric


def _check_devices(device: str, place: torch.device, processes: Processes) -> None:
    if processes.count > 1 and place.index is not None:
        raise ConfigError(
            f"--device {device}: with {processes.count} processes each takes a device of its own; "
            f"use --device {place.type}"
        )
    if place.type == "cuda" and processes.here > torch.cuda.device_count():
        raise MachineError(
            f"expected a GPU for each of the {processes.here} processes of this machine, torch "
            f"sees {torch.cuda.device_count()}; start fewer, or use --device cpu"
        )


def use_bf16(precision: str, device: torch.device) -> bool:
    """Return whether to compute in bf16: if told so, or on a GPU that has it."""
    if precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported()
    return precision == "bf16"


def wastes_bf16(precision: str, device: torch.device) -> bool:
    """Return whether to compute in float32 although this CPU multiplies bf16 in tiles (AMX)."""
    if device.type != "cpu" or use_bf16(precision, device):
        return False
    ask = getattr(torch.cpu, "get_capabilities", None)  # newer than the oldest torch we take
    return ask is not None and bool(ask().get("amx_bf16", False))


@dataclass(frozen=True)
class Portion:
    """Some of a step's images, in their order."""

    first: int
    """Number of the first of them, from 0."""
    count: int
    """How many; 0 for a process that has none, and looks at one of another's in vain."""
    total: int
    """How many the step has."""

    @property
    def share(self) -> float:
        """Return what their mean weighs in that of the step, in [0, 1]."""
        return self.count / self.total if self.total else 0.0

    @classmethod
    def all_of(cls, count: int) -> "Portion":
        """Return the portion of a step that is done in one pass."""
        return cls(0, count, count)


def divided(total: int, processes: int, passes: int) -> list[list[Portion]]:
    """Return the portions of a step by process and pass, in order, as equal as can be.

    Args:
        total: Images of the step, at least 1.
        processes: How many share them.
        passes: How many passes a process makes at most; with fewer images it makes fewer, all
            processes alike.
    """
    passes = min(passes, -(-total // processes))
    edges = [total * k // (processes * passes) for k in range(processes * passes + 1)]
    flat = [Portion(min(low, total - 1), high - low, total) for low, high in pairwise(edges)]
    return [flat[start : start + passes] for start in range(0, len(flat), passes)]


def numbered(counts: list[list[int]], process: int) -> list[Portion]:
    """Return the portions of one process of what only some images have, by pass.

    Args:
        counts: How many of each process and pass have it, in the order of the images.
        process: Whose portions.
    """
    total = sum(map(sum, counts))
    first = sum(map(sum, counts[:process]))
    found = []
    for count in counts[process]:
        found.append(Portion(first, count, total))
        first += count
    return found
