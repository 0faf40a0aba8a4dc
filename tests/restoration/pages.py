"""Pages of a photo that are floating point arrays, so that tests see no rounding to levels."""

from types import SimpleNamespace

import numpy as np

from faceren.faces.alignment import TEMPLATE
from faceren.faces.face import Face
from faceren.restoration.crops import DEFAULT, cut, place_of


class FloatPage:
    """What the restoration asks of a page, over an array (H, W, 3) in [0, 1]."""

    def __init__(self, image):
        self.image = image
        self.upright_shape = image.shape[:2]

    def upright_region(self, box):
        x0, y0, x1, y1 = box
        return self.image[y0:y1, x0:x1].copy()


def photo_of(*images):
    """A photo of such pages."""
    return SimpleNamespace(pages=[FloatPage(image) for image in images])


def noise(height=300, width=400, seed=0):
    """Random pixels, (H, W, 3) in [0, 1]."""
    return np.random.default_rng(seed).random((height, width, 3), dtype=np.float32)


def face_at(x, y, side, score=0.9):
    """A face whose aligned crop is the upright square of that corner and side."""
    points = (TEMPLATE + 0.5) * side / 512 - 0.5 + [x, y]
    low, high = points.min(0), points.max(0)
    return Face((*low, *high), points, score)


def cut_face(photo, page, face, options=DEFAULT, **more):
    """Cut the crop of a face where it lies in a photo."""
    return cut(photo, place_of(photo, page, face, **more), options)
