"""A sheet of where ``--repair`` goes wrong.

``python -m tests.restoration.repair.failures -o models/faceren-wear-worst.jpg`` makes the card's.
Pictures of scikit-image and the samples of the package (or those of ``--pictures FOLDER``), each
clean and with lines, cracks and dust drawn over it. Shown are the worst by the pixels that are
wrong, with what would be filled: green where a mark was, red where none was; blue are marks that
stay.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from PIL import Image

from faceren.assets import samples_dir
from faceren.bench.quality.repair import NEAR, drawn, found_in, looked_at
from faceren.config import Mark
from faceren.degradation import NEITHER, Degradation, apply_traced, item_seed
from faceren.degradation.pixels import Sampler
from faceren.images import read_rgb
from faceren.pages.pictures import Cell, contact_sheet

NAMES = (
    "astronaut",
    "brick",
    "camera",
    "chelsea",
    "coffee",
    "coins",
    "hubble_deep_field",
    "rocket",
)
KINDS = (("lines", 3), ("cracks", 4), ("dust", 5))
RIGHT, WRONG, MISSED = (0, 170, 60), (230, 30, 30), (40, 90, 255)
COLUMNS, ROWS = 4, 3
LARGEST = 720
"""Pixels of the shorter side."""


def pictures(folder=None):
    """Yield names and pictures, (H, W, 3)."""
    places = sorted(Path(folder or samples_dir() / "clean").iterdir())
    found = [(path.stem, read_rgb(path)) for path in places if path.suffix != ".md"]
    if folder is None:
        shipped = [(name, getattr(skimage.data, name)()) for name in NAMES]
        found += [(n, i if i.ndim == 3 else np.repeat(i[..., None], 3, 2)) for n, i in shipped]
    for name, image in found:
        scale = min(1, LARGEST / min(image.shape[:2]))
        size = [round(side * scale) for side in image.shape[1::-1]]
        yield name, np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def cases(name, clean):
    """Yield what was drawn, a picture and the truth of it, (H, W)."""
    yield "clean", clean, np.zeros(clean.shape[:2], bool)
    for kind, width in KINDS:
        step = drawn(Sampler(item_seed(3, name + kind, 0)), kind, width)
        worn = apply_traced(clean, Degradation("worn", (step,)))
        truth = (worn.marks != Mark.NONE) & (worn.marks != NEITHER)
        yield f"{kind} of {width} px", worn.image, truth


def judged(image, truth, mode):
    """Return the picture with its findings in colours, and shares that are wrong and missed."""
    found = found_in(looked_at(image), mode)
    square = np.ones((2 * NEAR + 1, 2 * NEAR + 1), np.uint8)
    near, seen = (cv2.dilate(plane.astype(np.uint8), square) > 0 for plane in (truth, found))
    panel = np.repeat((image.mean(-1, keepdims=True) * 0.6 + 90), 3, 2).astype(np.uint8)
    for plane, colour in ((found & near, RIGHT), (truth & ~seen, MISSED), (found & ~near, WRONG)):
        panel[cv2.dilate(plane.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0] = colour
    return panel, float((found & ~near).mean()), float((truth & ~seen).mean())


def sheet(shown, mode):
    """Return the sheet of the worst pictures."""
    worst = []
    for name, clean in shown:
        for kind, image, truth in cases(name, clean):
            panel, wrong, missed = judged(image, truth, mode)
            worst.append((wrong + missed, f"{name}, {kind}: -{missed:.2%} +{wrong:.2%}", panel))
    worst.sort(key=lambda one: -one[0])
    cells = [Cell(panel, caption) for _, caption, panel in worst[: COLUMNS * ROWS]]
    return contact_sheet([cells[i : i + COLUMNS] for i in range(0, len(cells), COLUMNS)], side=300)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tests.restoration.repair.failures")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--pictures")
    parser.add_argument("--mode", choices=("auto", "strong"), default="auto")
    given = parser.parse_args(arguments)
    made = sheet(pictures(given.pictures), given.mode)
    Image.fromarray(made).save(given.output, quality=85)


if __name__ == "__main__":
    main()
