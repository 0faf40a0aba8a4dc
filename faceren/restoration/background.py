"""Restore a whole photo, tile by tile, without a seam.

The network sees overlapping tiles. What it makes of a tile's rim is not used, as it could not see
beyond; inside the rim neighbouring tiles are blended into one another. Tiles start at multiples of
``ALIGNMENT``, as the network's coarse maps do, so that where a tile begins does not show.

Shape letters: H and W pixels of the photo, h of a band.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from faceren.arrays import Rgb
from faceren.images import Box
from faceren.images.page import Page
from faceren.restoration.network import RestoredOrError, without_errors

Restore = Callable[[Sequence[Rgb]], list[RestoredOrError]]
"""The network: pictures in, results of the same sizes out."""
ALIGNMENT = 64
"""Pixels; a multiple of the stride of every network."""
TILE = 832
"""Side of a tile in pixels; the last of a row or column is up to one ALIGNMENT longer."""
RIM = 128
"""Width in pixels of a tile's rim. The networks look 200 pixels far and more, but what lies beyond
the rim moves its result by a level or two of 255 at most."""
BLEND = 64
"""Width in pixels of the ramp inside the rim."""
STEP = TILE - 2 * RIM - BLEND


def tile_spans(length: int) -> list[tuple[int, int]]:
    """Return where tiles begin and end along one side of a photo of ``length`` pixels."""
    starts = [0]
    while starts[-1] + TILE + ALIGNMENT <= length:
        last = (length - TILE) // ALIGNMENT * ALIGNMENT
        starts.append(min(starts[-1] + STEP, last))
    return [(start, min(start + TILE, length)) for start in starts[:-1]] + [(starts[-1], length)]


def tile_weight(span: tuple[int, int], length: int) -> NDArray[np.float32]:
    """Return a tile's weight along one side: 0 on the rim, a ramp, 1 inside and at photo borders.

    Args:
        span: Where it begins and ends.
        length: Of the photo's side.
    """
    start, end = span
    places = np.arange(end - start, dtype=np.float32) + 0.5
    rising = (places - RIM) / BLEND if start > 0 else np.ones_like(places)
    falling = (end - start - places - RIM) / BLEND if end < length else np.ones_like(places)
    return np.clip(np.minimum(rising, falling), 0, 1)


def background_bands(page: Page, restore: Restore) -> Iterator[tuple[Box, Rgb]]:
    """Yield what the network changes in a page, in bands from the top: a box and (h, W, 3).

    A band may be written into the page before the next is asked for: the rows that later tiles
    read are below it. Memory grows with the page's width, not with its height.

    Args:
        page: The page as it is seen.
        restore: The network.

    Raises:
        FaceError: If the network fails for a tile.
    """
    height, width = page.upright_shape
    rows, columns = tile_spans(height), tile_spans(width)
    across = [tile_weight(span, width) for span in columns]
    pending = np.zeros((0, width, 4), np.float32)  # weighted changes and weights of shared rows
    for index, (top, bottom) in enumerate(rows):
        sums = np.zeros((bottom - top, width, 4), np.float32)
        sums[: len(pending)] = pending
        down = tile_weight((top, bottom), height)
        tiles = [page.upright_region((left, top, right, bottom)) for left, right in columns]
        restored = without_errors(restore(tiles))
        for (left, right), weight, tile, new in zip(columns, across, tiles, restored, strict=True):
            mask = (down[:, None] * weight)[..., None]
            sums[:, left:right, :3] += mask * (new.pixels - tile)
            sums[:, left:right, 3:] += mask
        last = index + 1 == len(rows)
        final = bottom - top if last else rows[index + 1][0] - top
        done, pending = sums[:final], sums[final:]
        difference = done[..., :3] / np.maximum(done[..., 3:], np.float32(1e-6))
        yield (0, top, width, top + final), np.asarray(difference, np.float32)
