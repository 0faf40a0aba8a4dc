"""Put restored faces back into their photo, in bands from the top; or restore it whole, in tiles.

What is pasted is the *difference* between the restored crop and the crop, resampled to the photo's
own pixels: where the network changes nothing, nothing changes, and detail finer than the crop's
resolution stays. Only the faces that a band touches are in photo pixels at a time, so that memory
does not grow with their number. Pixels are float32 RGB in [0, 1], (h, w, 3).

The network sees overlapping tiles. What it makes of a tile's rim is not used, as it could not see
beyond; inside the rim neighbouring tiles are blended into one another. Tiles start at multiples of
``ALIGNMENT``, as the network's coarse maps do, so that where a tile begins does not show.

Shape letters: H and W pixels of the photo, h of a band.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from faceren.arrays import LUMA, Matrix, Plane, Rgb
from faceren.faces.alignment import inverse, laid_back
from faceren.faces.tools import Parse
from faceren.images import Box, Photo
from faceren.images.page import Page
from faceren.restoration.crops import FaceCrop
from faceren.restoration.stream import NetworkResultOrError, without_errors

Restore = Callable[[Sequence[Rgb]], list[NetworkResultOrError]]
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


FEATHER = 0.25
"""Width of the mask's soft edge, as a share of half the crop's side."""
OUTLINE = 0.015
"""Width of an outline's soft edge, as a share of the crop's side."""
SMALLEST = 1e-4
"""Mask below which a blend in light differs from any other by less than a float's rounding."""
OWN = 6
"""Power of the masks by which overlapping crops share a pixel: high, so that each face is its own
crop's, and not so high that a seam shows."""
LEAST_SHARE = 1e-30
"""Keeps the shares of pixels that no mask touches from being divided by zero."""
BAND = 256
"""Rows that are merged at a time."""
CACHED = 32
"""Rows of a mask that are computed at a time: their steps stay in the processor's cache."""

Patch = NDArray[np.float32]
"""(h, w, 4), what a face adds to the photo pixels in its crop's box, and its mask: in [0, 1], zero
at the crop's border and beyond."""


def across(matrix: Matrix, size: int, box: Box) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how far the pixels of a box are across and down a crop: -1 to 1 inside it.

    Args:
        matrix: (2, 3) transform to crop pixels.
        size: Side of the crop in pixels.
        box: x0, y0, x1, y1.
    """
    x, y = np.arange(box[0], box[2]), np.arange(box[1], box[3])
    turn, centre = matrix[:, :2] * (2 / size), (matrix[:, 2] + 0.5) * (2 / size) - 1
    u = turn[0, 0] * x[None, :] + turn[0, 1] * y[:, None] + centre[0]
    v = turn[1, 0] * x[None, :] + turn[1, 1] * y[:, None] + centre[1]
    return u, v


def face_mask(matrix: Matrix, size: int, shape: tuple[int, int]) -> Plane:
    """Return the soft mask of a crop in photo pixels: 1 over face and hair, 0 outside the crop.

    A superellipse inscribed in the crop, so that no square shows and little hair is cut. It is
    evaluated, not resampled, so it is exactly zero for pixels outside the crop.

    Args:
        matrix: (2, 3) transform from these photo pixels to crop pixels.
        size: Side of the crop in pixels.
        shape: Height and width of the mask.
    """
    mask = np.empty(shape, np.float32)
    for top in range(0, shape[0], CACHED):
        bottom = min(top + CACHED, shape[0])
        u, v = across(matrix, size, (0, top, shape[1], bottom))
        u, v = u * u, v * v
        radius = np.sqrt(np.sqrt(u * u + v * v))  # powers by multiplication: others are slow
        ramp = np.clip((1 - radius) / FEATHER, 0, 1)
        mask[top:bottom] = ramp * ramp * (3 - 2 * ramp)
    return mask


def patch_of(crop: FaceCrop, difference: Rgb, seen: Rgb, outline: Plane | None = None) -> Patch:
    """Return what a restored face adds to its photo.

    Args:
        crop: The face as it was cut.
        difference: (S, S, 3), to add to the crop; the same in all channels where
            ``crop.luminance_only``, and that it stays.
        seen: (h, w, 3), the photo's pixels in ``crop.box``.
        outline: (S, S), 1 where the head is; None: the ellipse alone is the mask.
    """
    x0, y0, x1, y1 = crop.box
    back = inverse(crop.matrix)
    back = np.column_stack([back[:, :2], back[:, 2] - [x0, y0]])
    size = (y1 - y0, x1 - x0)
    mask = face_mask(inverse(back), crop.size, size)
    if outline is not None:
        mask = mask * np.clip(laid_back(softened(outline), back, size), 0, 1)
    if crop.luminance_only:
        (change,) = in_light([seen @ LUMA], [laid_back(difference[..., 0], back, size)], mask)
        return np.asarray(cv2.merge([change, change, change, mask]), np.float32)
    changes = in_light(cv2.split(seen), cv2.split(laid_back(difference, back, size)), mask)
    return np.asarray(cv2.merge([*changes, mask]), np.float32)


def softened(outline: Rgb) -> Rgb:
    """Return an outline, (S, S), a little wider and with a soft edge."""
    edge = OUTLINE * len(outline)
    wider = cv2.GaussianBlur(outline, (0, 0), 2 * edge) > 0.1
    return np.asarray(cv2.GaussianBlur(wider.astype(np.float32), (0, 0), edge), np.float32)


def in_light(seen: Sequence[Plane], difference: Sequence[Plane], mask: Plane) -> Iterator[Plane]:
    """Yield the difference that, times the mask, blends photo and restored face as light mixes.

    Only where the mask is soft does that differ from the difference itself.

    Args:
        seen: Channels of the photo, (h, w) each, sRGB.
        difference: To add to them.
        mask: (h, w).
    """
    soft = np.flatnonzero((mask > SMALLEST) & (mask < 1))
    share = mask.take(soft)
    for plane, added in zip(seen, difference, strict=True):
        before, change = plane.take(soft), added.take(soft)
        after = np.clip(before + change, 0, 1)
        mixed = to_srgb(from_srgb(before) * (1 - share) + from_srgb(after) * share)
        blended = added.copy()
        blended.put(soft, np.where(change == 0, 0, (mixed - before) / share))
        yield blended


def from_srgb(values: Rgb) -> Rgb:
    """Return the amount of light that sRGB values in [0, 1] mean (IEC 61966-2-1)."""
    power = ((values + 0.055) / 1.055) ** 2.4
    return np.asarray(np.where(values <= 0.04045, values / 12.92, power), np.float32)


def to_srgb(light: Rgb) -> Rgb:
    """Return the sRGB values of an amount of light in [0, 1]; the inverse of ``from_srgb``."""
    power = 1.055 * light ** (1 / 2.4) - 0.055
    return np.asarray(np.where(light <= 0.0031308, light * 12.92, power), np.float32)


def total_in(patches: Sequence[tuple[Box, Patch]], band: Box) -> Patch:
    """Return what faces add in a band of a photo, (h, w, 3), and their share of each pixel.

    Where crops overlap, a face's own crop decides nearly alone what becomes of it, whatever its
    neighbours' crops hold; the order of faces does not matter, and pixels outside every mask get
    exactly zero.

    Args:
        patches: All that touch the band's rows, with their boxes; none may leave its columns.
        band: x0, y0, x1, y1.
    """
    left, top, right, bottom = band
    total = np.zeros((bottom - top, right - left, 4), np.float32)
    weight = np.zeros((bottom - top, right - left), np.float32)
    for (x0, y0, x1, y1), patch in patches:
        rows = slice(max(y0, top) - top, min(y1, bottom) - top)
        inner = slice(max(y0, top) - y0, min(y1, bottom) - y0)
        columns = slice(x0 - left, x1 - left)
        mask = patch[inner, :, 3]
        share = mask**OWN
        part = share * mask
        total[rows, columns] += patch[inner] * cv2.merge([part, part, part, share])
        weight[rows, columns] += share
    total /= cv2.merge([np.maximum(weight, LEAST_SHARE)] * 4)
    return total


class PastedFaces:
    """The faces of a page on their way into it: each made when a band first touches it.

    Args:
        photo: The photo, read only in the boxes of the faces, before the band there is written.
        page: Which of its pages.
        boxes: Where the crops lie.
        made: Returns a crop and what is added to it, (S, S, 3); asked for each once.
        parse: What outlines heads; None: masks are ellipses.
    """

    def __init__(
        self,
        photo: Photo,
        page: int,
        boxes: Sequence[Box],
        made: Callable[[int], tuple[FaceCrop, Rgb]],
        parse: Parse | None = None,
    ) -> None:
        self._page = photo.pages[page]
        self._boxes = boxes
        self._make = made
        self._parse = parse
        self._made: dict[int, Patch] = {}

    def bands(self) -> Iterator[tuple[Box, Rgb]]:
        """Yield what the faces change: boxes over the columns that any face touches."""
        if not self._boxes:
            return
        edges = np.array(self._boxes)
        left, right = int(edges[:, 0].min()), int(edges[:, 2].max())
        end = int(edges[:, 3].max())
        for top in range(int(edges[:, 1].min()), end, BAND):
            band = (left, top, right, min(top + BAND, end))
            if touching := self._touching(band):
                yield band, total_in(touching, band)[..., :3]

    def over(self, background: Iterable[tuple[Box, Rgb]]) -> Iterator[tuple[Box, Rgb]]:
        """Yield the changes of background and faces; in a face's mask its own change counts.

        Args:
            background: Bands as wide as the photo, from the top.
        """
        for band, change in background:
            total = total_in(self._touching(band), band)
            yield band, change * (1 - total[..., 3:]) + total[..., :3]

    def _touching(self, band: Box) -> list[tuple[Box, Patch]]:
        """Return the patches of the faces in a band; bands must come from the top."""
        for index, box in enumerate(self._boxes):
            if box[3] <= band[1]:
                self._made.pop(index, None)
            elif box[1] < band[3] and index not in self._made:
                crop, difference = self._make(index)
                outline = self._parse(crop.pixels + difference) if self._parse else None
                seen = self._page.upright_region(box)
                self._made[index] = patch_of(crop, difference, seen, outline)
        return [(self._boxes[index], self._made[index]) for index in sorted(self._made)]
