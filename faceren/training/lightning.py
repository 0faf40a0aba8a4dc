"""Lightning Fabric, imported without what it does not need here.

Importing Fabric imports torchmetrics, only to learn its version, and that imports torchvision,
whose breakage on machines with a torch it was not built for would then break training.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from faceren.errors import ConfigError, MachineError
from faceren.inference import pick_device
from faceren.training.processes import Processes

if TYPE_CHECKING:
    from lightning_fabric import Fabric


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
