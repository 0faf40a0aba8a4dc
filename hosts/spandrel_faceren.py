"""faceren's networks for spandrel, and so for ComfyUI; needs torch and spandrel, not faceren.

In ComfyUI copy this file into ``custom_nodes`` and what ``faceren export base -o base.safetensors``
writes into ``models/upscale_models``; in a program of your own import it before
``spandrel.ModelLoader().load_from_file("base.safetensors")``.
The network wants faces cut out and turned as FFHQ's are. It gives one view of a face: what faceren
itself makes with ``base`` is the mean with that of the mirror image.

Apache-2.0; the licence of the weights stands in their files. Shape letters: N batch, C channels, H
and W pixels of a map, r the side of the pixel blocks that the first convolution takes.
"""

import torch
import torch.nn.functional as F
from spandrel import (
    MAIN_REGISTRY,
    Architecture,
    ArchSupport,
    ImageModelDescriptor,
    SizeRequirements,
    StateDict,
)
from torch import Tensor, nn

NODE_CLASS_MAPPINGS: dict[str, type] = {}
"""ComfyUI asks each file of ``custom_nodes`` for it."""
KEYS = (
    "encoder.head.weight",
    "encoder.suppress.0.embed.0.weight",
    "fc.weight",
    "head_0.shared.weight",
    "middle.0.modulate.0.weight",
    "ups.0.modulate.0.weight",
    "to_rgb.weight",
    "to_gains.weight",
)
"""A network with these is one of faceren's."""


class FaceRen(nn.Module):
    """The network of faceren's recipes ``base`` and ``compact``, at any width and depth.

    Args:
        state: The weights, whose shapes say the network's.
    """

    def __init__(self, state: StateDict) -> None:
        super().__init__()
        for key, value in state.items():
            *path, name = key.split(".")
            node: nn.Module = self
            for part in path:
                if part not in dict(node.named_children()):
                    node.add_module(part, nn.Module())
                node = node.get_submodule(part)
            empty = torch.empty(value.shape, dtype=torch.float32)
            node.register_parameter(name, nn.Parameter(empty, requires_grad=False))
        self.block = round((state["encoder.head.weight"].shape[1] / 3) ** 0.5)  # r
        self.stride = self.block * 2 ** len(parts(self, "encoder.convs"))

    def forward(self, faces: Tensor) -> Tensor:
        """Return restored faces of ``faces``, both (N, 3, H, W), RGB in [0, 1], not clamped.

        Args:
            faces: Sides are multiples of ``stride``, and at least twice that.
        """
        *finer, middle, coarsest = self._encoded(faces)
        x = convolved(faces[:, :, :: self.stride, :: self.stride], self.get_submodule("fc"))
        x = restored(x, coarsest, self.get_submodule("head_0"), upsample=False)
        for index, block in enumerate(parts(self, "middle")):
            x = restored(x, middle, block, upsample=index == 0)
        for block, features in zip(parts(self, "ups"), reversed(finer), strict=True):
            x = restored(x, features, block, upsample=True)
        x = F.leaky_relu(x, 0.2)  # (N, C, H/r, W/r)
        added = F.pixel_shuffle(convolved(x, self.get_submodule("to_rgb")), self.block)
        return scaled(faces, convolved(x, self.get_submodule("to_gains")), self.block) + added

    def _encoded(self, faces: Tensor) -> list[Tensor]:
        """Return the features of faces, from the finest map to the coarsest."""
        x = F.pixel_unshuffle(faces, self.block)  # (N, 3rr, H/r, W/r)
        features = [convolved(x, self.get_submodule("encoder.head")).relu()]
        convs, suppressors = parts(self, "encoder.convs"), parts(self, "encoder.suppress")
        for conv, suppressor in zip(convs, suppressors, strict=True):
            x = convolved(halved(features[-1], suppressor), conv)
            features.append(x if conv is convs[-1] else x.relu())
        return features


def parts(module: nn.Module, name: str) -> list[nn.Module]:
    """Return a module's numbered parts, in order."""
    found = module.get_submodule(name).named_children()
    return [part for _, part in sorted(found, key=lambda named: int(named[0]))]


def convolved(x: Tensor, conv: nn.Module) -> Tensor:
    """Return a convolution of a map, of the same sides."""
    weight = conv.get_parameter("weight")
    return F.conv2d(x, weight, getattr(conv, "bias", None), padding=weight.shape[-1] // 2)


def halved(x: Tensor, suppressor: nn.Module) -> Tensor:
    """Return a map of half the sides, filtered by what its pixels have in common.

    Each of a pixel's nine neighbours counts as much as a sigmoid of the product of their
    embeddings says (HiFaceGAN, arXiv:2005.05005, eq. 2-3).
    """
    embedded = convolved(x, suppressor.get_submodule("embed.0")).relu()
    embedded = convolved(embedded, suppressor.get_submodule("embed.2"))
    weight, (height, width) = suppressor.get_parameter("weight"), x.shape[2:]
    wide, near = F.pad(x, (1, 1, 1, 1)), F.pad(embedded, (1, 1, 1, 1))
    total = x.new_zeros(())
    for down in range(3):
        for right in range(3):
            there = (..., slice(down, down + height, 2), slice(right, right + width, 2))
            gate = (embedded[..., ::2, ::2] * near[there]).sum(1, keepdim=True).sigmoid()
            total = total + F.conv2d(gate * wide[there], weight[:, :, down, right, None, None])
    return total


def restored(x: Tensor, features: Tensor, block: nn.Module, *, upsample: bool) -> Tensor:
    """Return a residual block's output, whose normalised maps are modulated by the features.

    Args:
        x: (N, C, H, W).
        features: (N, S, H, W), or twice its sides with ``upsample``.
        block: Its weights.
        upsample: Double the sides.
    """
    kernels = [part.get_parameter("weight") for part in parts(block, "modulate")]
    shared = convolved(features, block.get_submodule("shared")).relu()
    hidden = torch.split(shared, [kernel.shape[1] for kernel in kernels], dim=1)

    def modulated(index: int, x: Tensor) -> Tensor:
        kernel = kernels[index]
        both = F.conv2d(hidden[index], kernel, padding=kernel.shape[-1] // 2)
        gamma, beta = both.chunk(2, dim=1)
        return F.leaky_relu(x * (1 + gamma) + beta, 0.2)

    main, shortcut = normalised(x), x
    if hasattr(block, "conv_s"):
        shortcut = convolved(x, block.get_submodule("conv_s"))
    if upsample:
        main, shortcut = (F.interpolate(y, scale_factor=2.0) for y in (main, shortcut))
    main = convolved(modulated(0, main), block.get_submodule("conv_0"))
    main = convolved(modulated(1, normalised(main)), block.get_submodule("conv_1"))
    return main + shortcut


def normalised(x: Tensor) -> Tensor:
    """Return a map whose channels have zero mean and unit variance at each pixel."""
    centred = x - x.mean(1, keepdim=True)
    return centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()


def scaled(faces: Tensor, gains: Tensor, block: int) -> Tensor:
    """Return faces whose octaves are scaled, gray and colour apart, as ``gains`` says.

    Args:
        faces: (N, 3, H, W).
        gains: (N, any, H/r, W/r): two channels for each octave, in blocks of its pixels while it is
            finer than this map, averaged where it is coarser.
        block: r.
    """
    changes, whole, octave = [], faces, 0
    while gains.shape[1]:
        finer, coarser = max(1, block >> octave), max(1, 2**octave // block)
        part, gains = gains[:, : 2 * finer**2], gains[:, 2 * finer**2 :]
        part = F.avg_pool2d(F.pixel_shuffle(part, finer), coarser)  # (N, 2, H/2^octave, …)
        smaller = F.avg_pool2d(whole, 2)
        band = whole - doubled(smaller)
        gray = band.mean(1, keepdim=True)
        changes.append(part[:, :1] * gray + part[:, 1:] * (band - gray))
        whole, octave = smaller, octave + 1
    change = changes.pop()
    while changes:
        change = changes.pop() + doubled(change)
    return faces + change


def doubled(x: Tensor) -> Tensor:
    """Return a map of twice the sides, interpolated linearly."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class FaceRenArch(Architecture[FaceRen]):
    """How spandrel knows the network and loads it."""

    def __init__(self) -> None:
        super().__init__(
            id="FaceRen",
            name="faceren",
            detect=lambda state: all(key in state for key in KEYS),
        )

    def load(self, state_dict: StateDict) -> ImageModelDescriptor[FaceRen]:
        """Return spandrel's description of the network, with its weights."""
        network = FaceRen(state_dict)
        return ImageModelDescriptor(
            network,
            state_dict,
            architecture=self,
            purpose="Restoration",
            tags=[f"{state_dict['encoder.head.weight'].shape[0]}nf"],
            supports_half=False,  # the input is added to the output, and would lose its digits
            supports_bfloat16=False,
            scale=1,
            input_channels=3,
            output_channels=3,
            size_requirements=SizeRequirements(
                minimum=2 * network.stride, multiple_of=network.stride
            ),
        )


MAIN_REGISTRY.add(ArchSupport.from_architecture(FaceRenArch()), ignore_duplicates=True)
