"""Published state dicts of the networks that are compared: told by their keys, read as they are.

Whose files are known: EDSR (``EDSR-PyTorch``), SRResNet (``leftthomas/SRGAN``), ESRGAN, SRFBN,
RIDNet, VDN, DeblurGAN and DeblurGAN-v2 on MobileNet (their authors'), AR-CNN (``yjn870``). Key
names and shapes are facts of these files; nothing else is taken from them.
"""

import re
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from faceren.config import Architecture, BaselineConfig
from faceren.errors import ConfigError
from faceren.networks.baselines.super_resolution import Esrgan

WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "model")
"""Keys under which training programs put the state dict of what they trained."""
OLDER = (
    (r"^RRDB_trunk\.(\d+)\.RDB(\d)\.", r"body.\1.rdb\2."),
    (r"^trunk_conv\.", "conv_body."),
    (r"^upconv(\d)\.", r"conv_up\1."),
    (r"^HRconv\.", "conv_hr."),
)
Shapes = Mapping[str, tuple[int, ...]]
KERNEL = 4
"""Dimensions of a kernel, as which the marks must come."""
OUTSIDE, IN_BLOCK = 6, 15
"""Convolutions of ESRGAN outside its blocks, and in each of them."""
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
    inner = next((state[name] for name in WRAPPERS if isinstance(state.get(name), Mapping)), state)
    named = inner.items() if isinstance(inner, Mapping) else ()
    tensors = {_of_today(str(k)): v for k, v in named if isinstance(v, Tensor)}
    shapes = {key: tuple(value.shape) for key, value in tensors.items()}
    for architecture, (marks, read) in KNOWN.items():
        if all(len(shapes.get(mark, ())) == KERNEL for mark in marks):
            shape = read(shapes)
            if shape is None:
                continue
            config = BaselineConfig(architecture=architecture, **shape)
            left_out = LEFT_OUT.get(architecture)
            kept = {k: v for k, v in tensors.items() if not (left_out and left_out.search(k))}
            return config, _completed({f"body.{k}": v.float() for k, v in kept.items()})
    return None


def import_ncnn(
    convolutions: Sequence[tuple[Tensor, Tensor]],
) -> tuple[BaselineConfig, dict[str, Tensor]]:
    """Return the configuration and our state dict of an ESRGAN of scale 4 from its convolutions.

    Args:
        convolutions: Kernels and biases in the order in which they are run.

    Raises:
        ConfigError: If there are not as many as some ESRGAN has.
    """
    blocks, others = divmod(len(convolutions) - OUTSIDE, IN_BLOCK)
    if others or blocks < 1:
        raise ConfigError(
            f"expected the {OUTSIDE} + {IN_BLOCK}·n convolutions of ESRGAN, got {len(convolutions)}"
        )
    width = len(convolutions[0][1])
    config = BaselineConfig(architecture="esrgan", width=width, blocks=blocks, scale=4)
    with torch.device("meta"):
        names = list(Esrgan(width, blocks, 4).state_dict())
    tensors = [tensor for pair in convolutions for tensor in pair]
    return config, {f"body.{name}": value for name, value in zip(names, tensors, strict=True)}


def _of_today(key: str) -> str:
    """Return a key without the mark of parallel training, and ESRGAN's as Real-ESRGAN has them."""
    key = key.removeprefix("module.")
    for pattern, name in OLDER:
        key = re.sub(pattern, name, key)
    return key


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


def _esrgan(shapes: Shapes) -> dict[str, int] | None:
    width, channels, *_ = shapes["conv_first.weight"]
    if channels != 3:  # squares of pixels: for other scales
        return None
    return {
        "width": width,
        "blocks": _count(shapes, r"body\.\d+\.rdb1\.conv1\.weight"),
        "scale": 2 ** _count(shapes, r"conv_up\d+\.weight"),
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


KNOWN: dict[Architecture, tuple[tuple[str, ...], Callable[[Shapes], dict[str, int] | None]]] = {
    "edsr": (("head.0.weight", "body.0.body.0.weight", "tail.0.0.weight"), _edsr),
    "srresnet": (("block1.0.weight", "block2.conv1.weight", "block2.conv2.weight"), _srresnet),
    "esrgan": (("conv_first.weight", "body.0.rdb1.conv1.weight", "conv_up2.weight"), _esrgan),
    "srfbn": (
        ("block.compress_in.0.weight", "feat_in.0.weight", "block.upBlocks.0.0.weight"),
        _srfbn,
    ),
    "ridnet": (("head.body.0.weight", "b1.r1.body1.0.weight", "b1.ca.c1.body.0.weight"), _ridnet),
    "vdnet": (("DNet.down_path.0.block.0.weight", "SNet.conv1.weight"), _vdnet),
    "deblurgan": (("model.1.weight", "model.10.conv_block.6.weight"), _deblurgan),
    "deblurganv2": (("fpn.lateral4.weight", "fpn.features.0.0.weight"), _deblurgan_v2),
    "arcnn": (("base.0.weight", "base.2.weight", "base.4.weight", "last.weight"), _arcnn),
}
"""Kernels that no other architecture has together, and what shapes and counts say."""
