"""The metrics by name, and what each needs."""

from collections.abc import Sequence
from typing import Literal, get_args

from faceren.checks import check_value
from faceren.errors import ConfigError

Metric = Literal["psnr", "ssim", "ms-ssim", "fed", "lle", "fid", "lpips", "niqe", "kid", "identity"]
"""What is computed here; the package pyiqa has others."""
METRICS: tuple[str, ...] = get_args(Metric)

Protocol = Literal["standard", "paper"]
"""The field's definitions, or what the paper's Table 1 was made with."""

PAPER_METRICS = METRICS[:8]
"""The eight of the paper, in the order of its tables."""
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
        if not name.startswith(PYIQA):
            check_value("--metrics", name, Metric)
    if not wanted:
        raise ConfigError(f"--metrics: expected one or more of {', '.join(METRICS)}, got none")
    return tuple(dict.fromkeys(wanted))
