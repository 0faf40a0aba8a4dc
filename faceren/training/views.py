"""The images of a step as the networks of the losses see them: computed once, used by several.

Shape letters: N batch, H and W pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

Phase = tuple[int, int]
GRID = 4
"""Stride of AlexNet's first layer, and of the pixel-unshuffle stem."""


@dataclass(frozen=True)
class View:
    """A batch of images and what AlexNet sees in it."""

    images: Tensor
    """(N, 3, H, W), not clamped."""
    cut: Tensor
    """The same without some of the first rows and columns, see ``phase_of``."""
    maps: Sequence[Tensor] = ()
    """AlexNet's five maps of ``cut``; none if no loss needs them."""

    def detached(self) -> "View":
        """Return it without gradients."""
        maps = [x.detach() for x in self.maps]
        return View(self.images.detach(), self.cut.detach(), maps)


@dataclass(frozen=True)
class Trio:
    """The batches of a step, image by image of the same face."""

    output: View
    damaged: View
    clean: View

    def detached(self) -> "Trio":
        """Return it without gradients."""
        return Trio(self.output.detached(), self.damaged, self.clean)


@dataclass(frozen=True)
class Views:
    """Everything that the losses of a step look at."""

    all: Trio
    """All images."""
    whole: Tensor
    """(N,) bool, which of them show a whole face, aligned."""
    inner: Trio | None
    """Eyes, nose and mouth of those; None if no loss needs them."""
    eyes: Trio | None
    """Their eyes, enlarged; None if no loss needs them."""
    phase: Phase
    """By how many rows and columns they are cut."""

    def detached(self) -> "Views":
        """Return it without gradients."""
        inner, eyes = (part and part.detached() for part in (self.inner, self.eyes))
        return Views(self.all.detached(), self.whole, inner, eyes, self.phase)


def phase_of(step: int) -> Phase:
    """Return by how many rows and columns a step's images are cut: all 16 pairs in turn.

    AlexNet looks at every fourth pixel, always in the same places. A network that makes its pixels
    in blocks of four learns to please it in these places alone; so they move.
    """
    return step % GRID, step // GRID % GRID


def moved(images: Tensor, phase: Phase) -> Tensor:
    """Return images (N, 3, H, W) without their first rows and columns."""
    return images[:, :, phase[0] :, phase[1] :]
