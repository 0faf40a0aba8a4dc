"""The metrics of one image and its reference, with the settings of a protocol.

Shape letters: H and W pixels; every image is (1, 3, H, W), RGB in [0, 1].
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from faceren.arrays import Rgb8
from faceren.assets import asset
from faceren.checks import nearest
from faceren.errors import ConfigError, MachineError, ShapeError
from faceren.metrics.fidelity import CEILING, PAPER_CEILING, ms_ssim, psnr, ssim
from faceren.metrics.names import PYIQA, Protocol
from faceren.networks.perceptual import LpipsAlexNet

LPIPS_LEAST_SIDE = 32
"""Smaller images leave nothing for the third convolution."""
JPEG_QUALITY = 95
"""Quality of the JPEG that images went through before the paper measured them."""


@dataclass(frozen=True)
class Measure:
    """A metric, ready to use."""

    function: Callable[[Tensor, Tensor], Tensor | float]
    """Takes an image and its reference, or the image twice."""
    paired: bool = True
    """Whether it needs a reference."""

    def __call__(self, image: Tensor, reference: Tensor) -> float:
        """Return the figure of an image; ``reference`` is the image again if it has none."""
        return float(self.function(image, reference))


def tensor_measures(
    metrics: Sequence[str], protocol: Protocol, device: torch.device
) -> dict[str, Measure]:
    """Return those of ``metrics`` that work on tensors, their weights loaded.

    Raises:
        MachineError: If weights or libraries are missing.
        ConfigError: If pyiqa has no such metric.
    """
    paper = protocol == "paper"
    measures = {}
    for name in metrics:
        if name == "psnr":
            measures[name] = Measure(partial(psnr, ceiling=PAPER_CEILING if paper else CEILING))
        elif name == "ssim":
            measures[name] = Measure(ssim)
        elif name == "ms-ssim":
            measures[name] = Measure(partial(ms_ssim, slip=paper))
        elif name == "lpips":
            measures[name] = load_lpips(device, bgr=paper)  # so the paper fed it
        elif name.startswith(PYIQA):
            measures[name] = load_pyiqa(name, device)
    return measures


def load_lpips(device: torch.device, *, bgr: bool = False) -> Measure:
    """Return LPIPS on AlexNet, version 0.1, in float32.

    Args:
        device: Where to run it.
        bgr: Swap red and blue first.

    Raises:
        MachineError: If the weights are missing or damaged.
    """
    network = LpipsAlexNet(asset("lpips-alexnet")).eval().to(device)

    def measure(image: Tensor, reference: Tensor) -> Tensor:
        if min(image.shape[2:]) < LPIPS_LEAST_SIDE:
            raise ShapeError(f"lpips: expected at least {LPIPS_LEAST_SIDE} pixels a side")
        pair = torch.cat([image, reference]).to(device)
        ordered = pair.flip(1) if bgr else pair
        distance: Tensor = network(ordered[:1], ordered[1:])
        return distance

    return Measure(measure)


def load_pyiqa(name: str, device: torch.device) -> Measure:
    """Return a metric of the package pyiqa, if the user has installed it (mind its licence).

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
    if metric.metric_mode == "FR":
        return Measure(metric)
    return Measure(lambda image, _: metric(image), paired=False)


def recompressed(rgb: Rgb8) -> Rgb8:
    """Return an image after OpenCV's JPEG at quality 95, chroma at half resolution.

    The paper's code wrote input, result and original side by side into one file. Where the width
    is a multiple of 16 each compresses as if alone, but for the interpolation of chroma across
    the seams, one pixel wide.

    Args:
        rgb: (H, W, 3) uint8.
    """
    bgr = np.ascontiguousarray(rgb[:, :, ::-1])
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(np.asarray(decoded, np.uint8)[:, :, ::-1])
