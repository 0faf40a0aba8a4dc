"""Feature maps of a VGG network, for the perceptual loss.

Shape letters: N batch, C channels, H and W pixels. Source: VGG (arXiv:1409.1556). The published
HiFaceGAN takes VGG-19, whose weights the user brings; VGG-16 serves instead where they are not
to be had. Which of the two a file holds is read from its shapes.
"""

from collections.abc import Mapping
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from faceren.errors import ConfigError, MachineError, ShapeError
from faceren.networks.pickled import load_safetensors, load_tensors

STAGES = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""Convolutions between one max pooling and the next."""
PREFIXES = ("features.", "convs.")
"""Key prefixes of torchvision's files (or none), and of the VGG-16 inside LPIPS."""


class VggFeatures(nn.Module):
    """relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1 of images, frozen.

    Images go in as they are, in [0, 1], as in the published code, although the weights were
    trained on images shifted and scaled.

    Args:
        weights: VGG-16 or VGG-19 state dict, ``.safetensors``, ``.pth`` or ``.pt``, with
            torchvision's keys (``features.0.weight``...) or ``convs.0.weight``...; layers after
            relu5_1 may be missing and are not kept.

    Raises:
        MachineError: If the file is not there or is damaged.
        ConfigError: If it holds no VGG-16 or VGG-19.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        pairs = read_convolutions(weights)
        self.kind = detect([weight for weight, _ in pairs], weights.name)
        stages = STAGES[self.kind]
        kept = sum(stages[:4]) + 1
        self.first_of_stage = [sum(stages[:index]) for index in range(5)]
        self.convs = nn.ModuleList()
        for weight, bias in pairs[:kept]:
            conv = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
            conv.load_state_dict({"weight": weight, "bias": bias})
            self.convs.append(conv)
        self.requires_grad_(requires_grad=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the five maps, from (N, C, H, W) to (N, 8C, H/16, W/16).

        Args:
            images: (N, 3, H, W), RGB in [0, 1], sides of at least 16 pixels.

        Raises:
            ShapeError: If ``images`` has another shape.
        """
        if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < 16:
            raise ShapeError(
                f"expected (N, 3, H, W) with sides of at least 16, got {tuple(images.shape)}"
            )
        x, maps = images, []
        for index, conv in enumerate(self.convs):
            if index and index in self.first_of_stage:
                x = F.max_pool2d(x, 2)
            x = conv(x).relu()
            if index in self.first_of_stage:
                maps.append(x)
        return maps


def read_convolutions(path: Path) -> list[tuple[Tensor, Tensor]]:
    """Return the kernels and biases of a VGG file in order, float32.

    Raises:
        MachineError: If the file is not there or is damaged.
        ConfigError: If it holds no numbered convolutions.
    """
    if not path.is_file():
        raise MachineError(f"expected VGG weights at {path}, but there is no such file")
    tensors = _read(path)
    for prefix in (*PREFIXES, ""):
        found = {
            int(key.removeprefix(prefix).split(".")[0]): value
            for key, value in tensors.items()
            if key.startswith(prefix)
            and key.endswith(".weight")
            and key.removeprefix(prefix).split(".")[0].isdigit()
            and value.ndim == 4
        }
        if not found:
            continue
        biases = {number: f"{prefix}{number}.bias" for number in sorted(found)}
        for key in biases.values():
            if key not in tensors:
                raise ConfigError(f"{path.name}: expected a bias under {key!r}, got none")
        return [(found[number].float(), tensors[key].float()) for number, key in biases.items()]
    raise ConfigError(
        f"{path.name}: expected VGG weights under keys like 'features.0.weight', "
        f"got {next(iter(tensors), None)!r}"
    )


def _read(path: Path) -> Mapping[str, Tensor]:
    if path.suffix == ".safetensors":
        return load_safetensors(path)
    state = load_tensors(path)
    if not isinstance(state, Mapping):
        raise ConfigError(f"{path.name}: expected a state dict, got a {type(state).__name__}")
    return {str(key): value for key, value in state.items() if isinstance(value, Tensor)}


def detect(kernels: list[Tensor], name: str) -> str:
    """Return ``vgg16`` or ``vgg19`` from the shapes of the kernels up to relu5_1.

    Raises:
        ConfigError: If they are neither; the message names the first that does not fit.
    """
    shapes = [tuple(kernel.shape) for kernel in kernels]
    base = shapes[0][0]
    problems = []
    for kind, stages in STAGES.items():
        widths = [
            base * min(2**stage, 8) for stage, count in enumerate(stages) for _ in range(count)
        ][: sum(stages[:4]) + 1]
        wanted = [(out, into, 3, 3) for into, out in zip([3, *widths[:-1]], widths, strict=True)]
        found = [*shapes, *[None] * len(wanted)][: len(wanted)]
        if found == wanted:
            return kind
        first = next(i for i in range(len(wanted)) if found[i] != wanted[i])
        problems.append(f"{kind} needs {wanted[first]} as convolution {first}, got {found[first]}")
    raise ConfigError(f"{name}: neither VGG-16 nor VGG-19: {'; '.join(problems)}")
