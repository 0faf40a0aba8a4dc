"""How far two pictures are from showing the same person: dlib's face embedding.

The 128 numbers of dlib's recognition network lie within 0.6 for two photographs of one person and
beyond for two people (dlib's documentation); the paper calls the mean distance FED (section 4.1).
Here the faces are aligned crops, so no detector runs and none can fail: dlib's five-point model
starts from the place where its own detector sees faces in such crops.
"""

from functools import cache
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceren.assets import asset
from faceren.errors import MachineError, ShapeError

FACE_BOX = np.array([98, 170, 419, 455]) / 512
"""Median box of dlib's detector in faces aligned as FFHQ is, as shares of the side."""

_lock = Lock()  # dlib's networks keep their activations, so two threads must not share one


@cache
def _models() -> tuple[Any, Any, Any]:
    try:
        import dlib
    except ImportError as error:
        raise MachineError(f"dlib cannot be imported ({error}); install dlib-bin") from error
    return (
        dlib,
        dlib.shape_predictor(str(asset("dlib-landmarks-5"))),
        dlib.face_recognition_model_v1(str(asset("dlib-embedding"))),
    )


def embed_aligned(face: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the embedding of an aligned face, 128 numbers of about unit length.

    Args:
        face: (S, S, 3) uint8, RGB, aligned as FFHQ is; 64 pixels or more.

    Raises:
        ShapeError: If ``face`` has another shape or type.
        MachineError: If dlib or its weights are missing.
    """
    if face.dtype != np.uint8 or face.ndim != 3 or face.shape[2] != 3 or min(face.shape[:2]) < 64:
        raise ShapeError(f"expected (S, S, 3) uint8 of 64 or more, got {face.shape} {face.dtype}")
    height, width = face.shape[:2]
    left, top, right, bottom = (FACE_BOX * [width, height, width, height]).round().astype(int)
    with _lock:
        dlib, shape, network = _models()
        points = shape(face, dlib.rectangle(left, top, right, bottom))
        return np.array(network.compute_face_descriptor(face, points))


def identity_distance(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> float:
    """Return the distance of the embeddings of two aligned faces; 0 is the same picture.

    Args:
        before: (S, S, 3) uint8, RGB, aligned as FFHQ is.
        after: The same.
    """
    return float(np.linalg.norm(embed_aligned(before) - embed_aligned(after)))
