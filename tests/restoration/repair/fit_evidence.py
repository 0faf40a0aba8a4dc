"""Fit the weights of ``restoration.repair.evidence`` anew.

``python -m tests.restoration.repair.fit_evidence FOLDER… --things FOLDER…`` takes clean pictures,
none of which the detector was trained on. Each is looked at as it is, worn by the task ``worn``,
with hardly a mark over it, and every eighth with each kind of mark of ``benchmark --suite repair``.
What is named there is a mark if most of its pixels were drawn. Of ``--things``, real photographs,
all that is named is a thing, but for specks alone on smooth ground, of which nobody knows; a folder
given twice counts twice. It prints the weights of each place by itself, then those of what else is
named on its page, and what they find in pictures that were left out, fold by fold. The detector's
card says on which pictures the shipped ones were fitted; without real photographs among them a
pince-nez's cord is a mark.
"""

import argparse
from dataclasses import astuple, dataclass, fields, replace
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
from faceren.restoration.repair.evidence import COUNTS, Evidence, company
from faceren.restoration.repair.finder import load_finder
from faceren.restoration.repair.gates import LEAST_CONTRAST, company_of, named
from faceren.restoration.repair.sighting import sighted
from faceren.restoration.repair.texture import no_photo

SHORTER = 700
"""Pixels to which the shorter side of larger pictures is brought."""
EVERY = 8
"""Of so many pictures one is drawn over with each kind of mark."""
WIDEST = 5
"""Pixels of the widest marks of these kinds."""
FALSE = 3.0
"""A thing that is taken away is so many times as bad as a mark that stays."""
MOST = 40.0
"""Places of one picture that count in full."""
RIDGE = 3.0
FOLDS = 5


def lonely(name, number):
    """Return a tone, and the marks of a print that has hardly any: one line, or three specks."""
    sampler = Sampler(item_seed(8, name, 0))
    kind, count = (("lines", 1), ("cracks", 1), ("dust", 3))[number % 3]
    marks = replace(drawn(sampler, kind, 2 + 3 * (number % 2)), count=count)
    return [panchromatic(sampler)], [marks]


def worn_pictures(clean, name, number):
    """Yield a picture and what is worn of it: as it is, and in several ways."""
    yield clean, np.zeros(clean.shape[:2], bool)
    sampler = Sampler(item_seed(7, name, 0))
    draws = [draw_worn(sampler, min(clean.shape[:2]) / 512), lonely(name, number)]
    if number % EVERY == 0:
        for kind, width in ((k, width) for k in KINDS for width in KINDS[k] if width <= WIDEST):
            sampler = Sampler(item_seed(0, f"{kind}{width}", number))
            draws.append(([panchromatic(sampler)], [drawn(sampler, kind, width)]))
    for tone, marks in draws:
        toned = apply(clean, Degradation("worn", tuple(tone)))
        worn = apply_traced(toned, Degradation("worn", tuple(marks)))
        yield worn.image, (worn.marks != Mark.NONE) & (worn.marks != NEITHER)


@dataclass(frozen=True)
class Places:
    """All places that are named in some pictures, N of them."""

    measures: np.ndarray
    """(N, K)."""
    faint: np.ndarray
    """(N,), whether it is too faint to be a mark, whatever it is."""
    areas: np.ndarray
    kinds: np.ndarray
    truths: np.ndarray
    """(N,), whether it is a mark."""
    weights: np.ndarray
    """(N,), how much it counts in the fit."""
    pages: np.ndarray
    """(N,), of which look at a picture it is."""
    pixels: np.ndarray
    """(N,), how many its page has."""
    folds: np.ndarray


def places(image, truth, *, specks):
    """Return of each place its measures, faint, area, kind, whether it is a mark, and counts."""
    seen = sighted(Page(image, "rgb"), load_finder(), image, ())
    square = np.ones((2 * NEAR + 1, 2 * NEAR + 1), np.uint8)
    turned = np.ascontiguousarray(upright_view(truth.astype(np.uint8), seen.way))
    near = cv2.dilate(turned, square) > 0
    found = list(named(seen.marked, seen.image))
    sure, areas, kinds = company_of(found)
    rows = []
    for place, faint, area, kind in zip(found, sure == 0, areas, kinds, strict=True):
        (x0, y0, x1, y1), pixels = place.component.box, place.component.pixels
        counts = abs(place.contrast) >= LEAST_CONTRAST and (specks or not place.speck)
        is_mark = near[y0:y1, x0:x1][pixels].mean() > 0.5
        rows.append((*astuple(place.evidence), faint, area, kind, is_mark, counts))
    return rows


def table(folders, things):
    """Return the places of all pictures."""
    rows = []
    drawn_over, as_they_are = (
        sorted(path for folder in some for path in Path(folder).iterdir())
        for some in (folders, things)
    )
    page = 0
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
            found = places(image, truth, specks=not is_thing)
            few = min(1.0, MOST / max(1, sum(row[-1] for row in found)))
            for *measured, area, kind, is_mark, counts in found:
                weight = np.sqrt(np.clip(area, *COUNTS)) * few * (1 if is_mark else FALSE) * counts
                more = (area, kind, is_mark, weight / 6, page, truth.size, number % FOLDS)
                rows.append((*measured, *more))
            page += 1
    x = np.array(rows, float)
    return Places(x[:, :-8], x[:, -8] > 0, *x[:, -7:-5].T, x[:, -5] > 0, *x[:, -4:].T)


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


def by_itself(found, slopes, bias):
    """Return how likely each place by itself is a mark, (N,)."""
    return 1 / (1 + np.exp(-(found.measures @ slopes + bias)))


def together(found, slopes, bias):
    """Return each place's logit and the company it is in, (N, 5)."""
    sure = by_itself(found, slopes, bias)
    told = np.zeros((len(sure), 4))
    for page in np.unique(found.pages):
        here = found.pages == page
        alone = np.where(found.faint, 0.0, sure)[here]
        kinds, pixels = found.kinds[here].astype(np.int64), int(found.pixels[here][0])
        told[here] = company(alone, found.areas[here], kinds, pixels)
    return np.column_stack([found.measures @ slopes + bias, told])


def fits(found, chosen):
    """Return both fits to some of the places: slopes and bias, one after the other."""
    first = fit(*(part[chosen] for part in (found.measures, found.truths, found.weights)))
    both = together(found, *first)
    return first, fit(both[chosen], found.truths[chosen], found.weights[chosen])


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.restoration.repair.fit_evidence")
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--things", nargs="*", default=[])
    given = parser.parse_args()
    found = table(given.folders, given.things)
    counted = found.weights > 0
    (slopes, bias), (shares, last) = fits(found, counted)
    for field, slope in zip(fields(Evidence), slopes, strict=True):
        print(f"{field.name}={slope:.3f},")
    print(f"BIAS = {bias:.3f}")
    plain, *rest = (f"{share:.3f}" for share in shares)
    print(f"PLAIN, COMPANY = {plain}, ({', '.join(rest)})")
    print(f"COMPANY_BIAS = {last:.3f}")
    logits = {"by itself": np.zeros(len(counted)), "in company": np.zeros(len(counted))}
    for fold in range(FOLDS):
        out = found.folds == fold
        first, second = fits(found, counted & ~out)
        both = together(found, *first)
        logits["by itself"][out] = both[out, 0]
        logits["in company"][out] = both[out] @ second[0] + second[1]
    there = counted & ~found.faint
    for name, values in logits.items():
        for least in (0.1, 0.3, 0.4, 0.5, 0.6, 0.7):
            kept = there & (values >= np.log(least / (1 - least)))
            right = found.areas[kept & found.truths].sum()
            precision = right / found.areas[kept].sum()
            recall = right / found.areas[there & found.truths].sum()
            print(f"{name}, {least}: precision {precision:.3f}, kept {recall:.3f}")


if __name__ == "__main__":
    main()
