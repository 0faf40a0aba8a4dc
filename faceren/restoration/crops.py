"""What was found in a photo: which of its faces are restored, and their aligned crops.

Photo pixels are counted as the photo is seen upright.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from faceren.arrays import LUMA, Matrix, Rgb
from faceren.faces.alignment import TEMPLATE, crop_box, crop_transform, cut_crop, native_side
from faceren.faces.face import Face
from faceren.images import Box, Photo
from faceren.restoration.options import RestoreOptions

SIZES = (256, 512, 768, 1024)
"""Sides of crops: 256 and 512 are what the networks are trained on; in larger faces, 768 and 1024
let them reach damage that is finer than a pixel of the smaller crops."""
MONOCHROME = 0.02
"""Largest spread of chroma, about the curve that tones a print, of a photo without colours."""


@dataclass(frozen=True)
class FaceCrop:
    """One face, cut out of a photo."""

    face: Face
    """In pixels of the photo."""
    matrix: Matrix
    """(2, 3) transform from photo to crop pixels."""
    pixels: Rgb
    """(S, S, 3)."""
    box: Box
    """x0, y0, x1, y1: the photo pixels that the crop covers, clipped to the photo."""
    page: int = 0
    """Of a photo with several."""
    luminance_only: bool = False
    """Nothing but its brightness may change: the photo's own chroma is kept."""

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


def is_monochrome(image: Rgb) -> bool:
    """Say whether an image has one hue for each brightness, as gray and toned prints have."""
    small = cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA)
    luma = (small @ LUMA).ravel().astype(np.float64)
    chroma = (small - small @ LUMA[:, None] @ np.ones((1, 3))).reshape(-1, 3)[:, [0, 2]]
    curve = np.vander(luma, 4)  # the toning of a print is a smooth curve of its brightness
    fit, *_ = np.linalg.lstsq(curve, chroma, rcond=None)
    return float(np.sqrt(np.mean((chroma - curve @ fit) ** 2))) < MONOCHROME


def crop_size(side: float) -> int:
    """Return the crop size for a face whose crop covers ``side`` photo pixels.

    The nearest by ratio. What a larger face holds beyond the crop's resolution is not lost: only
    the difference that the network makes is pasted back.
    """
    return min(SIZES, key=lambda size: abs(np.log(size / side)))


def cut(photo: Photo, page: int, face: Face, *, luminance_only: bool = False) -> FaceCrop:
    """Cut the aligned crop of a face.

    Args:
        photo: The photo.
        page: Which of its pages.
        face: In pixels of the photo.
        luminance_only: See ``FaceCrop``.

    Raises:
        FaceError: If its landmarks coincide or its crop lies outside the photo.
    """
    size = crop_size(native_side(face.landmarks))
    matrix = crop_transform(face.landmarks, size)
    box = crop_box(matrix, size, photo.pages[page].upright_shape)
    pixels = cut_crop(photo.pages[page].upright_region, box, matrix, size)
    return FaceCrop(face, matrix, pixels, box, page, luminance_only)


def whole(photo: Photo, page: int, *, luminance_only: bool = False) -> FaceCrop:
    """Return a page that is an aligned face already as one crop of its own size; see ``cut``."""
    height, width = photo.pages[page].upright_shape
    box = (0, 0, width, height)
    landmarks = (TEMPLATE + 0.5) * np.array([width, height]) / 512 - 0.5
    face = Face((0.0, 0.0, float(width), float(height)), landmarks, 1.0)
    pixels = photo.pages[page].upright_region(box)
    return FaceCrop(face, np.eye(2, 3), pixels, box, page, luminance_only)


def scaled_face(face: Face, scale: float) -> Face:
    """Return a face in pixels of its photo made ``scale`` times as large."""
    x0, y0, x1, y1 = (edge * scale for edge in face.box)
    # the centre of the first pixel, not its corner, is at 0
    landmarks = (face.landmarks + 0.5) * scale - 0.5
    return replace(face, box=(x0, y0, x1, y1), landmarks=landmarks)
