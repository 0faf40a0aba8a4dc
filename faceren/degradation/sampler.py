"""Random parameters: seeds that depend on nothing but their item, and rounded draws."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from faceren.degradation.pixels import SHORTEST, Colour, generator

T = TypeVar("T")

SEED_BITS = 53
"""Seeds stay exact in every JSON reader, also in those that have only doubles."""


def item_seed(seed: int, path: str, copy: int = 0) -> int:
    """Return the seed of one copy of one image, the same on every platform and in every order.

    Args:
        seed: Seed of the run.
        path: Path of the image relative to its folder, with forward slashes.
        copy: Number of the copy (or of the epoch).
    """
    digest = hashlib.sha256(f"{seed}\n{path}\n{copy}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - SEED_BITS)


class Sampler:
    """Draws parameters by what numpy computes alike everywhere: no logarithms, no sines.

    Args:
        source: A seed, or a generator that other draws share.
    """

    def __init__(self, source: int | np.random.Generator) -> None:
        self._rng = source if isinstance(source, np.random.Generator) else generator(source)

    def uniform(self, low: float, high: float) -> float:
        """Return a number between the two, rounded to 6 decimals."""
        return round(float(self._rng.uniform(low, high)), 6)

    def length(self, low: float, high: float, unit: float) -> float:
        """Return so many units, in pixels, but no less than an operation can do."""
        return max(round(self.uniform(low, high) * unit, 6), SHORTEST)

    def integer(self, low: int, high: int) -> int:
        """Return an integer from ``low`` to ``high``, both included."""
        return int(self._rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        """Return true with this probability."""
        return bool(self._rng.random() < probability)

    def choice(self, options: Sequence[T]) -> T:
        """Return one of the options, all equally likely."""
        return options[self.integer(0, len(options) - 1)]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Return the items in an order drawn uniformly from all."""
        return [items[int(i)] for i in self._rng.permutation(len(items))]

    def seed(self) -> int:
        """Return a seed for an operation's own noise."""
        return int(self._rng.integers(0, 2**SEED_BITS))

    def colour(self, low: Colour, high: Colour) -> Colour:
        """Return a colour on the way from one to the other, each channel a little off it."""
        way = self.uniform(0, 1)
        red, green, blue = (
            round(min(max(a + (b - a) * way + self.uniform(-4, 4), 0.0), 255.0), 2)
            for a, b in zip(low, high, strict=True)
        )
        return red, green, blue
