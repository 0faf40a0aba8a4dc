"""Choose the faces of a photo and cut their aligned crops.

Pixels are float32 RGB in [0, 1], (H, W, 3); crops are (S, S, 3).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceren.faces.alignment import Matrix, crop_box, crop_transform, cut_crop, native_side
from faceren.faces.detection import Face
from faceren.images import Box
from faceren.restoration.options import RestoreOptions

Pixels = NDArray[np.float32]
SIZES = (256, 512, 768, 1024)
"""Sides of crops: 256 and 512 are what the networks are trained on; in larger faces, 768 and 1024
let them reach damage that is finer than a pixel of the smaller crops."""


@dataclass(frozen=True)
class FaceCrop:
    """One face, cut out of a photo."""

    face: Face
    matrix: Matrix
    """(2, 3) transform from photo to crop pixels."""
    pixels: Pixels
    """(S, S, 3)."""
    box: tuple[int, int, int, int]
    """x0, y0, x1, y1: the photo pixels that the crop covers, clipped to the photo."""

    @property
    def size(self) -> int:
        """Side of the crop in pixels."""
        return len(self.pixels)


def choose(faces: Sequence[Face], shape: tuple[int, ...], options: RestoreOptions) -> list[Face]:
    """Return the faces to restore, as ``options.faces`` and ``options.min_face`` say.

    Args:
        faces: Detections, the largest first.
        shape: Height and width of the photo.
        options: See ``RestoreOptions``.
    """
    wide = [face for face in faces if face.width >= options.min_face]
    if options.faces == "all" or not wide:
        return wide
    if options.faces == "largest":
        return wide[:1]
    centre = np.array([shape[1], shape[0]]) / 2
    return [min(wide, key=lambda face: float(np.hypot(*(face.landmarks[2] - centre))))]


def crop_size(side: float) -> int:
    """Return the crop size for a face whose crop covers ``side`` photo pixels.

    The nearest by ratio. What a larger face holds beyond the crop's resolution is not lost: only
    the difference that the network makes is pasted back.
    """
    return min(SIZES, key=lambda size: abs(np.log(size / side)))


def cut(region: Callable[[Box], Pixels], shape: tuple[int, int], face: Face) -> FaceCrop:
    """Cut the aligned crop of a face.

    Args:
        region: Returns the photo's pixels in a box, (h, w, 3).
        shape: Height and width of the photo.
        face: In pixels of the photo.

    Raises:
        FaceError: If its landmarks coincide or its crop lies outside the photo.
    """
    size = crop_size(native_side(face.landmarks))
    matrix = crop_transform(face.landmarks, size)
    box = crop_box(matrix, size, shape)
    return FaceCrop(face, matrix, cut_crop(region, box, matrix, size), box)
