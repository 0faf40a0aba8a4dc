"""The generator once more, literally from the formulas: slow, and only to compare with.

Module names are those of the published state dicts, so ``state_dict()`` of a literal network with
``lip`` suppression is a published state dict. Nothing here is shared with ``faceren.networks``.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceren.config import GeneratorConfig


def normal(x: Tensor, kind: str) -> Tensor:
    if kind == "none":
        return x
    axes = (2, 3) if kind == "instance" else (1,)
    mean = x.mean(axes, keepdim=True)
    variance = ((x - mean) ** 2).mean(axes, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-5)


def nearest_resize(x: Tensor, height: int, width: int) -> Tensor:
    rows = torch.arange(height) * x.shape[2] // height
    columns = torch.arange(width) * x.shape[3] // width
    return x[:, :, rows][:, :, :, columns]


class SpectralConv(nn.Module):
    """A convolution with ``weight_orig``, ``weight_u``, ``weight_v``; W / sigma after one step."""

    def __init__(self, into: int, out: int, side: int, *, bias: bool) -> None:
        super().__init__()
        self.weight_orig = nn.Parameter(torch.empty(out, into, side, side))
        self.bias = nn.Parameter(torch.empty(out)) if bias else None
        self.register_buffer("weight_u", torch.empty(out))
        self.register_buffer("weight_v", torch.empty(into * side * side))

    def vectors(self) -> tuple[Tensor, Tensor]:
        matrix = self.weight_orig.reshape(len(self.weight_orig), -1)
        v = matrix.T @ self.weight_u
        v = v / v.norm()
        u = matrix @ v
        return u / u.norm(), v

    def forward(self, x: Tensor) -> Tensor:
        u, v = self.vectors()
        sigma = u @ self.weight_orig.reshape(len(u), -1) @ v
        side = self.weight_orig.shape[-1]
        return F.conv2d(x, self.weight_orig / sigma, self.bias, padding=side // 2)


def residual_conv(c: GeneratorConfig, into: int, out: int, side: int, *, bias: bool) -> nn.Module:
    if c.spectral_norm:
        return SpectralConv(into, out, side, bias=bias)
    return nn.Conv2d(into, out, side, padding=side // 2, bias=bias)


class Spade(nn.Module):
    def __init__(self, c: GeneratorConfig, channels: int, guidance: int) -> None:
        super().__init__()
        hidden, side = min(c.hidden, channels), c.modulation_kernel
        self.c = c
        self.param_free_norm = nn.BatchNorm2d(channels, affine=False)  # only for its buffers
        self.mlp_shared = nn.Sequential(nn.Conv2d(guidance, hidden, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(hidden, channels, side, padding=side // 2, bias=False)
        self.mlp_beta = nn.Conv2d(hidden, channels, side, padding=side // 2, bias=False)

    def forward(self, x: Tensor, guidance: Tensor) -> Tensor:
        shared = self.mlp_shared(nearest_resize(guidance, *x.shape[2:]))
        gamma = self.mlp_gamma(shared) + (1 if self.c.modulation == "one-plus" else 0)
        return normal(x, self.c.normalisation) * gamma + self.mlp_beta(shared)


class ResBlock(nn.Module):
    def __init__(self, c: GeneratorConfig, fin: int, fout: int, guidance: int) -> None:
        super().__init__()
        middle = min(fin, fout)
        self.learned = fin != fout
        self.own_spade = self.learned and c.shortcut == "spade"
        self.norm_0, self.norm_1 = Spade(c, fin, guidance), Spade(c, middle, guidance)
        self.conv_0 = residual_conv(c, fin, middle, 3, bias=True)
        self.conv_1 = residual_conv(c, middle, fout, 3, bias=True)
        if self.learned:
            self.conv_s = residual_conv(c, fin, fout, 1, bias=False)
        if self.own_spade:
            self.norm_s = Spade(c, fin, guidance)

    def forward(self, x: Tensor, guidance: Tensor) -> Tensor:
        main = self.conv_0(F.leaky_relu(self.norm_0(x, guidance), 0.2))
        main = self.conv_1(F.leaky_relu(self.norm_1(main, guidance), 0.2))
        shortcut = self.norm_s(x, guidance) if self.own_spade else x
        return main + (self.conv_s(shortcut) if self.learned else shortcut)


class Adaptive(nn.Module):
    """Eq. 2-3 pixel by pixel."""

    def __init__(self, channels: int, dim: int, activation: str) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(channels, dim), nn.ReLU(), nn.Linear(dim, dim))
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 3))
        self.activation = torch.sigmoid if activation == "sigmoid" else torch.tanh

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        g = self.mlp(x.permute(0, 2, 3, 1))  # (N, H, W, D)
        out = x.new_zeros(len(x), x.shape[1], (height + 1) // 2, (width + 1) // 2)
        for row in range(0, height, 2):
            for column in range(0, width, 2):
                total = x.new_zeros(x.shape[:2])
                for dy in (-1, 0, 1):
                    for dx in (-1, 0, 1):
                        r, s = row + dy, column + dx
                        if 0 <= r < height and 0 <= s < width:
                            phi = self.activation((g[:, row, column] * g[:, r, s]).sum(1))
                            weight = self.weight[:, :, dy + 1, dx + 1]
                            total = total + phi[:, None] * (x[:, :, r, s] @ weight.T)
                out[:, :, row // 2, column // 2] = total
        return out


class Lip(nn.Module):
    """A weighted mean over the pixels of each window that lie inside the map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.logit = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.InstanceNorm2d(channels, affine=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        affine = self.logit[1]
        logit = normal(self.logit[0](x), "instance")
        logit = logit * affine.weight[:, None, None] + affine.bias[:, None, None]
        weight = torch.exp(12 * torch.sigmoid(logit))
        height, width = x.shape[2:]
        out = x.new_zeros(*x.shape[:2], (height + 1) // 2, (width + 1) // 2)
        for row in range(out.shape[2]):
            for column in range(out.shape[3]):
                rows = slice(max(2 * row - 1, 0), 2 * row + 2)
                columns = slice(max(2 * column - 1, 0), 2 * column + 2)
                inside = weight[:, :, rows, columns]
                weighted = (x[:, :, rows, columns] * inside).sum((2, 3))
                out[:, :, row, column] = weighted / inside.sum((2, 3))
        return out


def suppression(c: GeneratorConfig, channels: int) -> nn.Module:
    if c.suppression == "adaptive":
        return Adaptive(channels, c.kernel_dim, c.kernel_activation)
    if c.suppression == "lip":
        return Lip(channels)
    return nn.Conv2d(channels, channels, 3, stride=2, padding=1, bias=False)


class Encoder(nn.Module):
    """Six maps from the image; ``encoder_i`` as in the published ``hifacegan``."""

    def __init__(self, c: GeneratorConfig) -> None:
        super().__init__()
        self.c = c
        bias = c.encoder_normalisation == "none"
        head = nn.Conv2d(3 * c.stem_stride**2, c.width, 3, padding=1, bias=bias)
        self.head = nn.Sequential(head)
        for i in range(c.depth):
            conv = nn.Conv2d(c.channels(i), c.channels(i + 1), 3, padding=1)
            setattr(self, f"encoder_{i}", nn.Sequential(suppression(c, c.channels(i)), conv))

    def forward(self, x: Tensor) -> list[Tensor]:
        kind = self.c.encoder_normalisation
        maps = [F.relu(normal(self.head(x), kind))]
        for i in range(self.c.depth):
            maps.append(normal(getattr(self, f"encoder_{i}")(maps[-1]), kind))
            if i < self.c.depth - 1:
                maps[-1] = F.relu(maps[-1])
        return maps


class FlatEncoder(nn.Module):
    """The same layers under the flat names of the published ``lipspade``."""

    def __init__(self, c: GeneratorConfig) -> None:
        super().__init__()
        nested = Encoder(c)
        layers: list[nn.Module] = [nested.head[0], nn.Identity(), nn.Identity()]
        for i in range(c.depth):  # each: suppression, convolution, normalisation, ReLU
            layers += [*getattr(nested, f"encoder_{i}"), nn.Identity(), nn.Identity()]
        self.model = nn.Sequential(*layers)
        self.c = c

    def forward(self, x: Tensor) -> Tensor:
        kind = self.c.encoder_normalisation
        x = F.relu(normal(self.model[0](x), kind))
        for i in range(self.c.depth):
            x = normal(self.model[4 + 4 * i](self.model[3 + 4 * i](x)), kind)
            x = F.relu(x) if i < self.c.depth - 1 else x
        return x


class LiteralGenerator(nn.Module):
    def __init__(self, c: GeneratorConfig) -> None:
        super().__init__()
        self.c = c
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
        heads = range(len(levels)) if c.head == "tanh" else [len(levels) - 1]
        out = 3 * c.stem_stride**2
        self.to_rgbs = nn.ModuleList(
            nn.Conv2d(c.channels(levels[i]), out if levels[i] == 0 else 3, 3, padding=1)
            for i in heads
        )
        if nested:
            self.encoder = Encoder(c)
        elif c.variant == "lipspade":
            self.lip_encoder = FlatEncoder(c)

    def forward(self, faces: Tensor, guidance: Tensor | None = None) -> Tensor:
        c = self.c
        source = faces if guidance is None else guidance
        maps = [source] * (c.depth + 1)
        total = c.stem_stride * 2**c.depth
        x = self.fc(nearest_resize(source, faces.shape[2] // total, faces.shape[3] // total))
        if c.variant == "hifacegan":
            maps = self.encoder(F.pixel_unshuffle(faces, c.stem_stride))
        elif c.variant == "lipspade":
            x = self.lip_encoder(F.pixel_unshuffle(faces, c.stem_stride))
        x = self.head_0(x, maps[c.depth])
        x = nearest_resize(x, 2 * x.shape[2], 2 * x.shape[3])
        for i in range(c.middle_blocks):
            x = getattr(self, f"G_middle_{i}")(x, maps[c.depth - 1])
        for level, block in zip(reversed(range(c.depth - 1)), self.ups, strict=True):
            x = block(nearest_resize(x, 2 * x.shape[2], 2 * x.shape[3]), maps[level])
        x = F.pixel_shuffle(self.to_rgbs[-1](F.leaky_relu(x, 0.2)), c.stem_stride)
        return faces + x if c.head == "residual" else torch.tanh(x)


def randomise(network: nn.Module, *, seed: int = 0) -> nn.Module:
    """Give every weight and buffer a value such that activations stay near one."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if not value.is_floating_point():
            continue
        drawn = torch.randn(value.shape, generator=generator, dtype=value.dtype)
        fan_in = value[0].numel() if value.ndim > 1 else 4
        value.copy_(drawn / max(fan_in, 1) ** 0.5)
        if name.endswith(("weight_u", "weight_v")):
            value.div_(value.norm())
    return network


def copy_weights(literal: LiteralGenerator, fast: nn.Module) -> None:
    """Give ``fast`` the weights of ``literal``, key by key and without the importer."""
    c, source, target = literal.c, literal.state_dict(), {}

    def block(name: str, ours: str) -> None:
        layers = [
            n for n in ("norm_0", "norm_1", "norm_s") if f"{name}.{n}.mlp_gamma.weight" in source
        ]
        for kind in ("weight", "bias"):
            parts = [source[f"{name}.{layer}.mlp_shared.0.{kind}"] for layer in layers]
            target[f"{ours}.shared.{kind}"] = torch.cat(parts)
        for i, layer in enumerate(layers):
            halves = [source[f"{name}.{layer}.mlp_{half}.weight"] for half in ("gamma", "beta")]
            target[f"{ours}.modulate.{i}.weight"] = torch.cat(halves)
        for conv in ("conv_0", "conv_1", "conv_s"):
            module = dict(literal.named_modules()).get(f"{name}.{conv}")
            if isinstance(module, SpectralConv):
                u, v = module.vectors()
                inner = f"{ours}.{conv}.parametrizations.weight"
                target[f"{inner}.original"] = module.weight_orig.detach()
                target[f"{inner}.0._u"], target[f"{inner}.0._v"] = u.detach(), v.detach()
            elif module is not None:
                target[f"{ours}.{conv}.weight"] = module.weight.detach()
            if getattr(module, "bias", None) is not None:
                target[f"{ours}.{conv}.bias"] = module.bias.detach()

    block("head_0", "head_0")
    for i in range(c.middle_blocks):
        block(f"G_middle_{i}", f"middle.{i}")
    for i in range(len(literal.ups)):
        block(f"ups.{i}", f"ups.{i}")
    last = len(literal.to_rgbs) - 1
    for i in range(last + 1):
        name = "to_rgb" if i == last else f"to_rgb_unused.{i}"
        target |= {f"{name}.{kind}": source[f"to_rgbs.{i}.{kind}"] for kind in ("weight", "bias")}
    target |= {f"fc.{kind}": source[f"fc.{kind}"] for kind in ("weight", "bias")}
    target |= _encoder_weights(literal)
    fast.load_state_dict(target)


def _encoder_weights(literal: LiteralGenerator) -> dict[str, Tensor]:
    c = literal.c
    if c.variant == "spade":
        return {}
    if c.variant == "lipspade":
        model = literal.lip_encoder.model
        head, pairs = model[0], [(model[3 + 4 * i], model[4 + 4 * i]) for i in range(c.depth)]
    else:
        head = literal.encoder.head[0]
        pairs = [tuple(getattr(literal.encoder, f"encoder_{i}")) for i in range(c.depth)]
    target = {f"encoder.head.{key}": value for key, value in head.state_dict().items()}
    for i, (suppress, conv) in enumerate(pairs):
        for key, value in conv.state_dict().items():
            target[f"encoder.convs.{i}.{key}"] = value
        for key, value in suppress.state_dict().items():
            linear = key.startswith("mlp.") and key.endswith("weight")
            name = key.replace("mlp.", "embed.").replace("logit.0.", "logit.")
            name = name.replace("logit.1.", "norm.")
            target[f"encoder.suppress.{i}.{name}"] = value[:, :, None, None] if linear else value
    return target
