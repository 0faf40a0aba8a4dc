"""A larger generator that starts where a smaller one has got to.

Letters: C channels of the smaller network, C' those of the larger. Source: Net2Net, Chen,
Goodfellow and Shlens, ICLR 2016 (arXiv:1511.05641), section 2.
"""

import dataclasses

import torch
from torch import Tensor

from faceren.config import GeneratorConfig
from faceren.errors import ConfigError
from faceren.networks.generator import Generator, build_generator

NOISE = 0.05
"""How much the weights of a copied channel differ from the original's, as a share of their
deviation: channels that are quite alike get the same gradient and stay alike."""
MAY_GROW = ("width", "hidden", "middle_blocks")


def widened(small: Generator, config: GeneratorConfig, *, seed: int) -> Generator:
    """Return a larger generator that does nearly what a smaller one does.

    Its further channels are copies of existing ones, slightly disturbed, and whoever reads them
    counts each copy for its share; its further middle blocks add nothing at first. What is
    normalised over channels sees some of them twice, so the output is close, not equal.

    Args:
        small: Where to start.
        config: Shape of the larger one.
        seed: Decides which channels are copied, and the disturbance.

    Raises:
        ConfigError: If the two differ in more than width, hidden channels and middle blocks, if
            one of these is smaller, or with ``spectral_norm``, which copies would change.
    """
    ours, theirs = dataclasses.asdict(config), dataclasses.asdict(small.config)
    for key, value in ours.items():
        grows = key in MAY_GROW and value >= theirs[key]
        if value != theirs[key] and not grows:
            wanted = f"at least {theirs[key]}" if key in MAY_GROW else repr(theirs[key])
            raise ConfigError(
                f"model.{key}: expected {wanted} to widen that of init, got {value!r}"
            )
    if config.spectral_norm:
        raise ConfigError("model.spectral_norm: expected false, for init to be widened, got true")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        large = build_generator(config)
        sources = dict(small.named_parameters())
        copied: dict[tuple[int, int], Tensor] = {}
        with torch.no_grad():
            for name, target in large.named_parameters():
                if name in sources:
                    target.copy_(_grown(name, sources[name], target, copied))
            for block in list(large.middle)[len(small.middle) :]:
                for parameter in block.get_submodule("conv_1").parameters():
                    parameter.zero_()
    return large


def _grown(
    name: str, source: Tensor, target: Tensor, copied: dict[tuple[int, int], Tensor]
) -> Tensor:
    """Return weights of the target's shape, (C', ...), made of the smaller network's (C, ...)."""
    parts = 2 if ".modulate." in name or ".shared." in name else 1  # gamma, beta; SPADE layers
    count = len(source) // parts
    copies = _copies(count, len(target) // parts, copied)
    rows = torch.cat([copies + part * count for part in range(parts)])
    grown = source[rows]
    if source.ndim == 4 and source.shape[1] != target.shape[1]:
        columns = _copies(source.shape[1], target.shape[1], copied)
        shares = torch.bincount(columns)[columns]
        grown = grown[:, columns] / shares.view(1, -1, 1, 1)
    return grown + NOISE * source.std(correction=0) * _again(rows, grown)


def _copies(count: int, wanted: int, copied: dict[tuple[int, int], Tensor]) -> Tensor:
    """Return of which channel each of the larger network is a copy: always the same for a size."""
    if (count, wanted) not in copied:
        further = torch.randint(count, (wanted - count,))
        copied[count, wanted] = torch.cat([torch.arange(count), further])
    return copied[count, wanted]


def _again(rows: Tensor, like: Tensor) -> Tensor:
    """Return normal numbers where a channel is not the first copy of its original, else zeros."""
    seen: set[int] = set()
    noise = torch.zeros_like(like)
    for place, row in enumerate(rows.tolist()):
        if row in seen:
            noise[place].normal_()
        seen.add(row)
    return noise
