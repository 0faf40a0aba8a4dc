"""Published state dicts of the networks that are compared: told by their keys, read as they are.

Whose files are known: EDSR (``EDSR-PyTorch``), SRResNet (``leftthomas/SRGAN``), SRFBN, RIDNet,
VDN, DeblurGAN and DeblurGAN-v2 on MobileNet (their authors'), AR-CNN (``yjn870``). Key names and
shapes are facts of these files; nothing else is taken from them.
"""

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from faceren.config import Architecture, BaselineConfig

WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "model")
"""Keys under which training programs put the state dict of what they trained."""
Shapes = Mapping[str, tuple[int, ...]]
LEFT_OUT: dict[Architecture, re.Pattern[str]] = {
    # statistics of instances are those of each image; layers that only MobileNet's classes need
    "deblurgan": re.compile(r"(running_(mean|var)|num_batches_tracked)$"),
    "deblurganv2": re.compile(
        r"(running_(mean|var)|num_batches_tracked)$|^fpn\.enc\d|^fpn\.features\.1[6-9]\."
    ),
}
"""Tensors of published files that no output depends on."""


def import_baseline(
    state: Mapping[str, object],
) -> tuple[BaselineConfig, dict[str, Tensor]] | None:
    """Return the configuration and our state dict of a published one; None if it is none of these.

    Args:
        state: Published state dict; ``module.`` prefixes and the usual wrapping dicts are accepted.
            Whether each tensor has the shape that it must have is for the caller to check.
    """
    tensors = _unwrapped(state)
    shapes = {key: tuple(value.shape) for key, value in tensors.items()}
    for architecture, (marks, read) in KNOWN.items():
        if all(mark in shapes for mark in marks):
            config = BaselineConfig(architecture=architecture, **read(shapes))
            left_out = LEFT_OUT.get(architecture)
            kept = {k: v for k, v in tensors.items() if not (left_out and left_out.search(k))}
            return config, _completed({f"body.{k}": v.float() for k, v in kept.items()})
    return None


def _unwrapped(state: Mapping[str, object]) -> dict[str, Tensor]:
    inner = next((state[name] for name in WRAPPERS if isinstance(state.get(name), Mapping)), state)
    named = inner.items() if isinstance(inner, Mapping) else ()
    return {str(k).removeprefix("module."): v for k, v in named if isinstance(v, Tensor)}


def _completed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors with the counts of batches that older versions of torch did not keep."""
    means = [key for key in tensors if key.endswith("running_mean")]
    counts = {key.replace("running_mean", "num_batches_tracked"): torch.zeros(()) for key in means}
    return counts | tensors


def _count(shapes: Shapes, pattern: str) -> int:
    """Return how many keys match a pattern as a whole."""
    return sum(re.fullmatch(pattern, key) is not None for key in shapes)


def _edsr(shapes: Shapes) -> dict[str, int]:
    width = shapes["head.0.weight"][0]
    doubled = _count(shapes, r"tail\.0\.\d+\.weight")
    third = shapes["tail.0.0.weight"][0] == 9 * width
    return {
        "width": width,
        "blocks": _count(shapes, r"body\.\d+\.body\.0\.weight"),
        "scale": 3 if third else 2**doubled,
    }


def _srresnet(shapes: Shapes) -> dict[str, int]:
    return {
        "width": shapes["block1.0.weight"][0],
        "blocks": _count(shapes, r"block\d+\.conv1\.weight"),
        "scale": 2 ** _count(shapes, r"block\d+\.\d+\.conv\.weight"),
    }


def _srfbn(shapes: Shapes) -> dict[str, int]:
    return {
        "width": shapes["feat_in.0.weight"][0],
        "blocks": _count(shapes, r"block\.upBlocks\.\d+\.0\.weight"),
        "scale": shapes["block.upBlocks.0.0.weight"][-1] - 4,
    }


def _ridnet(shapes: Shapes) -> dict[str, int]:
    width = shapes["head.body.0.weight"][0]
    return {"width": width, "blocks": _count(shapes, r"b\d+\.r1\.body1\.0\.weight")}


def _vdnet(shapes: Shapes) -> dict[str, int]:
    width = shapes["DNet.down_path.0.block.0.weight"][0]
    return {"width": width, "blocks": _count(shapes, r"DNet\.down_path\.\d+\.block\.0\.weight")}


def _deblurgan(shapes: Shapes) -> dict[str, int]:
    width = shapes["model.1.weight"][0]
    return {"width": width, "blocks": _count(shapes, r"model\.\d+\.conv_block\.1\.weight")}


def _deblurgan_v2(shapes: Shapes) -> dict[str, int]:
    return {"width": shapes["fpn.lateral4.weight"][0]}


def _arcnn(shapes: Shapes) -> dict[str, int]:
    return {"width": shapes["base.0.weight"][0]}


KNOWN: dict[Architecture, tuple[tuple[str, ...], Callable[[Shapes], dict[str, int]]]] = {
    "edsr": (("head.0.weight", "body.0.body.0.weight", "tail.0.0.weight"), _edsr),
    "srresnet": (("block1.0.weight", "block1.1.weight", "block2.conv1.weight"), _srresnet),
    "srfbn": (("block.compress_in.0.weight", "feat_in.0.weight"), _srfbn),
    "ridnet": (("head.body.0.weight", "b1.r1.body1.0.weight", "b1.ca.c1.body.0.weight"), _ridnet),
    "vdnet": (("DNet.down_path.0.block.0.weight", "SNet.conv1.weight"), _vdnet),
    "deblurgan": (("model.1.weight", "model.10.conv_block.6.weight"), _deblurgan),
    "deblurganv2": (("fpn.lateral4.weight", "fpn.features.0.0.weight"), _deblurgan_v2),
    "arcnn": (("base.0.weight", "base.2.weight", "base.4.weight", "last.weight"), _arcnn),
}
"""Keys that no other architecture has together, and what shapes and counts say, in this order."""
