"""dlib's models at work, with verified weights: what the paper's FED and LLE are defined by.

They say where a face is, its landmarks, and whose it is: the 128 numbers of the embedding, of which
those of two persons are mostly more than 0.6 apart. Networks are trained here to keep that distance
small, so what it says of them is no independent opinion; that is ``faces.identity``.
``describe``, which doubtful faces are told by, needs the first layers of the embedding's network
alone, and no dlib.
"""

import platform
import threading
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from faceren.arrays import Float64, Rgb8
from faceren.assets import asset
from faceren.errors import MachineError, ShapeError
from faceren.graphs.embedding import (
    ALL,
    CHIPS,
    SIDE,
    embedding_graph,
    outputs_after,
    read_embedding,
)
from faceren.graphs.session import Session

STAGES = 3
"""Of the embedding network, after which eyes and mouths are known, persons not yet."""
MARGIN = 0.25
"""What the embedding sees around the landmarks, as a share of the face's side: dlib's own."""
LEAST_SIDE = 40
"""Half the side in pixels of the smallest face that the detector knows."""

_TURN = threading.RLock()
"""dlib's objects keep state while they work: threads take turns."""
_LOADING = threading.RLock()
"""What is loaded once must not be loaded by two threads at a time."""


AVX = 10
"""OpenCV's number of the instructions that the packaged dlib is made of."""


def _dlib() -> Any:
    if platform.machine() in ("x86_64", "AMD64") and not cv2.checkHardwareSupport(AVX):
        raise MachineError(
            "this processor has no AVX, which dlib (fed and lle) needs; "
            "use a machine with a processor of 2011 or later"
        )
    try:
        import dlib
    except ImportError as error:
        raise MachineError(
            f"dlib cannot be imported ({error}); fed and lle need it: pip install 'faceren[torch]'"
        ) from error
    return dlib


@cache
def _detector() -> Any:
    return _dlib().get_frontal_face_detector()


@cache
def _loaded_predictor(points: int) -> Any:
    return _dlib().shape_predictor(str(asset(f"dlib-landmarks-{points}")))


def _predictor(points: int) -> Any:
    with _LOADING:
        return _loaded_predictor(points)


@cache
def _loaded_network(stages: int) -> Session:
    return Session(_file_of_network(stages))  # the arrays it was made of are let go before


def _network(stages: int = ALL) -> Session:
    with _LOADING:
        return _loaded_network(stages)


def _file_of_network(stages: int) -> bytes:
    graph = embedding_graph(read_embedding(asset("dlib-embedding")), stages)
    return graph.to_bytes(outputs_after(stages))


def check_rgb(rgb: Rgb8) -> Rgb8:
    """Return the image in memory order, as dlib needs it.

    Raises:
        ShapeError: If it is not (H, W, 3) uint8.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ShapeError(f"expected (H, W, 3) uint8, got {rgb.shape} {rgb.dtype}")
    return np.ascontiguousarray(rgb)


def rectangle(centre: tuple[float, float], side: float) -> Any:
    """Return dlib's form of a square, from its centre (x, y) and its side in pixels."""
    x, y = centre
    half = side / 2
    return _dlib().rectangle(*(round(value) for value in (x - half, y - half, x + half, y + half)))


def first_face(rgb: Rgb8) -> Any | None:
    """Return the rectangle of the face that the HOG detector is most certain of, or None.

    Args:
        rgb: (H, W, 3) uint8; it is searched at twice its size, down to faces of 40 pixels.
    """
    if min(rgb.shape[:2]) < LEAST_SIDE:
        return None
    with _TURN:
        found = _detector()(check_rgb(rgb), 1)
    return found[0] if len(found) else None


def landmarks68(rgb: Rgb8, box: Any) -> Float64:
    """Return the 68 landmarks (68, 2) in pixels of the face in a rectangle."""
    with _TURN:
        shape = _predictor(68)(check_rgb(rgb), box)
    return np.array([(point.x, point.y) for point in shape.parts()], np.float64)


def embedding(rgb: Rgb8, box: Any) -> Float64:
    """Return the 128 numbers, (128,), that describe whose face is in a rectangle."""
    image = check_rgb(rgb)
    with _TURN:
        shape = _predictor(5)(image, box)
        chip = np.asarray(_dlib().get_face_chip(image, shape, SIDE, MARGIN))
    (found,) = _network().run({CHIPS: chip[None].astype(np.float32)})
    return np.asarray(found[0], np.float64)


def describe(chip: Rgb8) -> Float64:
    """Return what the embedding network sees after STAGES, (10 C,): its mean, then 3 x 3 parts.

    Args:
        chip: (150, 150, 3) uint8, aligned about as ``dlib.get_face_chip`` does.
    """
    (maps,) = _network(STAGES).run({CHIPS: check_rgb(chip)[None].astype(np.float32)})
    return np.append(maps[0].mean((1, 2), dtype=np.float64), _ninths(maps[0]).ravel())


def _ninths(maps: NDArray[np.float32]) -> Float64:
    """Return the means of 3 x 3 parts of maps (C, h, w), (C, 3, 3); they overlap by a pixel."""
    _, *sides = maps.shape
    rows, columns = (
        [slice(i * side // 3, -(-(i + 1) * side // 3)) for i in range(3)] for side in sides
    )
    means = [[maps[:, y, x].mean((1, 2), dtype=np.float64) for x in columns] for y in rows]
    return np.moveaxis(np.array(means), 2, 0)


def distance(ours: Float64, theirs: Float64) -> float:
    """Return the Euclidean distance of two embeddings, (128,) each."""
    return float(np.linalg.norm(ours - theirs))


def check() -> None:
    """Raise MachineError unless dlib and the weights of its embedding are there."""
    _dlib()
    for name in ("dlib-landmarks-5", "dlib-embedding"):
        asset(name)


def dlib_version() -> str:
    """Return the version of the installed package."""
    from importlib.metadata import version

    return version("dlib-bin")
