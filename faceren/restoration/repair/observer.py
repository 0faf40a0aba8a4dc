"""What a network that knows things sees at the places that the detector names.

A hem, a wire and a twig are as thin and light as a scratch; it takes knowledge of hems to tell
them apart. EfficientNet's has been learned from photographs of a thousand kinds of things. Of its
maps two weighed sums are taken, one under a place and one around it, and the mean of each over the
place's pixels speaks for a mark or against it.

Shape letters: H and W pixels of the page, h and w of a part of it, S sums, C channels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from faceren.arrays import Plane, Rgb8
from faceren.assets import asset
from faceren.graphs.efficientnet import (
    COARSEST,
    LAST_OF,
    PICTURE,
    observer_graph,
    outputs_of,
)
from faceren.graphs.session import Session, session_of
from faceren.images import Box
from faceren.restoration.repair.evidence import luma_of, part_of
from faceren.weights import WeightArray

WEIGHTS = "wear-observer"
TILE = 64 * COARSEST
"""Side of a tile in pixels, its rim included."""
RIM = 5 * COARSEST
"""Width in pixels of a tile's rim, which its neighbours give: no less than the network's reach."""
AROUND = (3, 24)
"""Distances in pixels from a place between which its surroundings are."""

Maps = NDArray[np.float16]


@dataclass(frozen=True)
class Seen:
    """What is seen on a page."""

    shape: tuple[int, int]
    """H and W."""
    maps: tuple[Maps, ...]
    """Each of a stride: (S, H / stride, W / stride), rounded up."""

    def meaning(self, box: Box, pixels: NDArray[np.bool_]) -> float:
        """Return what speaks for a mark at a place, as a part of a logit.

        Of the two sums of each map the first is for what lies under a place, the second for what
        lies around it.

        Args:
            box: Of the place.
            pixels: (h, w), which of the box.
        """
        under, around = self.means(box, pixels).reshape(2, -1, 2)
        return float(under[:, 0].sum() + around[:, 1].sum())

    def means(self, box: Box, pixels: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the means of all sums under a place, of each map, then around it.

        Args:
            box: Of the place.
            pixels: (h, w), which of the box.
        """
        box, pixels = part_of(box, pixels)
        x0, y0 = max(box[0] - AROUND[1], 0), max(box[1] - AROUND[1], 0)
        y1, x1 = (min(end + AROUND[1], n) for end, n in zip(box[:1:-1], self.shape, strict=True))
        inside = np.zeros((y1 - y0, x1 - x0), np.uint8)
        inside[box[1] - y0 : box[3] - y0, box[0] - x0 : box[2] - x0] = pixels
        away = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3)
        around = ((away >= AROUND[0]) & (away <= AROUND[1])).astype(np.uint8)
        return np.concatenate(
            [
                _mean(maps, stride, part, (x0, y0))
                for part in (inside, around)
                for maps, stride in zip(self.maps, LAST_OF.values(), strict=True)
            ]
        )


@dataclass(frozen=True)
class Observer:
    """The network, loaded; threads may share it."""

    session: Session
    sums: tuple[int, ...]
    """S of each stride."""

    def seen(self, image: Rgb8, candidates: NDArray[np.uint8]) -> Seen:
        """Return the maps of a page; they are 0 in tiles where nothing is named.

        Memory: a byte for three pixels if there are two sums, and a tile.

        Args:
            image: (H, W, 3).
            candidates: (H, W), 1 where a mark may be.

        Raises:
            MachineError: If memory is short.
        """
        height, width = image.shape[:2]
        maps = tuple(
            np.zeros((count, -(-height // stride), -(-width // stride)), np.float16)
            for count, stride in zip(self.sums, LAST_OF.values(), strict=True)
        )
        step, reach = TILE - 2 * RIM, AROUND[1]
        for top in range(0, height, step):
            for left in range(0, width, step):
                bottom, right = min(top + step, height), min(left + step, width)
                y0, x0 = max(top - reach, 0), max(left - reach, 0)
                if not candidates[y0 : bottom + reach, x0 : right + reach].any():
                    continue
                y0, x0 = max(top - RIM, 0), max(left - RIM, 0)
                seen = luma_of(image[y0 : bottom + RIM, x0 : right + RIM])
                found = self.looked(seen / np.float32(255))
                for whole, part, s in zip(maps, found, LAST_OF.values(), strict=True):
                    y, x, rows, columns = top // s, left // s, -(-bottom // s), -(-right // s)
                    inner = part[:, y - y0 // s : rows - y0 // s, x - x0 // s : columns - x0 // s]
                    whole[:, y:rows, x:columns] = inner
        return Seen((height, width), maps)

    def looked(self, gray: Plane) -> list[NDArray[np.float32]]:
        """Return the maps of a picture, of each stride (S, h / stride, w / stride).

        Its sides are made multiples of ``COARSEST`` first, by its last rows and columns.

        Args:
            gray: (h, w) luma in [0, 1].
        """
        more = [(0, -side % COARSEST) for side in gray.shape]
        padded = np.pad(gray, more, "edge")
        maps = self.session.run({PICTURE: np.ascontiguousarray(padded[None, None], np.float32)})
        return [part[0] for part in maps]


@cache
def load_observer() -> Observer:
    """Load the shipped network.

    Raises:
        MachineError: If its weights or ONNX Runtime are missing or damaged.
    """
    arrays = load_file(asset(WEIGHTS))
    return observer_of(arrays)


def observer_of(arrays: Mapping[str, WeightArray]) -> Observer:
    """Return a network, ready to look.

    Args:
        arrays: See ``observer_graph``.

    Raises:
        MachineError: If ONNX Runtime is missing, or refuses them.
    """
    outputs = outputs_of(arrays)
    sums = tuple(int(sides[1]) for sides in outputs.values())
    return Observer(session_of(observer_graph(arrays), outputs), sums)


def _mean(
    maps: Maps, stride: int, part: NDArray[np.uint8], corner: tuple[int, int]
) -> NDArray[np.float64]:
    """Return the mean of each sum over pixels of a part, (S,); 0 if there is none.

    Args:
        maps: (S, H / stride, W / stride).
        stride: Pixels from one of their columns to the next.
        part: (h, w), 1 where pixels count.
        corner: Left and top of the part.
    """
    left, top = corner[0] % stride, corner[1] % stride
    below, right = -(top + part.shape[0]) % stride, -(left + part.shape[1]) % stride
    cells = np.pad(part, ((top, below), (left, right)))
    rows, columns = (side // stride for side in cells.shape)
    counts = cells.reshape(rows, stride, columns, stride).sum((1, 3), dtype=np.float64)
    x, y = corner[0] // stride, corner[1] // stride
    there = maps[:, y : y + rows, x : x + columns].astype(np.float64)
    return np.asarray(np.tensordot(there, counts, 2) / max(counts.sum(), 1))
