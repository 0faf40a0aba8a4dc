"""The paper's networks with every layer as it is written, to compare the fast ones with.

Each convolution is one of its own, features are upsampled before they are normalised, windows are
unfolded to nine times their size, and spectral normalisation takes its step in each pass. Nothing
is shared with ``faceren.networks``, so agreement of the two is a test of both. Module names are
those of the published state dicts: ``state_dict()`` of a literal network with ``lip`` suppression
is a published state dict. Shape letters: N batch, C channels, D kernel dimension, H and W pixels.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceren.config import Activation, GeneratorConfig, Normalisation
from faceren.errors import ConfigError


def normal(x: Tensor, kind: Normalisation) -> Tensor:
    """Return ``x`` with zero mean and unit variance over a map, or over the channels."""
    if kind == "none":
        return x
    if kind == "instance":
        return F.instance_norm(x, eps=1e-5)
    mean = x.mean(1, keepdim=True)
    variance = ((x - mean) ** 2).mean(1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-5)


def resize(x: Tensor, height: int, width: int) -> Tensor:
    """Return ``x`` resized by nearest neighbour."""
    return F.interpolate(x, size=(height, width), mode="nearest")


class SpectralConv(nn.Module):
    """A convolution with ``weight_orig``, ``weight_u``, ``weight_v``: W / sigma after one step."""

    def __init__(self, into: int, out: int, side: int, *, bias: bool) -> None:
        super().__init__()
        self.weight_orig = nn.Parameter(torch.empty(out, into, side, side))
        self.bias = nn.Parameter(torch.empty(out)) if bias else None
        self.weight_u: Tensor
        self.weight_v: Tensor
        self.register_buffer("weight_u", torch.empty(out))
        self.register_buffer("weight_v", torch.empty(into * side * side))

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return u and v after one power iteration."""
        matrix = self.weight_orig.flatten(1)
        v = matrix.T @ self.weight_u
        v = v / v.norm()
        u = matrix @ v
        return u / u.norm(), v

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolved map."""
        u, v = self.vectors()
        sigma = u @ self.weight_orig.flatten(1) @ v
        side = self.weight_orig.shape[-1]
        return F.conv2d(x, self.weight_orig / sigma, self.bias, padding=side // 2)


def residual_conv(
    config: GeneratorConfig, into: int, out: int, side: int, *, bias: bool
) -> nn.Module:
    """Return a convolution of the decoder, spectrally normalised if the configuration says so."""
    if config.spectral_norm:
        return SpectralConv(into, out, side, bias=bias)
    return nn.Conv2d(into, out, side, padding=side // 2, bias=bias)


class Spade(nn.Module):
    """norm(x) * gamma + beta, both made of the guidance."""

    def __init__(self, config: GeneratorConfig, channels: int, guidance: int) -> None:
        super().__init__()
        hidden, side = min(config.hidden, channels), config.modulation_kernel
        self.config = config
        self.param_free_norm = nn.BatchNorm2d(channels, affine=False)  # only for its buffers
        self.mlp_shared = nn.Sequential(nn.Conv2d(guidance, hidden, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(hidden, channels, side, padding=side // 2, bias=False)
        self.mlp_beta = nn.Conv2d(hidden, channels, side, padding=side // 2, bias=False)

    def forward(self, x: Tensor, guidance: Tensor) -> Tensor:
        """Return the modulated map."""
        shared = self.mlp_shared(resize(guidance, *x.shape[2:]))
        gamma = self.mlp_gamma(shared) + (1 if self.config.modulation == "one-plus" else 0)
        modulated: Tensor = normal(x, self.config.normalisation) * gamma + self.mlp_beta(shared)
        return modulated


class ResBlock(nn.Module):
    """The SPADE residual block; its input is upsampled already."""

    def __init__(self, config: GeneratorConfig, fin: int, fout: int, guidance: int) -> None:
        super().__init__()
        middle = min(fin, fout)
        self.learned = fin != fout
        self.own_spade = self.learned and config.shortcut == "spade"
        self.norm_0, self.norm_1 = Spade(config, fin, guidance), Spade(config, middle, guidance)
        self.conv_0 = residual_conv(config, fin, middle, 3, bias=True)
        self.conv_1 = residual_conv(config, middle, fout, 3, bias=True)
        if self.learned:
            self.conv_s = residual_conv(config, fin, fout, 1, bias=False)
        if self.own_spade:
            self.norm_s = Spade(config, fin, guidance)

    def forward(self, x: Tensor, guidance: Tensor) -> Tensor:
        """Return the block's output."""
        main = self.conv_0(F.leaky_relu(self.norm_0(x, guidance), 0.2))
        main = self.conv_1(F.leaky_relu(self.norm_1(main, guidance), 0.2))
        shortcut = self.norm_s(x, guidance) if self.own_spade else x
        total: Tensor = main + (self.conv_s(shortcut) if self.learned else shortcut)
        return total


class Adaptive(nn.Module):
    """Eq. 2-3 with the neighbours of every second pixel unfolded."""

    def __init__(self, channels: int, dim: int, activation: Activation) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(channels, dim), nn.ReLU(), nn.Linear(dim, dim))
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 3))
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Return the filtered map of half the sides."""
        count, channels, height, width = x.shape
        h, w = (height + 1) // 2, (width + 1) // 2
        g = self.mlp(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # (N, D, H, W)
        around = F.unfold(g, 3, padding=1, stride=2).view(count, -1, 9, h, w)
        affinity = (g[:, :, None, ::2, ::2] * around).sum(1, keepdim=True)  # (N, 1, 9, h, w)
        phi = affinity.sigmoid() if self.activation == "sigmoid" else affinity.tanh()
        columns = F.unfold(x, 3, padding=1, stride=2).view(count, channels, 9, h, w) * phi
        return torch.einsum("ock,nckhw->nohw", self.weight.flatten(2), columns)


class Lip(nn.Module):
    """A weighted mean over the pixels of each window that lie inside the map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.logit = nn.Sequential(conv, nn.InstanceNorm2d(channels, affine=True))

    def forward(self, x: Tensor) -> Tensor:
        """Return the pooled map of half the sides."""
        weight = torch.exp(12 * torch.sigmoid(self.logit(x)))
        total = F.avg_pool2d(x * weight, 3, stride=2, padding=1)
        return total / F.avg_pool2d(weight, 3, stride=2, padding=1)


def suppression(config: GeneratorConfig, channels: int) -> nn.Module:
    """Return the halving layer of the configuration."""
    if config.suppression == "adaptive":
        return Adaptive(channels, config.kernel_dim, config.kernel_activation)
    if config.suppression == "lip":
        return Lip(channels)
    return nn.Conv2d(channels, channels, 3, stride=2, padding=1, bias=False)


class Encoder(nn.Module):
    """All maps of the image from fine to coarse; ``encoder_i`` as in the published network."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        bias = config.encoder_normalisation == "none"
        head = nn.Conv2d(3 * config.stem_stride**2, config.width, 3, padding=1, bias=bias)
        self.head = nn.Sequential(head)
        for i in range(config.depth):
            c = config.channels(i)
            conv = nn.Conv2d(c, config.channels(i + 1), 3, padding=1)
            setattr(self, f"encoder_{i}", nn.Sequential(suppression(config, c), conv))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the feature maps."""
        kind = self.config.encoder_normalisation
        maps = [F.relu(normal(self.head(x), kind))]
        for i in range(self.config.depth):
            maps.append(normal(getattr(self, f"encoder_{i}")(maps[-1]), kind))
            if i < self.config.depth - 1:
                maps[-1] = F.relu(maps[-1])
        return maps


class FlatEncoder(nn.Module):
    """The same layers under the flat names of the published ``lipspade``."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        nested = Encoder(config)
        layers: list[nn.Module] = [nested.head[0], nn.Identity(), nn.Identity()]
        for i in range(config.depth):  # each: suppression, convolution, normalisation, ReLU
            layers += [*getattr(nested, f"encoder_{i}"), nn.Identity(), nn.Identity()]
        self.model = nn.Sequential(*layers)
        self.config = config

    def forward(self, x: Tensor) -> Tensor:
        """Return the coarsest feature map."""
        kind, depth = self.config.encoder_normalisation, self.config.depth
        x = F.relu(normal(self.model[0](x), kind))
        for i in range(depth):
            x = normal(self.model[4 + 4 * i](self.model[3 + 4 * i](x)), kind)
            x = F.relu(x) if i < depth - 1 else x
        return x


class LiteralGenerator(nn.Module):
    """The generator of a configuration, layer by layer.

    Args:
        config: As for ``faceren.networks.generator.Generator``, with a head that was published
            or adds to the input.

    Raises:
        ConfigError: If it has another head.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        if config.head == "bands":
            raise ConfigError("the literal network has no 'bands' head")
        c = self.config = config
        top, nested = c.channels(c.depth), c.variant == "hifacegan"
        guide = [c.channels(i) if nested else c.guidance_channels for i in range(c.depth + 1)]
        self.fc = nn.Conv2d(c.guidance_channels, top, 3, padding=1)
        self.head_0 = ResBlock(c, top, top, guide[c.depth])
        for i in range(c.middle_blocks):
            setattr(self, f"G_middle_{i}", ResBlock(c, top, top, guide[c.depth - 1]))
        levels = list(reversed(range(c.depth - 1)))
        widths = [top, *(c.channels(level) for level in levels)]
        self.ups = nn.ModuleList(
            ResBlock(c, fin, fout, guide[level])
            for level, fin, fout in zip(levels, widths[:-1], widths[1:], strict=True)
        )
        self.to_rgbs = nn.ModuleList(self._outputs(levels))
        if nested:
            self.encoder = Encoder(c)
        elif c.variant == "lipspade":
            self.lip_encoder = FlatEncoder(c)

    def _outputs(self, levels: Sequence[int]) -> list[nn.Module]:
        c = self.config
        heads = levels if c.head == "tanh" else levels[-1:]
        finest = 3 * c.stem_stride**2
        return [
            nn.Conv2d(c.channels(level), finest if level == 0 else 3, 3, padding=1)
            for level in heads
        ]

    def forward(self, faces: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Return restored faces; see ``faceren.networks.generator.Generator.forward``."""
        c = self.config
        source = faces if guidance is None else guidance
        maps = [source] * (c.depth + 1)
        x = self.fc(resize(source, faces.shape[2] // c.stride, faces.shape[3] // c.stride))
        if c.variant == "hifacegan":
            maps = self.encoder(F.pixel_unshuffle(faces, c.stem_stride))
        elif c.variant == "lipspade":
            x = self.lip_encoder(F.pixel_unshuffle(faces, c.stem_stride))
        x = self.head_0(x, maps[c.depth])
        x = resize(x, 2 * x.shape[2], 2 * x.shape[3])
        for i in range(c.middle_blocks):
            x = getattr(self, f"G_middle_{i}")(x, maps[c.depth - 1])
        for level, block in zip(reversed(range(c.depth - 1)), self.ups, strict=True):
            x = block(resize(x, 2 * x.shape[2], 2 * x.shape[3]), maps[level])
        x = F.pixel_shuffle(self.to_rgbs[-1](F.leaky_relu(x, 0.2)), c.stem_stride)
        return faces + x if c.head == "residual" else torch.tanh(x)
