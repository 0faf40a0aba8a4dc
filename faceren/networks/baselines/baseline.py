"""One of the networks that are compared, as our own are: any face in, as large out.

Shape letters: N batch, H and W pixels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceren.config import BaselineConfig, GeneratorConfig
from faceren.errors import ShapeError
from faceren.networks.baselines.deblurring import DeblurGan, DeblurGanV2
from faceren.networks.baselines.denoising import ArCnn, RidNet, Vdn
from faceren.networks.baselines.faces import GfrNet, SuperFan, WaveletSr
from faceren.networks.baselines.super_resolution import Edsr, Esrgan, Srfbn, SrResNet
from faceren.networks.generator import Generator, build_generator
from faceren.networks.generator import unused_parameters as unused_of_generator


class Baseline(nn.Module):
    """A network of another paper behind the interface of a generator.

    One that enlarges gets the image shrunk by its scale, so that every one gives back what it got
    in size.

    Args:
        config: Which architecture, and its shape.
    """

    def __init__(self, config: BaselineConfig) -> None:
        super().__init__()
        self.config = config
        self.stride = config.stride
        self.body = architecture(config)

    def forward(self, faces: Tensor) -> Tensor:
        """Return restored faces, (N, 3, H, W).

        Args:
            faces: (N, 3, H, W), RGB in [0, 1], sides multiples of ``stride``; for a guided
                network (N, 6, H, W), the guide after the face.

        Raises:
            ShapeError: If ``faces`` has another shape.
        """
        wanted = 6 if self.config.guided else 3
        if faces.ndim != 4 or faces.shape[1] != wanted:
            guide = ", a face and its guide" if self.config.guided else ""
            raise ShapeError(
                f"{self.config.architecture}: expected (N, {wanted}, H, W){guide}, "
                f"got {tuple(faces.shape)}"
            )
        if any(side % self.stride for side in faces.shape[2:]):
            raise ShapeError(
                f"{self.config.architecture}: expected sides that are multiples of {self.stride}, "
                f"got {tuple(faces.shape[2:])}"
            )
        scale = self.config.scale
        restored: Tensor = self.body(F.avg_pool2d(faces, scale) if scale > 1 else faces)
        return restored


def build_network(config: GeneratorConfig | BaselineConfig) -> Generator | Baseline:
    """Return an untrained network of the given shape, ours or another paper's."""
    if isinstance(config, BaselineConfig):
        return Baseline(config)
    return build_generator(config)


def architecture(config: BaselineConfig) -> nn.Module:
    """Return the network of another paper, without weights that mean anything."""
    width, blocks, scale = config.width, config.blocks, config.scale
    match config.architecture:
        case "edsr":
            return Edsr(width, blocks, scale)
        case "srresnet":
            return SrResNet(width, blocks, scale)
        case "esrgan":
            return Esrgan(width, blocks, scale)
        case "srfbn":
            return Srfbn(width, blocks, scale)
        case "superfan":
            return SuperFan(width, blocks, scale)
        case "waveletsr":
            return WaveletSr(width, blocks, scale)
        case "ridnet":
            return RidNet(width, blocks)
        case "vdnet":
            return Vdn(width, blocks)
        case "deblurgan":
            return DeblurGan(width, blocks)
        case "deblurganv2":
            return DeblurGanV2(width)
        case "arcnn":
            return ArCnn(width)
        case "gfrnet":
            return GfrNet(width, blocks)


def unused_parameters(network: Generator | Baseline) -> list[str]:
    """Return the names of parameters that no output depends on; published weights have them."""
    if isinstance(network, Generator):
        return unused_of_generator(network)
    unused = network.body.UNUSED if isinstance(network.body, Vdn) else ()
    prefixes = tuple(f"body.{name}" for name in unused)
    return [name for name, _ in network.named_parameters() if name.startswith(prefixes)]


def with_guide(network: nn.Module, damaged: Tensor, clean: Tensor) -> Tensor:
    """Return what a network takes of damaged images: themselves, and for a guided one a guide.

    The guide stands in for another photograph of the same person, as the guided method asks for:
    the mirror image of the clean face, which shows the same features in another pose.

    Args:
        network: A generator or a ``Baseline``.
        damaged: (N, 3, H, W).
        clean: The same shape.
    """
    config = getattr(network, "config", None)
    guided = isinstance(config, BaselineConfig) and config.guided
    return torch.cat([damaged, clean.flip(-1)], 1) if guided else damaged
