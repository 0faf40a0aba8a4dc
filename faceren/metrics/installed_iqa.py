"""Metrics of the package pyiqa, by name, if the user has installed it (mind its licence)."""

import importlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from faceren.config import nearest
from faceren.errors import ConfigError, MachineError
from faceren.metrics.names import PYIQA


def load_pyiqa(name: str, device: torch.device) -> tuple[Callable[[Tensor, Tensor], float], bool]:
    """Return a metric of pyiqa, a function of an image and its reference, and whether it needs one.

    Args:
        name: With the prefix ``pyiqa:``.
        device: Where to run it.

    Raises:
        MachineError: If pyiqa is not installed.
        ConfigError: If it has no such metric.
    """
    try:
        package: Any = importlib.import_module("pyiqa")
    except ImportError as error:
        raise MachineError(
            f"--metrics {name}: the package pyiqa is not installed; pip install pyiqa "
            f"(mind its non-commercial licence)"
        ) from error
    wanted, known = name.removeprefix(PYIQA), list(package.list_models())
    if wanted not in known:
        raise ConfigError(f"--metrics: pyiqa has no metric {wanted!r}{nearest(wanted, known)}")
    metric = package.create_metric(wanted, device=device)
    paired = metric.metric_mode == "FR"

    def measure(image: Tensor, reference: Tensor) -> float:
        return float(metric(image, reference) if paired else metric(image))

    return measure, paired
