"""The metrics by name, and what each needs."""

from collections.abc import Sequence
from typing import Literal, get_args

from faceren.config import nearest
from faceren.errors import ConfigError

Protocol = Literal["standard", "paper"]
"""The field's definitions, or what the paper's Table 1 was made with."""

PAPER_METRICS = ("psnr", "ssim", "ms-ssim", "fed", "lle", "fid", "lpips", "niqe")
"""The eight of the paper, in the order of its tables."""
METRICS = (*PAPER_METRICS, "kid", "identity")
PAIRED = ("psnr", "ssim", "ms-ssim", "fed", "lle", "lpips")
"""Metrics that compare each image with its own reference."""
SETS = ("fid", "kid")
"""Metrics that compare sets of images."""
HIGHER_IS_BETTER = ("psnr", "ssim", "ms-ssim")
PYIQA = "pyiqa:"
"""Prefix of the metrics of the package pyiqa, if the user has installed it."""


def parse_metrics(names: Sequence[str]) -> tuple[str, ...]:
    """Return metric names, split at commas, without repeats, underscores and capitals forgiven.

    Raises:
        ConfigError: If one is unknown, with the nearest known one.
    """
    words = [word.strip().lower() for name in names for word in name.split(",")]
    wanted = [w if w.startswith(PYIQA) else w.replace("_", "-") for w in words if w]
    for name in wanted:
        if name not in METRICS and not name.startswith(PYIQA):
            raise ConfigError(f"--metrics: unknown metric {name!r}{nearest(name, METRICS)}")
    if not wanted:
        raise ConfigError(f"--metrics: expected one or more of {', '.join(METRICS)}, got none")
    return tuple(dict.fromkeys(wanted))


def check_protocol(protocol: str) -> Protocol:
    """Return the protocol.

    Raises:
        ConfigError: If there is none of that name.
    """
    for known in get_args(Protocol):
        if protocol == known:
            return known
    raise ConfigError(
        f"--protocol: unknown protocol {protocol!r}{nearest(protocol, get_args(Protocol))}"
    )
