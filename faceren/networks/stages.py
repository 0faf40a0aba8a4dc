"""What each stage of a generator contributes, and what it changed (HiFaceGAN, section 4.3, Fig. 5).

Shape letters: N batch, H and W pixels.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from faceren.checks import check_value
from faceren.errors import ShapeError
from faceren.networks.generator import START, Generator

Mode = Literal["single", "cumulative", "without"]
PLAIN = 0.5
"""The constant guidance of the published figure."""


@dataclass(frozen=True)
class Stage:
    """What a generator made while some of its stages had a constant instead of features."""

    guided: tuple[str, ...]
    """Stages that kept their features, from coarse to fine: the start map and the blocks."""
    passed: Tensor | None
    """What passed through of the input, (N, 3, H, W); None where nothing does."""
    added: Tensor
    """What the decoder made, (N, 3, H, W), not clamped; the sum of both is the output."""


@torch.no_grad()
def stage_outputs(
    network: Generator, faces: Tensor, *, mode: Mode, constant: float = PLAIN
) -> list[Stage]:
    """Return one output for each stage of the generator, from coarse to fine (Fig. 5a).

    The start map is the first of them: it is made of the input, too, and would show it in every
    other one.

    Args:
        network: Any generator; its published figure has the variant ``hifacegan``.
        faces: (N, 3, H, W), RGB in [0, 1].
        mode: ``single``: only this stage has its features (upper row); ``cumulative``: this one
            and all coarser ones (lower row); ``without``: all but this one.
        constant: What replaces the features of the other stages.

    Raises:
        ConfigError: If ``mode`` is none of these.
        ShapeError: If ``faces`` has another shape.
    """
    check_value("mode", mode, Mode)
    names = [START, *network.blocks]
    stages = []
    for index, name in enumerate(names):
        guided = {
            "single": [name],
            "cumulative": names[: index + 1],
            "without": [other for other in names if other != name],
        }[mode]
        constants = {other: constant for other in names if other not in guided}
        passed, added = network.parts(faces, constant_guidance=constants)
        stages.append(Stage(tuple(guided), passed, added))
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
