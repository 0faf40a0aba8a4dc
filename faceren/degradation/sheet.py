"""One picture that shows what every task and preset does to some faces."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from faceren.arrays import Rgb8
from faceren.degradation.degradation import apply
from faceren.degradation.drawing import NATIVE_SIZE, PAPER_TASKS, draw
from faceren.degradation.presets import PRESETS
from faceren.degradation.resampling import resize
from faceren.degradation.sampler import item_seed

ROWS = (("clean", *PAPER_TASKS, "small"), (*PRESETS, "historic", "mixed"))
"""What the two rows of each face show, from left to right."""

GAP = 8
INK = (32, 32, 32)
PAPER = (250, 250, 248)


def render(faces: Sequence[Rgb8], *, seed: int = 0, cell: int = 256) -> Rgb8:
    """Return the sheet: two labelled rows of pictures for each face.

    Every picture is damaged at 512 pixels and then shown smaller or larger.

    Args:
        faces: Clean images, (H, W, 3) RGB; the middle square is shown.
        seed: Seed of what is drawn.
        cell: Side of each picture, pixels.
    """
    label = max(16, cell // 12)
    width = GAP + len(ROWS[0]) * (cell + GAP)
    height = GAP + len(faces) * len(ROWS) * (cell + label + GAP)
    page = Image.new("RGB", (width, height), PAPER)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=round(label * 0.72))
    for index, face in enumerate(faces):
        side = min(face.shape[:2])
        first, start = (face.shape[0] - side) // 2, (face.shape[1] - side) // 2
        middle = np.ascontiguousarray(face[first : first + side, start : start + side])
        square = _scaled(middle, NATIVE_SIZE)
        for number, row in enumerate(ROWS):
            top = GAP + (index * len(ROWS) + number) * (cell + label + GAP)
            for column, name in enumerate(row):
                left = GAP + column * (cell + GAP)
                pen.text((left, top), name, INK, font)
                shown = square
                if name != "clean":
                    shown = apply(square, draw(name, seed=item_seed(seed, name, index)))
                page.paste(Image.fromarray(_scaled(shown, cell)), (left, top + label))
    return np.array(page, np.uint8)


def _scaled(square: Rgb8, side: int) -> Rgb8:
    return resize(square, height=side, width=side, by="area" if side < square.shape[0] else "cubic")
