"""A second look at what the detector names: what tells a mark from a thing in the picture.

A mark lies on the print: its rim is sharper than what the lens drew, it is lighter or darker than
nearly all of the picture, thin for its length, its ground goes on behind it, and nothing near it is
as light or dark, as the rest of a line is of which the detector names a piece. Each of these is
measured, and a logistic function of the measures says how likely a component is a mark. Views of
the detector at other scales and turned were tried as further measures and told nothing more.

Shape letters: H and W pixels of the page, h and w of a component, n pixels of it.
"""

from dataclasses import dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray

from faceren.arrays import LUMA, Plane, Rgb8
from faceren.images import Box

SAMPLES = 400
"""Pixels of a component at which its contrast is measured."""
LARGEST = 2048
"""Side in pixels of the part that stands for a larger component."""
UPPER = 75
"""Percentile that stands for a component's own tone and rim: half of what is marked is ground."""
SPECK = 6
"""Longest side in pixels of a speck's box."""
AROUND = 16
"""Pixels around a speck that have to be smooth."""
SMOOTH = 6.0
"""Levels from their median within which 95 % of smooth ground is."""
STANDS_OUT = 2.0
"""A speck differs from its ground so many times as much as all but 1 % of the ground does."""
NEARBY = (3.0, 9.0)
"""Distances in pixels from a component between which its surroundings are."""
LIKE_IT = 6
"""Pixels there that are most like it: a line of two pixels that goes on has as many at one end."""
UPMOST = 97
"""Percentile of what stands out there."""
LEAST_OWN = 4.0
"""Levels that a component is taken to differ by at least, so that quotients stay small."""
FEW = 20
"""Pixels of surroundings below which nothing is known of them, and ``UNKNOWN`` is supposed."""
UNKNOWN = (0.3, 0.3, 3.0)
"""About the median of components that are no marks."""
RIM = 1
"""Pixels by which a mark is wider than what the detector names: half of its rim is not named."""
WIDEST_RIM = 2
"""The same of a mark around which a scanner's sharpening has drawn a halo."""
HALO = 3.0
"""Levels by which a ring around a mark differs from the ground beyond, from which it is halo."""
BEYOND = 6.0
"""Sigma in pixels of the Gaussian by which that ground is found."""
BAND = 256
"""Rows that are looked at together."""

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Ground:
    """A page, as its components are measured on it."""

    image: Rgb8
    """(H, W, 3)."""
    candidates: NDArray[np.uint8]
    """(H, W), 1 where a mark may be."""
    below: NDArray[np.float64]
    """(256,), the share of the page's pixels whose luma is a level or less."""


@dataclass(frozen=True)
class Evidence:
    """What is measured of a component, as logarithms or logits."""

    certainty: float
    """The detector's, mean over the component."""
    width: float
    """Of its widest place, pixels."""
    span: float
    """Diagonal of its box, of the page's shorter side."""
    busy: float
    """Share of fine details around it."""
    sides: float
    """Levels by which its two sides differ from one another."""
    edge: float
    """Levels a pixel at its rim."""
    rare: float
    """Share of the page's pixels that are lighter (of a dark component: darker) than it."""
    contrast: float
    """Levels by which it differs from its sides."""
    rivals: float
    """How much the few pixels near it that are most like it stand out, of its own difference; as it
    is, no logarithm, 3 at most."""
    stir: float
    """The same of a thirtieth of the pixels near it."""
    rough: float
    """Mean difference of the pixels near it from their median, levels."""
    meaning: float
    """What the network of ``observer`` says, part of a logit already."""


WEIGHTS = Evidence(
    certainty=1.033,
    width=0.046,
    span=0.872,
    busy=-0.348,
    sides=-0.730,
    edge=2.038,
    rare=-0.228,
    contrast=-0.135,
    rivals=-1.462,
    stir=1.012,
    rough=0.364,
    meaning=1.0,
)
"""Fitted as ``python -m tests.restoration.repair.fit_evidence`` does; the detector's card says on
which pictures."""
BIAS = -12.950


def ground_of(image: Rgb8, candidates: NDArray[np.uint8]) -> Ground:
    """Return what a page's components are measured on.

    Args:
        image: (H, W, 3).
        candidates: (H, W), 1 where a mark may be.
    """
    counts = np.zeros(256, np.int64)
    for top in range(0, len(image), BAND):
        counts += np.bincount(luma_of(image[top : top + BAND]).astype(np.uint8).ravel(), None, 256)
    return Ground(image, candidates, np.cumsum(counts) / counts.sum())


def likelihood(evidence: Evidence) -> float:
    """Return how likely a component is a mark on the print, in [0, 1]."""
    weighed = (getattr(WEIGHTS, f.name) * getattr(evidence, f.name) for f in fields(Evidence))
    return float(1 / (1 + np.exp(-BIAS - sum(weighed))))


def gathered(
    ground: Ground,
    box: Box,
    pixels: NDArray[np.bool_],
    *,
    certainty: float,
    width: float,
    busy: float,
    meaning: float,
) -> tuple[Evidence, float]:
    """Measure a component; return that, and by how many levels it differs from its sides.

    The difference is negative if it is darker.

    Args:
        ground: Its page.
        box: Of the component.
        pixels: (h, w), which of the box.
        certainty: The detector's, mean, in [0, 1].
        width: Of its widest place, pixels.
        busy: Share of fine details around it, in [0, 1].
        meaning: What the network of ``observer`` says.
    """
    span = np.hypot(*pixels.shape) / min(ground.image.shape[:2])
    box, pixels = part_of(box, pixels)
    reach = max(int(np.ceil(width)) + 4, int(NEARBY[1]))
    y0, x0 = max(box[1] - reach, 0), max(box[0] - reach, 0)
    there = np.s_[y0 : box[3] + reach, x0 : box[2] + reach]
    luma = luma_of(ground.image[there])
    inside = np.zeros(luma.shape, np.uint8)
    inside[box[1] - y0 : box[3] - y0, box[0] - x0 : box[2] - x0] = pixels
    contrast, sides = _contrast(luma, ground.candidates[there], inside, width)
    level = np.percentile(luma[inside > 0], UPPER if contrast >= 0 else 100 - UPPER)
    share = float(ground.below[int(np.clip(level if contrast >= 0 else level - 1, 0, 255))])
    rivals, stir, rough = _surroundings(luma, ground.candidates[there], inside, contrast)
    evidence = Evidence(
        certainty=float(np.log((certainty + 0.01) / (1.01 - certainty))),
        width=float(np.log1p(width)),
        span=float(np.log(span + 0.003)),
        busy=float(np.log(busy + 0.01)),
        sides=float(np.log1p(sides)),
        edge=float(np.log1p(_edge(luma, inside))),
        rare=float(np.log((1 - share if contrast >= 0 else share) + 0.003)),
        contrast=float(np.log1p(max(abs(contrast), LEAST_OWN))),
        rivals=rivals,
        stir=stir,
        rough=float(np.log1p(rough)),
        meaning=meaning,
    )
    return evidence, contrast


def alone(ground: Ground, box: Box, pixels: NDArray[np.bool_], contrast: float) -> bool:
    """Return whether a component is a speck alone on smooth ground: sky, a wall, a plate's rim.

    There hardly anything is in a picture that small, while dust is mostly seen there.

    Args:
        ground: Its page.
        box: Of the component.
        pixels: (h, w), which of the box.
        contrast: Levels by which it differs from its sides.
    """
    if max(pixels.shape) > SPECK:
        return False
    y0, x0 = max(box[1] - AROUND, 0), max(box[0] - AROUND, 0)
    luma = luma_of(ground.image[y0 : box[3] + AROUND, x0 : box[2] + AROUND])
    inside = np.zeros(luma.shape, np.uint8)
    inside[box[1] - y0 : box[3] - y0, box[0] - x0 : box[2] - x0] = pixels
    around = luma[cv2.dilate(inside, _square(2)) == 0]
    most, all_but_few = np.percentile(np.abs(around - np.median(around)), (95, 99))
    return bool(most <= SMOOTH and abs(contrast) >= STANDS_OUT * (all_but_few + 2))


def rim_of(ground: Ground, box: Box, pixels: NDArray[np.bool_], contrast: float) -> int:
    """Return how many pixels around a component belong to its mark, RIM to WIDEST_RIM.

    Sharpened, a white mark has a dark halo, and a dark one a white; what would be drawn from there
    into the gap is darker than the ground, and is seen.

    Args:
        ground: Its page.
        box: Of the component.
        pixels: (h, w), which of the box.
        contrast: Levels by which it differs from its sides.
    """
    box, pixels = part_of(box, pixels)
    reach = WIDEST_RIM + round(2 * BEYOND)
    y0, x0 = max(box[1] - reach, 0), max(box[0] - reach, 0)
    there = np.s_[y0 : box[3] + reach, x0 : box[2] + reach]
    luma, named = luma_of(ground.image[there]), ground.candidates[there]
    inside = np.zeros(luma.shape, np.uint8)
    inside[box[1] - y0 : box[3] - y0, box[0] - x0 : box[2] - x0] = pixels
    free = (cv2.dilate(inside | named, _square(WIDEST_RIM + 1)) == 0).astype(np.float32)
    known = cv2.GaussianBlur(free, (0, 0), BEYOND)
    beyond = cv2.GaussianBlur(luma * free, (0, 0), BEYOND) / np.maximum(known, 1e-6)
    clear = (cv2.dilate(named & ~inside & 1, _square(WIDEST_RIM)) == 0) & (known > 0.01)
    for rim in range(RIM, WIDEST_RIM):
        ring = cv2.dilate(inside, _square(rim + 1)) > cv2.dilate(inside, _square(rim))
        off = (luma - beyond)[ring & clear]
        # by less than the median, since of an edge one side alone is off
        if not len(off) or np.percentile(-np.sign(contrast) * off, 40) <= HALO:
            return rim
    return WIDEST_RIM


def _square(reach: int) -> NDArray[np.uint8]:
    return np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)


def luma_of(image: Rgb8) -> Plane:
    """Return the luma of a picture or a view of one, (H, W) float32, levels."""
    # a turned view has strides that OpenCV does not know
    return np.asarray(cv2.transform(np.ascontiguousarray(image, np.float32), LUMA[None]))


def part_of(box: Box, pixels: NDArray[np.bool_]) -> tuple[Box, NDArray[np.bool_]]:
    """Return a component, of a very large one what lies around the middle one of its pixels.

    Args:
        box: Of the component.
        pixels: (h, w), which of the box.
    """
    if max(pixels.shape) <= LARGEST:
        return box, pixels
    rows, columns = np.nonzero(pixels)
    middle = len(rows) // 2
    top, left = max(rows[middle] - LARGEST // 2, 0), max(columns[middle] - LARGEST // 2, 0)
    part = pixels[top : top + LARGEST, left : left + LARGEST]
    x0, y0 = box[0] + int(left), box[1] + int(top)
    return (x0, y0, x0 + part.shape[1], y0 + part.shape[0]), part


def _edge(luma: Plane, inside: NDArray[np.uint8]) -> float:
    """Return how steep the rim of a component is, levels a pixel."""
    across, down = (cv2.Sobel(luma, cv2.CV_32F, *way, scale=1 / 8) for way in ((1, 0), (0, 1)))
    rim = cv2.dilate(inside, _square(1)) > cv2.erode(inside, _square(1), borderValue=0)
    return float(np.percentile(cv2.magnitude(across, down)[rim], UPPER))


def _surroundings(
    luma: Plane, candidates: NDArray[np.uint8], inside: NDArray[np.uint8], contrast: float
) -> tuple[float, float, float]:
    """Return what is near a component: rivals, stir and mean difference, see ``Evidence``."""
    away = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    others = cv2.dilate(candidates & (1 - inside), _square(2))
    near = luma[(away >= NEARBY[0]) & (away <= NEARBY[1]) & (others == 0)]
    if len(near) < FEW:
        return UNKNOWN
    off = near - np.median(near)
    like = np.sort(off if contrast >= 0 else -off) / max(abs(contrast), LEAST_OWN)
    rivals, stir = np.clip((like[-LIKE_IT:].mean(), np.percentile(like, UPMOST)), 0, 3)
    return float(rivals), float(stir), float(np.abs(off).mean())


def _contrast(
    luma: Plane, candidates: NDArray[np.uint8], inside: NDArray[np.uint8], width: float
) -> tuple[float, float]:
    """Return by how many levels a component differs from its sides, and they from one another.

    At each of some of its pixels the two sides are looked for in four directions, just beyond the
    mark; the nearest pair counts. The pixels that differ most are the mark, the others its rim.
    """
    far = int(np.ceil(width)) + 2
    margin = far + 1
    padded = cv2.copyMakeBorder(luma, *(margin,) * 4, cv2.BORDER_REPLICATE)
    known = cv2.copyMakeBorder(candidates, *(margin,) * 4, cv2.BORDER_CONSTANT, value=1) == 0
    rows, columns = np.nonzero(inside)
    step, stride = max(1, len(rows) // SAMPLES), padded.shape[1]
    places = (rows[::step] + margin) * stride + columns[::step] + margin
    tones, free = padded.ravel(), known.ravel()
    best = np.full(len(places), np.inf)
    difference, between = np.zeros(len(places)), np.zeros(len(places))
    for move, length in ((1, 1), (stride, 1), (stride + 1, np.sqrt(2)), (stride - 1, np.sqrt(2))):
        near, there = _beyond(tones, free, places, move, far)
        back, opposite = _beyond(tones, free, places, -move, far)
        across = (near + back) * length
        nearer = across < best
        best[nearer] = across[nearer]
        difference[nearer] = (tones[places] - (there + opposite) / 2)[nearer]
        between[nearer] = np.abs(there - opposite)[nearer]
    found = np.isfinite(best)
    if not found.any():
        return 0.0, 0.0
    difference, between = difference[found], between[found]
    sign = 1 if difference.mean() >= 0 else -1
    core = sign * difference >= np.median(sign * difference)
    return sign * float(np.percentile(sign * difference, UPPER)), float(np.median(between[core]))


def _beyond(
    tones: NDArray[np.float32], free: NDArray[np.bool_], places: Indices, move: int, far: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how many steps it is from places to the first free one, and the tone there."""
    steps, values = np.full(len(places), np.inf), np.zeros(len(places))
    open_ = np.arange(len(places))
    for number in range(1, far + 1):
        at = places[open_] + number * move
        out = free[at]
        found, first = open_[out], at[out]
        steps[found] = number
        # the rim of a mark is half of it: one pixel further, if that is free, too
        values[found] = tones[np.where(free[first + move], first + move, first)]
        open_ = open_[~out]
        if not len(open_):
            break
    return steps, values
