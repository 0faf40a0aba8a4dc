"""Prints as they lie in drawers, and which of their pixels are damaged: what a detector learns.

Lengths are in pixels of the scan, whatever it shows: a crack is as wide as it is, and a scan of a
large print has more pixels. A third of the pictures has no mark at all, and many have what looks
like one and is none: writing, fingerprints, tape, stains.
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from faceren.arrays import Rgb8
from faceren.config import Mark
from faceren.degradation import ageing, presets
from faceren.degradation.ageing import BLACK, WHITE, Operations
from faceren.degradation.degradation import Degradation
from faceren.degradation.pixels import Colour, Sampler
from faceren.degradation.prints import Halftone, PaperTexture
from faceren.degradation.tears import (
    Cracks,
    Fingerprint,
    Flaking,
    Tape,
    TornCorner,
    Writing,
)
from faceren.degradation.wear import Crease, Dust, Foxing, Hairs, Scratches, WaterStain

CLEAN = 0.33
"""Share of the pictures that have no mark."""
SEEN = 10
"""Levels by which a mark changes a pixel that is to be repaired; fewer are hardly seen."""
FAINT = 4
"""Levels below which a pixel counts as untouched; what lies between counts as neither."""
NEITHER = 255
"""In a map of marks: a pixel that is neither damaged nor whole."""
WIDEST = 14.0
"""Pixels of the widest crack or scratch."""
MARKED = (Scratches, Crease, Dust, Hairs, WaterStain, Foxing)
MARKED += (Cracks, TornCorner, Flaking, Tape, Fingerprint, Writing)  # type: ignore[assignment]
"""Operations that say which pixels they hide."""


@dataclass(frozen=True)
class Worn:
    """A damaged picture and the truth about it."""

    image: Rgb8
    """(H, W, 3)."""
    marks: NDArray[np.uint8]
    """(H, W): the ``Mark`` of each pixel, or ``NEITHER``."""


def apply_traced(image: Rgb8, degradation: Degradation) -> Worn:
    """Return the degraded copy of an image, and which of its pixels are marked.

    A pixel is marked by an operation that hides some of it and changes a channel by more than
    ``SEEN`` levels; one that hides it later, as ink does a scratch, has the last word. What blurs,
    shrinks or compresses the picture afterwards moves no mark.

    Args:
        image: (H, W, 3) RGB; it is not changed.
        degradation: What to do.
    """
    result = image.copy()
    marks = np.zeros(image.shape[:2], np.uint8)
    for operation in degradation.operations:
        before, result = result, operation(result)
        if isinstance(operation, MARKED):
            red, green, blue = cv2.split(cv2.absdiff(result, before))
            change = cv2.max(cv2.max(red, green), blue)
            hidden = change > 0
            if isinstance(operation, Crease):  # alone in changing what it does not hide
                hidden &= operation.cover(*before.shape[:2]) > 0
            mark: Mark = operation.mark
            if mark is Mark.NONE:
                marks[hidden & (change > 3 * SEEN)] = Mark.NONE  # opaque enough to be what is seen
            else:
                marks[hidden & (change > SEEN)] = mark
                faint = hidden & (change > FAINT) & (change <= SEEN) & (marks == Mark.NONE)
                marks[faint] = NEITHER
    return Worn(result, marks)


def draw_worn(sampler: Sampler, unit: float) -> tuple[Operations, Operations]:
    """Return the tone and the damage of one print; ``unit`` is the size over 512."""
    return _tone(sampler, unit), [
        *_before(sampler),
        *_look_alikes(sampler),
        *([] if sampler.chance(CLEAN) else draw_marks(sampler)),
        *_scanned(sampler),
    ]


def draw_marks(sampler: Sampler) -> Operations:
    """Return one to four kinds of marks."""
    kinds = [_dust, _dust, _scratches, _scratches, _cracks, _crease, _flaking, _hairs, _torn]
    kinds = sampler.shuffled(kinds)
    return [step for kind in kinds[: sampler.integer(1, 4)] for step in kind(sampler)]


def _width(sampler: Sampler) -> float:
    """Return a width in pixels; as many are below 3 as above."""
    return max(1.0, round(WIDEST ** sampler.uniform(0, 1), 3))


def _length(sampler: Sampler) -> float:
    """Return the length of a line as a share of the longer side.

    What is learned from is a cutting: of most lines on a print it shows neither end.
    """
    return round(0.15 * 16 ** sampler.uniform(0, 1), 3)


def _paper(sampler: Sampler) -> Colour:
    """Return the white of paper, often the black of a scratched negative, seldom gray."""
    if sampler.chance(0.4):
        return sampler.colour(BLACK, (60.0, 55.0, 50.0))
    if sampler.chance(0.1):
        return sampler.colour((70.0, 70.0, 70.0), (200.0, 195.0, 185.0))
    return sampler.colour((200.0, 190.0, 170.0), (255.0, 255.0, 255.0))


def _dust(sampler: Sampler) -> Operations:
    return [
        Dust(
            count=round(60 ** sampler.uniform(0, 1)),
            size=round(0.8 * 8 ** sampler.uniform(0, 1), 3),
            opacity=sampler.uniform(0.35, 1.0),
            colour=_paper(sampler),
            seed=sampler.seed(),
        )
    ]


def _hairs(sampler: Sampler) -> Operations:
    return [
        Hairs(
            count=sampler.integer(1, 4),
            length=sampler.uniform(0.05, 0.3),
            opacity=sampler.uniform(0.5, 1.0),
            colour=_paper(sampler),
            seed=sampler.seed(),
        )
    ]


def _scratches(sampler: Sampler) -> Operations:
    width = _width(sampler)
    return [
        Scratches(
            count=sampler.integer(1, max(1, round(6 / width))),
            length=_length(sampler),
            thickness=max(1, round(width)),
            opacity=sampler.uniform(0.35, 1.0),
            colour=_paper(sampler),
            angle=sampler.choice([90.0, 0.0, sampler.uniform(-90, 90)]),
            spread=sampler.choice([4.0, 25.0, 90.0]),
            seed=sampler.seed(),
            period=round(4 ** sampler.uniform(0, 1) / 12, 4),
        )
    ]


def _cracks(sampler: Sampler) -> Operations:
    return [
        Cracks(
            count=sampler.integer(1, 3),
            length=_length(sampler),
            width=_width(sampler),
            branching=sampler.uniform(0.0, 0.4),
            opacity=sampler.uniform(0.6, 1.0),
            colour=_paper(sampler),
            seed=sampler.seed(),
        )
    ]


def _crease(sampler: Sampler) -> Operations:
    folds = ageing.crease(sampler, max(0.5, _width(sampler) / 4), _paper(sampler))
    return folds if sampler.chance(0.7) else folds + _crease(sampler)


def _flaking(sampler: Sampler) -> Operations:
    return [
        Flaking(
            share=round(0.15 * sampler.uniform(0.05, 1) ** 2, 6),
            size=round(2.0 * 8 ** sampler.uniform(0, 1), 3),
            opacity=sampler.uniform(0.7, 1.0),
            colour=_paper(sampler),
            seed=sampler.seed(),
        )
    ]


def _torn(sampler: Sampler) -> Operations:
    return [
        TornCorner(
            corner=sampler.choice([0, 1, 2, 3]),
            across=sampler.uniform(0.05, 0.35),
            down=sampler.uniform(0.05, 0.35),
            fray=round(sampler.uniform(0.5, 5), 3),
            paper=sampler.colour((215.0, 205.0, 185.0), (255.0, 255.0, 255.0)),
            behind=sampler.choice([WHITE, BLACK, sampler.colour(BLACK, WHITE)]),
            seed=sampler.seed(),
        )
    ]


def _look_alikes(sampler: Sampler) -> Operations:
    """Return what is no mark, in about half of the prints."""
    steps: Operations = []
    if sampler.chance(0.25):
        steps += [_writing(sampler) for _ in range(sampler.integer(1, 3))]
    if sampler.chance(0.08):
        steps.append(_fingerprint(sampler))
    if sampler.chance(0.08):
        steps.append(_tape(sampler))
    if sampler.chance(0.1):
        steps += ageing.foxing(sampler, 1.0)
    if sampler.chance(0.08):
        steps += ageing.water(sampler)
    return steps


def _writing(sampler: Sampler) -> Writing:
    dark = sampler.chance(0.7)
    return Writing(
        x=sampler.uniform(-0.2, 0.7),
        y=sampler.uniform(0.05, 1.0),
        angle=sampler.choice([0.0, sampler.uniform(-12, 12), sampler.uniform(-180, 180)]),
        letters=sampler.integer(3, 30),
        hand=sampler.choice([0, 1, 2, 3]),
        size=round(8 * 6 ** sampler.uniform(0, 1), 3),
        thickness=sampler.integer(1, 4),
        opacity=sampler.uniform(0.4, 1.0),
        colour=sampler.colour(BLACK, (60.0, 60.0, 110.0))
        if dark
        else sampler.colour((200.0, 200.0, 195.0), (255.0, 255.0, 255.0)),
        seed=sampler.seed(),
    )


def _fingerprint(sampler: Sampler) -> Fingerprint:
    return Fingerprint(
        x=sampler.uniform(0, 1),
        y=sampler.uniform(0, 1),
        size=round(sampler.uniform(25, 120), 3),
        pitch=round(sampler.uniform(4, 10), 3),
        opacity=sampler.uniform(0.1, 0.4),
        colour=_paper(sampler),
        seed=sampler.seed(),
    )


def _tape(sampler: Sampler) -> Tape:
    return Tape(
        x=sampler.uniform(0, 1),
        y=sampler.uniform(0, 1),
        angle=sampler.choice([0.0, 90.0, sampler.uniform(-180, 180)]),
        length=sampler.uniform(0.2, 1.5),
        width=round(sampler.uniform(12, 70), 3),
        opacity=sampler.uniform(0.3, 0.9),
        colour=sampler.colour((190.0, 160.0, 90.0), (240.0, 225.0, 180.0)),
    )


def _tone(sampler: Sampler, unit: float) -> Operations:
    """Return the tone of an old process, of film, or none."""
    kind = sampler.integer(0, 5)
    if kind == 0:
        return []
    if kind < 3:
        return [presets.panchromatic(sampler)]
    tones = (presets.albumen, presets.sepia, presets.gelatin)
    return sampler.choice(tones)(sampler, unit)


def _before(sampler: Sampler) -> Operations:
    """Return the lens and the grain: what the picture had before anything happened to it."""
    steps: Operations = []
    if sampler.chance(0.6):
        steps += ageing.softness(sampler, 1.0, low=0.3, high=3.0)
    if sampler.chance(0.6):
        steps += ageing.grain(sampler, 1.0, low=1, high=10)
    if sampler.chance(0.06):
        steps.append(
            Halftone(
                pitch=round(sampler.uniform(2.5, 9), 3),
                angle=sampler.choice([45.0, sampler.uniform(0, 90)]),
                softness=sampler.uniform(0.15, 0.6),
                gain=sampler.uniform(0.0, 0.1),
                ink=sampler.colour((10, 10, 10), (72, 66, 60)),
                paper=sampler.colour((215, 205, 185), (255, 255, 255)),
            )
        )
    if sampler.chance(0.15):
        kind: Literal["fibre", "silk"] = sampler.choice(["fibre", "silk"])
        steps.append(
            PaperTexture(
                kind=kind,
                strength=sampler.uniform(1.5, 8),
                period=round(sampler.uniform(2.5, 9), 3),
                seed=sampler.seed(),
            )
        )
    return steps


def _scanned(sampler: Sampler) -> Operations:
    """Return what the scanner did, to marks as well."""
    steps: Operations = []
    if sampler.chance(0.6):
        steps += ageing.softness(sampler, 1.0, low=0.3, high=1.0)
    if sampler.chance(0.7):
        steps += ageing.scan(sampler, 1.0, low=0.6)
    return steps
