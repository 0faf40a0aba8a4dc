"""The same weights in the literal and in the fast network, key by key and without the importer."""

import torch
from torch import Tensor, nn

from tests.networks.layer_by_layer import LiteralGenerator, SpectralConv


@torch.no_grad()
def randomise(network: nn.Module, *, seed: int = 0) -> nn.Module:
    """Give every weight and buffer a value such that activations stay near one; return it."""
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
    """Give ``fast``, a ``Generator`` of the same configuration, the weights of ``literal``."""
    config, source = literal.config, literal.state_dict()
    target = {f"fc.{kind}": source[f"fc.{kind}"] for kind in ("weight", "bias")}
    target |= _block(literal, "head_0", "head_0")
    for i in range(config.middle_blocks):
        target |= _block(literal, f"G_middle_{i}", f"middle.{i}")
    for i in range(len(literal.ups)):
        target |= _block(literal, f"ups.{i}", f"ups.{i}")
    last = len(literal.to_rgbs) - 1
    for i in range(last + 1):
        name = "to_rgb" if i == last else f"to_rgb_unused.{i}"
        target |= {f"{name}.{kind}": source[f"to_rgbs.{i}.{kind}"] for kind in ("weight", "bias")}
    fast.load_state_dict(target | _encoder(literal))


def _block(literal: LiteralGenerator, name: str, ours: str) -> dict[str, Tensor]:
    source, target = literal.state_dict(), {}
    layers = [n for n in ("norm_0", "norm_1", "norm_s") if f"{name}.{n}.mlp_gamma.weight" in source]
    for kind in ("weight", "bias"):
        parts = [source[f"{name}.{layer}.mlp_shared.0.{kind}"] for layer in layers]
        target[f"{ours}.shared.{kind}"] = torch.cat(parts)
    for i, layer in enumerate(layers):
        halves = [source[f"{name}.{layer}.mlp_{half}.weight"] for half in ("gamma", "beta")]
        target[f"{ours}.modulate.{i}.weight"] = torch.cat(halves)
    modules = dict(literal.named_modules())
    for conv in ("conv_0", "conv_1", "conv_s"):
        module = modules.get(f"{name}.{conv}")
        if module is not None:
            target |= _residual_conv(module, f"{ours}.{conv}")
    return target


def _residual_conv(conv: nn.Module, ours: str) -> dict[str, Tensor]:
    state = conv.state_dict()
    target = {f"{ours}.bias": state["bias"]} if "bias" in state else {}
    if not isinstance(conv, SpectralConv):
        return target | {f"{ours}.weight": state["weight"]}
    u, v = conv.vectors()
    inner = f"{ours}.parametrizations.weight"
    vectors = {f"{inner}.0._u": u.detach(), f"{inner}.0._v": v.detach()}
    return target | vectors | {f"{inner}.original": state["weight_orig"]}


def _encoder(literal: LiteralGenerator) -> dict[str, Tensor]:
    config = literal.config
    if config.variant == "spade":
        return {}
    if config.variant == "lipspade":
        model = literal.lip_encoder.model
        head, pairs = model[0], [(model[3 + 4 * i], model[4 + 4 * i]) for i in range(config.depth)]
    else:
        head = literal.encoder.head[0]
        pairs = [tuple(getattr(literal.encoder, f"encoder_{i}")) for i in range(config.depth)]
    target = {f"encoder.head.{key}": value for key, value in head.state_dict().items()}
    for i, (suppress, conv) in enumerate(pairs):
        for key, value in conv.state_dict().items():
            target[f"encoder.convs.{i}.{key}"] = value
        for key, value in suppress.state_dict().items():
            name = key.replace("mlp.", "embed.").replace("logit.0.", "logit.")
            linear = key.startswith("mlp.") and key.endswith("weight")
            name = name.replace("logit.1.", "norm.")
            target[f"encoder.suppress.{i}.{name}"] = value[:, :, None, None] if linear else value
    return target
