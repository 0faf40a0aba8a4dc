"""What losses and metrics look through: LPIPS on AlexNet, maps of a VGG network, dlib's embedding.

Source: Zhang et al., The Unreasonable Effectiveness of Deep Features as a Perceptual Metric
(arXiv:1801.03924), version 0.1 of its weights.

Source: VGG (arXiv:1409.1556). The published HiFaceGAN takes VGG-19, whose weights the user brings;
VGG-16 serves instead where they are not to be had. Which of the two a file holds is read from its
shapes.

Gradients pass through the embedding; where none is asked for, ``faces.dlib_networks`` runs the same
network as a graph.

Shape letters: N batch, C channels, H and W pixels.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceren.errors import ConfigError, MachineError, ShapeError
from faceren.graphs.embedding import MEAN, read_embedding
from faceren.graphs.embedding import STAGES as EMBEDDING_STAGES
from faceren.networks.published import load_safetensors, load_tensors

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
    if path.suffix == ".safetensors":
        tensors = load_safetensors(path)
    else:
        state = load_tensors(path)
        if not isinstance(state, Mapping):
            raise ConfigError(f"{path.name}: expected a state dict, got a {type(state).__name__}")
        tensors = {str(key): value for key, value in state.items() if isinstance(value, Tensor)}
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


SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
CHANNELS = (64, 192, 384, 256, 256)
"""Channels of AlexNet's five maps."""


class LpipsAlexNet(nn.Module):
    """LPIPS distance of image pairs, frozen.

    Args:
        weights: The ``lpips-alexnet`` safetensors file.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(3, 64, 11, stride=4, padding=2),
                nn.Conv2d(64, 192, 5, padding=2),
                nn.Conv2d(192, 384, 3, padding=1),
                nn.Conv2d(384, 256, 3, padding=1),
                nn.Conv2d(256, 256, 3, padding=1),
            ]
        )
        self.weights = nn.ParameterList(nn.Parameter(Tensor(count)) for count in CHANNELS)
        found = load_safetensors(weights)
        self.load_state_dict({name: value.float() for name, value in found.items()})
        self.shift: Tensor
        self.scale: Tensor
        self.register_buffer("shift", Tensor(SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", Tensor(SCALE).view(1, 3, 1, 1))
        self.requires_grad_(requires_grad=False)

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return AlexNet's five ReLU maps, (N, C, h, w), of (N, 3, H, W) images in [0, 1]."""
        x = (2 * images - 1 - self.shift) / self.scale
        maps = []
        for index, conv in enumerate(self.convs):
            if index in (1, 2):
                x = F.max_pool2d(x, 3, stride=2)
            x = conv(x).relu()
            maps.append(x)
        return maps

    def forward(self, images: Tensor, references: Tensor) -> Tensor:
        """Return the distance of each pair, shape (N,); 0 is identical.

        Args:
            images: (N, 3, H, W), RGB in [0, 1], sides of at least 32 pixels.
            references: The same shape.

        Raises:
            ShapeError: If the shapes differ or are no images.
        """
        if images.shape != references.shape or images.ndim != 4 or images.shape[1] != 3:
            raise ShapeError(
                f"expected two (N, 3, H, W) batches of one shape, "
                f"got {tuple(images.shape)} and {tuple(references.shape)}"
            )
        return self.distance(self.maps(images), self.maps(references))

    def distance(self, ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Tensor:
        """Return the distance of each pair, shape (N,), of which ``maps`` are known already."""
        total = ours[0].new_zeros(len(ours[0]))
        for a, b, weight in zip(ours, theirs, self.weights, strict=True):
            difference = (_unit(a) - _unit(b)).pow(2)
            total = total + F.conv2d(difference, weight.view(1, -1, 1, 1)).mean((1, 2, 3))
        return total


def _unit(x: Tensor) -> Tensor:
    """Return a map (N, C, h, w) with vectors of unit length at each place."""
    return x / (x.pow(2).sum(1, keepdim=True).add(1e-20).sqrt() + 1e-10)


Layer = tuple[Tensor, Tensor]
"""Weights (C, C', k, k) and bias (C,) of a convolution and the affine layer behind it."""


class EmbeddingNetwork(nn.Module):
    """The network with its weights, frozen; gradients pass through it.

    Args:
        path: ``dlib_face_recognition_resnet_model_v1.dat``.

    Raises:
        MachineError: If the file holds other layers.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        read = read_embedding(path)
        layers = [tuple(torch.from_numpy(array) for array in layer) for layer in read.layers]
        self.weights = nn.ParameterList(weights for weights, _ in layers)
        self.biases = nn.ParameterList(bias for _, bias in layers)
        self.last = nn.Parameter(torch.from_numpy(read.last))
        self.mean: Tensor
        self.register_buffer("mean", Tensor(MEAN).view(3, 1, 1))
        self.requires_grad_(requires_grad=False)

    def forward(self, faces: Tensor) -> Tensor:
        """Return the embeddings of faces, (N, 128), not normalised.

        Args:
            faces: (N, 3, 150, 150), RGB in levels of 256, aligned as ``dlib.get_face_chip`` does.
        """
        return self.maps(faces, len(EMBEDDING_STAGES)).mean((2, 3)) @ self.last

    def maps(self, faces: Tensor, stages: int) -> Tensor:
        """Return what the network sees after some of its stages, (N, C, h, w).

        Args:
            faces: As ``forward`` takes them.
            stages: How many, from the first.
        """
        x = (faces - self.mean) / 256
        layers = iter(zip(self.weights, self.biases, strict=True))
        x = F.max_pool2d(_convolved(x, next(layers), stride=2, padding=0).relu(), 3, 2)
        for _, blocks, halved in EMBEDDING_STAGES[:stages]:
            for index in range(blocks):
                x = _block(x, next(layers), next(layers), halved=halved and index == 0)
        return x


def _block(x: Tensor, first: Layer, second: Layer, *, halved: bool) -> Tensor:
    y = _convolved(x, first, stride=2, padding=0) if halved else _convolved(x, first)
    y = _convolved(y.relu(), second)
    shortcut = F.avg_pool2d(x, 2, 2) if halved else x
    return _sum(shortcut, y).relu()


def _convolved(x: Tensor, layer: Layer, *, stride: int = 1, padding: int = 1) -> Tensor:
    return F.conv2d(x, *layer, stride=stride, padding=padding)


def _sum(a: Tensor, b: Tensor) -> Tensor:
    """Add maps of different sizes; what one of them lacks at the end counts as zero."""
    if a.shape == b.shape:
        return a + b
    shape = [max(sides) for sides in zip(a.shape, b.shape, strict=True)]
    return _padded(a, shape) + _padded(b, shape)


def _padded(x: Tensor, shape: Sequence[int]) -> Tensor:
    lacks = [wanted - have for wanted, have in zip(shape, x.shape, strict=True)]
    return F.pad(x, [n for lack in reversed(lacks[1:]) for n in (0, lack)])
