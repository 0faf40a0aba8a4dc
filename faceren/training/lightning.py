"""Lightning Fabric, imported without what it does not need here.

Importing Fabric imports torchmetrics, only to learn its version, and that imports torchvision,
whose breakage on machines with a torch it was not built for would then break training.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from faceren.errors import ConfigError
from faceren.inference import pick_device

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


def build_fabric(device: str, precision: str) -> "Fabric":
    """Return a launched Fabric: one process, or those that ``torchrun`` started.

    Args:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``auto``, ``fp32`` or ``bf16``.

    Raises:
        ConfigError: If a single device is named for several processes.
        MachineError: If this machine has no such device.
    """
    with _hidden("torchmetrics"):
        from lightning_fabric import Fabric
        from lightning_fabric.strategies.ddp import DDPStrategy
    place = pick_device(device)
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    everywhere = int(os.environ.get("WORLD_SIZE", "1"))
    if everywhere > 1 and place.index is not None:
        raise ConfigError(
            f"--device {device}: with {everywhere} processes each takes a device of its own; "
            f"use --device {place.type}"
        )
    single = [place.index] if place.index is not None else 1
    fabric = Fabric(
        accelerator=place.type,
        devices=here if everywhere > 1 else single,
        num_nodes=max(1, everywhere // here),
        # networks have weights that some variants do not use, and no statistics over the batch
        strategy=DDPStrategy(find_unused_parameters=True, broadcast_buffers=False)
        if everywhere > 1
        else "auto",
        precision="bf16-mixed" if use_bf16(precision, place) else "32-true",
    )
    fabric.launch()
    return fabric


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
