"""Where a page is marked: the detector's probabilities, tile by tile.

It looks at the page and at its negative. There a black mark is a white one, and of black lines more
than twice as many pixels are found: the detector has learned on more white marks than black ones,
and on pictures whose things are more often dark lines than light ones.

Shape letters: H and W pixels of the page as it is seen.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from faceren.arrays import LUMA, Plane
from faceren.assets import asset
from faceren.graphs.generator import GRAY, GRAY_SIDES, MARKED, detector_graph, detector_shapes
from faceren.graphs.session import Session, session_of
from faceren.images.page import Page
from faceren.weights import check_fit, read_detector

TILE = 1280
"""Side of a tile in pixels, its rim included."""
RIM = 128
"""Width in pixels of a tile's rim, whose probabilities its neighbours give: the detector looks as
far as that. With half of it, probabilities near a seam were off by up to .67, with this by .01."""
WEIGHTS = "wear-detector"

Marked = NDArray[np.uint8]
"""(H, W): probability of each pixel's being marked, 255 is 1."""


@dataclass(frozen=True)
class MarkFinder:
    """The detector, loaded; threads may share it."""

    session: Session
    stride: int
    sha256: str
    """Of its weights."""

    def marked(self, page: Page) -> Marked:
        """Return where a page or its negative is marked, (H, W): the greater of both probabilities.

        Memory: one byte a pixel, and a tile.

        Raises:
            MachineError: If memory is short.
        """
        height, width = page.upright_shape
        found = np.zeros((height, width), np.uint8)
        step = TILE - 2 * RIM
        for top in range(0, height, step):
            for left in range(0, width, step):
                bottom, right = min(top + step, height), min(left + step, width)
                y0, x0 = max(top - RIM, 0), max(left - RIM, 0)
                box = (x0, y0, min(right + RIM, width), min(bottom + RIM, height))
                gray = page.upright_region(box) @ LUMA
                share = np.maximum(self.probabilities(gray), self.probabilities(1 - gray))
                inner = share[top - y0 : bottom - y0, left - x0 : right - x0]
                found[top:bottom, left:right] = np.rint(inner * 255)
        return found

    def probabilities(self, gray: Plane) -> Plane:
        """Return the probability of each pixel's being marked, (h, w).

        Args:
            gray: (h, w) luma in [0, 1].
        """
        height, width = gray.shape
        more = [(0, -side % self.stride) for side in gray.shape]
        padded = np.pad(gray, more, "symmetric" if min(gray.shape) < self.stride else "reflect")
        (share,) = self.session.run({GRAY: np.ascontiguousarray(padded[None, None], np.float32)})
        return np.asarray(share[0, 0, :height, :width], np.float32)


@cache
def load_finder() -> MarkFinder:
    """Load the shipped detector.

    Raises:
        MachineError: If its weights or ONNX Runtime are missing or damaged.
    """
    path = asset(WEIGHTS)
    stored = read_detector(path)
    found = {key: array.shape for key, array in stored.arrays.items()}
    check_fit(path, detector_shapes(stored.config), found)
    graph = detector_graph(stored.config, stored.arrays)
    session = session_of(graph, {MARKED: GRAY_SIDES})
    return MarkFinder(session, stored.config.stride, stored.sha256)
