"""Crop faces in the pose the network knows: the FFHQ five-point template.

A crop is described by the similarity transform from photo pixels to crop pixels; pixel (0, 0) has
its centre at coordinate (0, 0), as in OpenCV.
"""

from collections.abc import Callable

import cv2
import numpy as np

from faceren.arrays import Float64, Matrix, Rgb
from faceren.errors import FaceError

TEMPLATE = np.array(
    [
        [192.98138, 239.94708],
        [318.90277, 240.19360],
        [256.63416, 314.01935],
        [201.26117, 371.41043],
        [313.08905, 371.15118],
    ]
)
"""Where eyes, nose tip and mouth corners lie in a 512-pixel crop aligned as FFHQ is."""


def similarity(source: Float64, target: Float64) -> Matrix:
    """Return the (2, 3) rotation, uniform scale and shift that best map points to points.

    Least squares in closed form (Umeyama 1991, without reflection).

    Args:
        source: (N, 2) points.
        target: (N, 2) points.

    Raises:
        FaceError: If the source points coincide.
    """
    mean_source, mean_target = source.mean(0), target.mean(0)
    a = (source - mean_source) @ np.array([1, 1j])
    b = (target - mean_target) @ np.array([1, 1j])
    energy = float(np.vdot(a, a).real)
    if energy < 1e-9:
        raise FaceError("the five landmarks of a face coincide; it cannot be aligned")
    turn = np.vdot(a, b) / energy  # scale and rotation as one complex number
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([linear, mean_target - linear @ mean_source])


def crop_transform(landmarks: Float64, size: int) -> Matrix:
    """Return the (2, 3) transform from the photo to an aligned crop.

    Args:
        landmarks: (5, 2), in photo pixels.
        size: Side of the crop in pixels.
    """
    target = (TEMPLATE + 0.5) * (size / 512) - 0.5  # pixel centres, not corners, scale about -0.5
    return similarity(landmarks, target)


def native_side(landmarks: Float64) -> float:
    """Return how many photo pixels the side of the face's aligned crop covers."""
    matrix = crop_transform(landmarks, 512)
    return 512 / float(np.hypot(matrix[0, 0], matrix[1, 0]))


def inverse(matrix: Matrix) -> Matrix:
    """Return the (2, 3) transform back."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def crop_corners(matrix: Matrix, size: int) -> Float64:
    """Return the crop's four outer corners in photo pixels, (4, 2), in order around it."""
    low, high = -0.5, size - 0.5
    corners = np.array([[low, low], [high, low], [high, high], [low, high]])
    back = inverse(matrix)
    return corners @ back[:, :2].T + back[:, 2]


def crop_box(matrix: Matrix, size: int, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the photo pixels that a crop is made from: x0, y0, x1, y1, clipped to the photo.

    Args:
        matrix: (2, 3) transform from the photo to the crop.
        size: Side of the crop in pixels.
        shape: Height and width of the photo.

    Raises:
        FaceError: If the crop lies outside the photo.
    """
    corners = crop_corners(matrix, size)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    margin = 2 + int(np.ceil(1 / scale))  # what the resampling filter reads beyond the crop
    x0, y0 = (max(0, int(v)) for v in np.floor(corners.min(0)) - margin)
    limit = np.ceil(corners.max(0)) + margin + 1
    box = (x0, y0, min(shape[1], int(limit[0])), min(shape[0], int(limit[1])))
    if box[2] - x0 < 2 or box[3] - y0 < 2:
        raise FaceError(f"a face's crop about {corners.mean(0).round()} lies outside the photo")
    return box


def cut_crop(
    region: Callable[[tuple[int, int, int, int]], Rgb],
    box: tuple[int, int, int, int],
    matrix: Matrix,
    size: int,
) -> Rgb:
    """Return an aligned crop, (S, S, 3) in [0, 1].

    Args:
        region: Returns the photo's pixels in a box, (h, w, 3).
        box: From ``crop_box``.
        matrix: (2, 3) transform from the photo to the crop.
        size: Side of the crop in pixels.
    """
    local = np.column_stack([matrix[:, :2], matrix @ np.array([box[0], box[1], 1.0])])
    turns = quarter_turns(local)
    pixels = np.rot90(region(box), turns)
    local = compose(local, inverse(turning(turns, box[3] - box[1], box[2] - box[0])))
    return np.clip(warp(np.ascontiguousarray(pixels, np.float32), local, (size, size)), 0, 1)


def quarter_turns(matrix: Matrix) -> int:
    """Return by how many quarter turns, counterclockwise, a transform turns most nearly."""
    return round(float(np.degrees(np.arctan2(-matrix[1, 0], matrix[0, 0]))) / 90)


def turning(turns: int, height: int, width: int) -> Matrix:
    """Return where ``np.rot90(image, turns)`` puts the pixels of an image."""
    linear, right, down = {
        0: ((1, 0, 0, 1), 0, 0),
        1: ((0, 1, -1, 0), 0, width - 1),
        2: ((-1, 0, 0, -1), width - 1, height - 1),
        3: ((0, -1, 1, 0), height - 1, 0),
    }[turns % 4]
    return np.column_stack([np.array(linear, np.float64).reshape(2, 2), [right, down]])


def compose(outer: Matrix, inner: Matrix) -> Matrix:
    """Return the (2, 3) transform that does ``inner`` first."""
    return np.column_stack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2] + outer[:, 2]])


def laid_back(crop: Rgb, matrix: Matrix, size: tuple[int, int]) -> Rgb:
    """Resample something of a crop to photo pixels; see ``warp``.

    As ``cut_crop`` does, it computes upright and turns: a turned photo gets the same numbers.

    Args:
        crop: (S, S) or (S, S, C) float32.
        matrix: (2, 3) transform from the crop to these photo pixels.
        size: Height and width of the result.
    """
    turns = quarter_turns(matrix)
    height, width = size[:: 1 if turns % 2 == 0 else -1]
    upright = compose(turning(-turns, *size), matrix)
    return np.ascontiguousarray(np.rot90(warp(crop, upright, (height, width)), turns))


def warp(image: Rgb, matrix: Matrix, size: tuple[int, int]) -> Rgb:
    """Resample an image through a transform, antialiased when it shrinks, mirrored at its border.

    Args:
        image: (H, W) or (H, W, C) float32.
        matrix: (2, 3) transform from ``image`` to the result.
        size: Height and width of the result.
    """
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 0.75:  # averaging first, so that what remains is about 1:1
        height, width = image.shape[:2]
        small = (max(1, round(width * scale)), max(1, round(height * scale)))
        shrunk = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        fx, fy = small[0] / width, small[1] / height
        to_image = np.array([[1 / fx, 0, 0.5 / fx - 0.5], [0, 1 / fy, 0.5 / fy - 0.5]])
        linear = matrix[:, :2] @ to_image[:, :2]
        matrix = np.column_stack([linear, matrix[:, :2] @ to_image[:, 2] + matrix[:, 2]])
        image = np.asarray(shrunk, np.float32)
    warped = cv2.warpAffine(
        image, matrix, size[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(warped, np.float32)
