"""The metrics that compare tensors, with the settings of a protocol.

Shape letters: H and W pixels; every image is (1, 3, H, W), RGB in [0, 1].
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from faceren.errors import ShapeError
from faceren.metrics.installed_iqa import load_pyiqa
from faceren.metrics.lpips import LEAST_SIDE, load_lpips
from faceren.metrics.ms_ssim import ms_ssim
from faceren.metrics.names import PAIRED, PYIQA, Protocol
from faceren.metrics.psnr import CEILING, PAPER_CEILING, psnr
from faceren.metrics.ssim import ssim


@dataclass(frozen=True)
class Measure:
    """A metric, ready to use."""

    function: Callable[[Tensor, Tensor], float]
    """Of an image and its reference, or of the image twice."""
    paired: bool
    """It needs a reference."""


def _lpips(protocol: Protocol, device: torch.device) -> Callable[[Tensor, Tensor], float]:
    network = load_lpips(device)

    def measure(image: Tensor, reference: Tensor) -> float:
        if min(image.shape[2:]) < LEAST_SIDE:
            raise ShapeError(f"lpips: expected at least {LEAST_SIDE} pixels a side")
        pair = torch.cat([image, reference]).to(device)
        ordered = pair.flip(1) if protocol == "paper" else pair  # the paper fed BGR
        return float(network(ordered[:1], ordered[1:]))

    return measure


def tensor_measures(
    metrics: Sequence[str], protocol: Protocol, device: torch.device
) -> dict[str, Measure]:
    """Return those of ``metrics`` that work on tensors, their weights loaded.

    Raises:
        MachineError: If weights or libraries are missing.
        ConfigError: If pyiqa has no such metric.
    """
    paper = protocol == "paper"
    ceiling = PAPER_CEILING if paper else CEILING
    functions: dict[str, Callable[[Tensor, Tensor], float]] = {
        "psnr": lambda image, other: float(psnr(image, other, ceiling=ceiling)),
        "ssim": lambda image, other: float(ssim(image, other)),
        "ms-ssim": lambda image, other: float(ms_ssim(image, other, slip=paper)),
    }
    measures = {}
    for name in metrics:
        if name == "lpips":
            measures[name] = Measure(_lpips(protocol, device), paired=True)
        elif name.startswith(PYIQA):
            measures[name] = Measure(*load_pyiqa(name, device))
        elif name in functions:
            measures[name] = Measure(functions[name], paired=name in PAIRED)
    return measures
