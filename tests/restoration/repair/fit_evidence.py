"""Fit the weights of ``restoration.repair.evidence`` anew.

``python -m tests.restoration.repair.fit_evidence FOLDER… --things FOLDER…`` takes clean pictures,
none of which the detector was trained on. Each is looked at as it is, worn by the task ``worn``,
and every fifth with each kind of mark of ``benchmark --suite repair`` over it. What is named there
is a mark if most of its pixels were drawn. Of ``--things``, real photographs, all that is named is
a thing, but for specks alone on smooth ground, of which nobody knows; a folder given twice counts
twice. It prints the weights, and what they find at some likelihoods in pictures that were left out,
fold by fold. The shipped ones are of 89 pictures (55 faces, 34 other things) with other draws of
the same marks, and as things 75 portraits of members of the US Congress and, four times, six
historic photographs: without these a pince-nez's cord is a mark.
"""

import argparse
from dataclasses import astuple, fields
from pathlib import Path

import cv2
import numpy as np

from faceren.bench.quality.repair import KINDS, NEAR, drawn
from faceren.config import Mark
from faceren.degradation import NEITHER, Degradation, apply, apply_traced, item_seed
from faceren.degradation.pixels import Sampler
from faceren.degradation.presets import panchromatic
from faceren.degradation.worn import draw_worn
from faceren.images import read_rgb
from faceren.images.page import Page, upright_view
from faceren.restoration.repair.evidence import Evidence
from faceren.restoration.repair.finder import load_finder
from faceren.restoration.repair.gates import LEAST_CONTRAST, named
from faceren.restoration.repair.sighting import sighted
from faceren.restoration.repair.texture import no_photo

SHORTER = 700
"""Pixels to which the shorter side of larger pictures is brought."""
EVERY = 5
"""Of so many pictures one is drawn over with each kind of mark."""
WIDEST = 5
"""Pixels of the widest marks of these kinds."""
FALSE = 3.0
"""A thing that is taken away is so many times as bad as a mark that stays."""
MOST = 40.0
"""Places of one picture that count in full."""
AREA = (4, 900)
"""Pixels between which a place counts by the root of its area."""
RIDGE = 3.0
FOLDS = 5


def worn_pictures(clean, name, number):
    """Yield a picture and what is worn of it: as it is, and in several ways."""
    yield clean, np.zeros(clean.shape[:2], bool)
    sampler = Sampler(item_seed(7, name, 0))
    draws = [draw_worn(sampler, min(clean.shape[:2]) / 512)]
    if number % EVERY == 0:
        for kind, width in ((k, width) for k in KINDS for width in KINDS[k] if width <= WIDEST):
            sampler = Sampler(item_seed(0, f"{kind}{width}", number))
            draws.append(([panchromatic(sampler)], [drawn(sampler, kind, width)]))
    for tone, marks in draws:
        toned = apply(clean, Degradation("worn", tuple(tone)))
        worn = apply_traced(toned, Degradation("worn", tuple(marks)))
        yield worn.image, (worn.marks != Mark.NONE) & (worn.marks != NEITHER)


def places(image, truth, *, specks):
    """Yield measures, area and whether it is a mark of each place that the detector names."""
    seen = sighted(Page(image, "rgb"), load_finder(), image, ())
    square = np.ones((2 * NEAR + 1, 2 * NEAR + 1), np.uint8)
    turned = np.ascontiguousarray(upright_view(truth.astype(np.uint8), seen.way))
    near = cv2.dilate(turned, square) > 0
    for place in named(seen.marked, seen.image):
        (x0, y0, x1, y1), pixels = place.component.box, place.component.pixels
        if abs(place.contrast) >= LEAST_CONTRAST and (specks or not place.speck):
            yield place.evidence, place.component.area, near[y0:y1, x0:x1][pixels].mean() > 0.5


def table(folders, things):
    """Return measures (N, K), areas, truths, weights and folds, (N,) each."""
    rows = []
    drawn_over, as_they_are = (
        sorted(path for folder in some for path in Path(folder).iterdir())
        for some in (folders, things)
    )
    for number, path in enumerate(drawn_over + as_they_are):
        clean = read_rgb(path)
        scale = SHORTER / min(clean.shape[:2])
        if scale < 1 and number < len(drawn_over):
            clean = cv2.resize(clean, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        alone = [(clean, np.zeros(clean.shape[:2], bool))]
        is_thing = number >= len(drawn_over)
        for image, truth in alone if is_thing else worn_pictures(clean, path.name, number):
            if no_photo(image):
                continue
            found = list(places(image, truth, specks=not is_thing))
            few = min(1.0, MOST / max(1, len(found)))
            for evidence, area, is_mark in found:
                weight = np.sqrt(np.clip(area, *AREA)) * few * (1 if is_mark else FALSE)
                rows.append((*astuple(evidence), area, is_mark, weight, number % FOLDS))
    x = np.array(rows, float)
    return x[:, :-4], x[:, -4], x[:, -3] > 0, x[:, -2], x[:, -1]


def fit(x, y, weight):
    """Return the slopes (K,) and the bias of a logistic regression."""
    mean, spread = x.mean(0), x.std(0)
    padded = np.column_stack([(x - mean) / spread, np.ones(len(x))])
    ridge = RIDGE * np.diag([1.0] * x.shape[1] + [0.0])
    slopes = np.zeros(padded.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-padded @ slopes))
        curve = (padded * (weight * p * (1 - p))[:, None]).T @ padded + ridge
        slopes -= np.linalg.solve(curve, padded.T @ (weight * (p - y)) + ridge @ slopes)
    plain = slopes[:-1] / spread
    return plain, slopes[-1] - mean @ plain


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.restoration.repair.fit_evidence")
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--things", nargs="*", default=[])
    given = parser.parse_args()
    x, area, y, weight, folds = table(given.folders, given.things)
    weight = weight / 6
    slopes, bias = fit(x, y, weight)
    for field, slope in zip(fields(Evidence), slopes, strict=True):
        print(f"{field.name}={slope:.3f},")
    print(f"BIAS = {bias:.3f}")
    logits = np.zeros(len(y))
    for fold in range(FOLDS):
        slopes, bias = fit(x[folds != fold], y[folds != fold], weight[folds != fold])
        logits[folds == fold] = x[folds == fold] @ slopes + bias
    for least in (0.1, 0.3, 0.5, 0.55, 0.7):
        kept = logits >= np.log(least / (1 - least))
        right, all_marks = area[kept & y].sum(), area[y].sum()
        print(f"{least}: precision {right / area[kept].sum():.3f}, kept {right / all_marks:.3f}")


if __name__ == "__main__":
    main()
