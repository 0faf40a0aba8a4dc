"""Fit the weights of ``restoration.repair.evidence`` and the sums of its ``observer`` anew.

``python -m tests.restoration.repair.fit_evidence FOLDER… --more FOLDER… --things FOLDER… --observer
FILE`` takes clean pictures, none of which the detector was trained on. Each is looked at as it is,
worn by the task ``worn``, and every fifth with each kind of mark of ``benchmark --suite repair``
over it. What is named there is a mark if most of its pixels were drawn; what is too wide, too faint
or along the border is left out, since no likelihood lets it be filled. Pictures of ``--more`` count
less, and the detector may have learned from them. Of ``--things``, real photographs, all that is
named is a thing, but for specks alone on smooth ground, of which nobody knows; a folder given twice
counts twice. The measures and the means of all of the network's channels under and around a place
are weighed together; of the latter, two sums of each map are what is shipped.

It prints the weights, and what they find at some likelihoods in pictures that were left out, fold
by fold; FILE gets the observer with its sums. On which pictures the shipped ones were fitted:
``models/faceren-wear.md``.
"""

import argparse
from dataclasses import astuple, fields
from pathlib import Path

import cv2
import numpy as np
from safetensors.numpy import load_file, save_file

from faceren.assets import asset
from faceren.bench.quality.repair import KINDS, NEAR, drawn
from faceren.config import Mark
from faceren.degradation import NEITHER, Degradation, apply, apply_traced, item_seed
from faceren.degradation.pixels import Sampler
from faceren.degradation.presets import panchromatic
from faceren.degradation.worn import draw_worn
from faceren.graphs.efficientnet import CHANNELS, LAST_OF, PROJECTED
from faceren.images import read_rgb
from faceren.images.page import Page, upright_view
from faceren.restoration.repair.evidence import Evidence
from faceren.restoration.repair.finder import load_finder
from faceren.restoration.repair.gates import LIKELY, named, ruled_out
from faceren.restoration.repair.observer import WEIGHTS as OBSERVER
from faceren.restoration.repair.observer import observer_of
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
OF_MORE = 0.4
"""What a place of a picture of ``--more`` counts."""
RIDGE = 3.0
RIDGE_OF_CHANNELS = 30.0
MEASURES = len(fields(Evidence)) - 1
"""All but what the network says."""
FOLDS = 6


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


def places(image, truth, observer, *, specks):
    """Yield measures and means, area and whether it is a mark of each place that is named."""
    seen = sighted(Page(image, "rgb"), load_finder(), image, ())
    square = np.ones((2 * NEAR + 1, 2 * NEAR + 1), np.uint8)
    turned = np.ascontiguousarray(upright_view(truth.astype(np.uint8), seen.way))
    near = cv2.dilate(turned, square) > 0
    maps = observer.seen(seen.image, (seen.marked >= LIKELY).astype(np.uint8))
    for place in named(seen.marked, seen.image):
        box, pixels = place.component.box, place.component.pixels
        if ruled_out(place, seen.image.shape[:2]) or (place.speck and not specks):
            continue
        is_mark = near[box[1] : box[3], box[0] : box[2]][pixels].mean() > 0.5
        measured = [*astuple(place.evidence)[:MEASURES], *maps.means(box, pixels)]
        yield measured, place.component.area, is_mark


def table(folders, more, things, observer):
    """Return measures and means (N, K), areas, truths, weights and folds, (N,) each."""
    rows = []
    paths = [
        (path, share, kind == 2)
        for kind, (some, share) in enumerate(((folders, 1), (more, OF_MORE), (things, 1)))
        for path in sorted(path for folder in some for path in Path(folder).iterdir())
    ]
    for number, (path, share, is_thing) in enumerate(paths):
        clean = read_rgb(path)
        scale = SHORTER / min(clean.shape[:2])
        if scale < 1 and not is_thing:
            clean = cv2.resize(clean, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        alone = [(clean, np.zeros(clean.shape[:2], bool))]
        for image, truth in alone if is_thing else worn_pictures(clean, path.name, number):
            if no_photo(image):
                continue
            found = list(places(image, truth, observer, specks=not is_thing))
            few = min(1.0, MOST / max(1, len(found))) * share
            for measured, area, is_mark in found:
                weight = np.sqrt(np.clip(area, *AREA)) * few * (1 if is_mark else FALSE)
                rows.append((*measured, area, is_mark, weight, number % FOLDS))
    x = np.array(rows, float)
    return x[:, :-4], x[:, -4], x[:, -3] > 0, x[:, -2], x[:, -1]


def fit(x, y, weight):
    """Return the slopes (K,) and the bias of a logistic regression."""
    mean, spread = x.mean(0), x.std(0) + 1e-6
    padded = np.column_stack([(x - mean) / spread, np.ones(len(x))])
    channels = x.shape[1] - MEASURES
    ridge = np.diag([RIDGE] * MEASURES + [RIDGE_OF_CHANNELS] * channels + [0.0])
    slopes = np.zeros(padded.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-padded @ slopes))
        curve = (padded * (weight * p * (1 - p))[:, None]).T @ padded + ridge
        slopes -= np.linalg.solve(curve, padded.T @ (weight * (p - y)) + ridge @ slopes)
    plain = slopes[:-1] / spread
    return plain, slopes[-1] - mean @ plain


def sums_of(slopes):
    """Return the observer's sums: of each map one under a place and one around it."""
    under, around = (np.split(half, np.cumsum(CHANNELS)[:-1]) for half in np.split(slopes, 2))
    return {
        f"{PROJECTED}.{stride}": np.stack(both)[:, :, None, None].astype(np.float16)
        for stride, *both in zip(LAST_OF.values(), under, around, strict=True)
    }


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.restoration.repair.fit_evidence")
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--more", nargs="*", default=[])
    parser.add_argument("--things", nargs="*", default=[])
    parser.add_argument("--observer", required=True)
    given = parser.parse_args()
    layers = {k: v for k, v in load_file(asset(OBSERVER)).items() if PROJECTED not in k}
    x, area, y, weight, folds = table(given.folders, given.more, given.things, observer_of(layers))
    weight = weight / 6
    slopes, bias = fit(x, y, weight)
    for field, slope in zip(fields(Evidence), slopes[:MEASURES], strict=False):
        print(f"{field.name}={slope:.3f},")
    print(f"meaning=1.0,\nBIAS = {bias:.3f}")
    save_file(layers | sums_of(slopes[MEASURES:]), given.observer)
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
