"""What each stage of a generator contributes, and what it changed (HiFaceGAN, section 4.3, Fig. 5).

Shape letters: N batch, H and W pixels.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from faceren.checks import check_value
from faceren.errors import ShapeError
from faceren.networks.generator import Generator

Mode = Literal["single", "cumulative", "without"]
PLAIN = 0.5
"""The constant guidance of the published figure."""


@dataclass(frozen=True)
class Stage:
    """The output of a generator some of whose blocks had a constant instead of features."""

    guided: tuple[str, ...]
    """Blocks that kept their guidance, from coarse to fine."""
    output: Tensor
    """(N, 3, H, W), not clamped."""


@torch.no_grad()
def stage_outputs(
    network: Generator, faces: Tensor, *, mode: Mode, constant: float = PLAIN
) -> list[Stage]:
    """Return one output for each block of the generator, from coarse to fine (Fig. 5a).

    Args:
        network: Any generator; its published figure has the variant ``hifacegan``.
        faces: (N, 3, H, W), RGB in [0, 1].
        mode: ``single``: only this block is guided (upper row); ``cumulative``: this one and all
            coarser ones (lower row); ``without``: all but this one.
        constant: What replaces the guidance of the other blocks.

    Raises:
        ConfigError: If ``mode`` is none of these.
        ShapeError: If ``faces`` has another shape.
    """
    check_value("mode", mode, Mode)
    names = list(network.blocks)
    stages = []
    for index, name in enumerate(names):
        guided = {
            "single": [name],
            "cumulative": names[: index + 1],
            "without": [other for other in names if other != name],
        }[mode]
        constants = {other: constant for other in names if other not in guided}
        output = network(faces, constant_guidance=constants)
        stages.append(Stage(guided=tuple(guided), output=output))
    return stages


def residual_map(damaged: Tensor, restored: Tensor) -> Tensor:
    """Return what a restoration changed, as an image: 1/2 is nothing (Fig. 5b).

    Args:
        damaged: (N, 3, H, W), RGB in [0, 1].
        restored: The same shape; clamped to [0, 1].

    Returns:
        (N, 3, H, W) in [0, 1]: half the difference, around 1/2.

    Raises:
        ShapeError: If the shapes differ.
    """
    if damaged.shape != restored.shape:
        raise ShapeError(
            f"expected equal shapes, got {tuple(damaged.shape)} and {tuple(restored.shape)}"
        )
    return (restored.clamp(0, 1) - damaged) / 2 + 0.5
