"""Everything that is to change in a photo, faces and background, in bands from the top.

Only the faces that a band touches are in photo pixels at a time, so that memory does not grow with
their number. Pixels are float32 RGB, (h, w, 3).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from faceren.images import Box
from faceren.restoration.paste import Change, total_in

Pixels = NDArray[np.float32]
BAND = 256
"""Rows that are merged at a time."""


class FaceChanges:
    """The changes of a photo's faces: made when a band first touches them, then dropped.

    Args:
        boxes: Where each face changes the photo.
        change: Makes the change of the face of an index; reads only photo pixels in its box.
    """

    def __init__(self, boxes: Sequence[Box], change: Callable[[int], Change]) -> None:
        self._boxes = boxes
        self._change = change
        self._made: dict[int, Change] = {}

    def bands(self) -> Iterator[tuple[Box, Pixels]]:
        """Yield what the faces change: boxes over the columns that any face touches."""
        if not self._boxes:
            return
        edges = np.array(self._boxes)
        left, right = int(edges[:, 0].min()), int(edges[:, 2].max())
        end = int(edges[:, 3].max())
        for top in range(int(edges[:, 1].min()), end, BAND):
            box = (left, top, right, min(top + BAND, end))
            if touching := self._touching(box):
                yield box, total_in(touching, box)

    def over(self, background: Iterable[tuple[Box, Pixels]]) -> Iterator[tuple[Box, Pixels]]:
        """Yield the changes of background and faces; in a face's mask its own change counts.

        Args:
            background: Bands as wide as the photo, from the top.
        """
        for box, change in background:
            touching = self._touching(box)
            if not touching:
                yield box, change
                continue
            whole = [replace(c, difference=np.ones_like(c.difference)) for c in touching]
            yield box, change * (1 - total_in(whole, box)) + total_in(touching, box)

    def _touching(self, band: Box) -> list[Change]:
        """Return the changes of the faces in a band; bands must come from the top."""
        for index, (_, top, _, bottom) in enumerate(self._boxes):
            if bottom <= band[1]:
                self._made.pop(index, None)
            elif top < band[3] and index not in self._made:
                self._made[index] = self._change(index)
        return [self._made[index] for index in sorted(self._made)]
