"""How the images of a step are divided among processes and passes, so that their sum is the step.

A loss is a mean over the images of a step, or over the whole faces among them. Each pass adds the
mean of its own images times their share, so what is minimised depends neither on the number of
processes nor on how many images fit into a GPU's memory at once.
"""

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Portion:
    """Some of a step's images, in their order."""

    first: int
    """Number of the first of them, from 0."""
    count: int
    """How many; 0 for a process that has none, and looks at one of another's in vain."""
    total: int
    """How many the step has."""

    @property
    def share(self) -> float:
        """Return what their mean weighs in that of the step, in [0, 1]."""
        return self.count / self.total if self.total else 0.0

    @classmethod
    def all_of(cls, count: int) -> "Portion":
        """Return the portion of a step that is done in one pass."""
        return cls(0, count, count)


def divided(total: int, processes: int, passes: int) -> list[list[Portion]]:
    """Return the portions of a step by process and pass, in order, as equal as can be.

    Args:
        total: Images of the step, at least 1.
        processes: How many share them.
        passes: How many passes a process makes at most; with fewer images it makes fewer, all
            processes alike.
    """
    passes = min(passes, -(-total // processes))
    edges = [total * k // (processes * passes) for k in range(processes * passes + 1)]
    flat = [Portion(min(low, total - 1), high - low, total) for low, high in pairwise(edges)]
    return [flat[start : start + passes] for start in range(0, len(flat), passes)]


def numbered(counts: list[list[int]], process: int) -> list[Portion]:
    """Return the portions of one process of what only some images have, by pass.

    Args:
        counts: How many of each process and pass have it, in the order of the images.
        process: Whose portions.
    """
    total = sum(map(sum, counts))
    first = sum(map(sum, counts[:process]))
    found = []
    for count in counts[process]:
        found.append(Portion(first, count, total))
        first += count
    return found
