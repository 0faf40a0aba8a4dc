"""A photo with two scratches, restored with what it takes to look at them."""

from pathlib import Path

import cv2
import numpy as np

from tests.calls import restored

FIRST, SECOND = ((60, 40), (250, 120)), ((80, 250), (300, 250))
"""Ends of the two scratches."""


def scratched_run(root: Path, repair: str = "suggest") -> Path:
    """Return the folder of a run over a photo with two scratches, ``photos/a.png``."""
    down, across = np.mgrid[0:320, 0:400]
    plane = (110 + 20 * np.sin(down / 40) * np.cos(across / 60)).astype(np.uint8)
    raster = np.repeat(plane[..., None], 3, 2)
    for ends in (FIRST, SECOND):
        cv2.line(raster, *ends, (250, 250, 250), 5)
    (root / "photos").mkdir()
    cv2.imwrite(str(root / "photos" / "a.png"), raster)
    restored([root / "photos"], root / "out", repair=repair)
    return root / "out"


def still_there(out: Path) -> tuple[bool, bool]:
    """Return whether each scratch of the output is as it was."""
    before, after = (cv2.imread(str(place / "a.png")) for place in (out.parent / "photos", out))
    found = []
    for ends in (FIRST, SECOND):
        line = np.zeros(before.shape[:2], np.uint8)
        cv2.line(line, *ends, 1, 5)
        found.append(bool((before == after)[line > 0].all()))
    return found[0], found[1]
