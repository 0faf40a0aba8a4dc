"""Find faces and their five landmarks, at every size from portrait to group photograph.

A detector knows faces of 16 to 512 pixels, so a photo is searched as a pyramid, each level keeping
the faces of its own size; large levels are searched in overlapping tiles, which bounds memory.
"""

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np

from faceren.faces import tiny
from faceren.faces.face import Face, Image, Search
from faceren.faces.tiny import check_detector

__all__ = ["Face", "check_detector", "detect_faces"]

COARSEST = 640
"""Long side in pixels of the coarsest level."""
LARGEST = 4.0
"""Most that a small photo is enlarged: a face of four pixels is none."""
TILE, OVERLAP = 1536, 256
"""Sides and overlap of the tiles in which a larger level is searched, in its pixels."""
TRUSTED = 160.0
"""Widest face, in a level's pixels, that a level finer than the coarsest may report: on finer
levels eyes and ears of a large face look like faces; coarser levels report it anyway."""
SURE = 0.98
"""A face of this score shows which way is up."""
LYING = 50.0
"""Tilt in degrees beyond which a face lies on its side."""


def _tiles(length: int) -> list[int]:
    """Return the starts of tiles that cover ``length`` pixels with at least OVERLAP in common."""
    if length <= TILE + OVERLAP:
        return [0]
    count = -(-(length - OVERLAP) // (TILE - OVERLAP))
    return [round(index * (length - TILE) / (count - 1)) for index in range(count)]


def _search_tiled(image: Image, threshold: float, search: Search) -> Iterator[Face]:
    height, width = image.shape[:2]
    rows, columns = _tiles(height), _tiles(width)
    for top in rows:
        for left in columns:
            bottom = height if len(rows) == 1 else top + TILE
            right = width if len(columns) == 1 else left + TILE
            for face in search(np.ascontiguousarray(image[top:bottom, left:right]), threshold):
                yield face.moved(1.0, left, top)


def _levels(long_side: int) -> list[float]:
    """Return the scales of the pyramid: COARSEST, doubled up to the photo's own size."""
    scales = [min(COARSEST / long_side, LARGEST)]
    while scales[-1] * 1.5 < 1:
        scales.append(min(1.0, scales[-1] * 2))
    return scales


def _merge(found: list[Face]) -> list[Face]:
    """Keep the most confident of overlapping detections."""
    kept: list[Face] = []
    for face in sorted(found, key=lambda face: (-round(face.score, 2), -face.width)):
        if not any(face.is_same(other) for other in kept):
            kept.append(face)
    return kept


def _turned(image: Image, threshold: float, search: Search, quarter_turns: int) -> list[Face]:
    """Return the faces that are upright in ``np.rot90(image, quarter_turns)``, in its pixels."""
    long_side = max(image.shape[:2])
    shape = image.shape if quarter_turns % 2 == 0 else image.shape[1::-1]
    found: list[Face] = []
    for level, scale in enumerate(_levels(long_side)):
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        size = [max(32, round(side * scale)) for side in image.shape[1::-1]]
        scaled = image if scale == 1 else cv2.resize(image, size, interpolation=method)
        view = np.rot90(np.asarray(scaled, np.uint8), quarter_turns)  # only tiles are copied
        found += [
            face.moved(1 / scale, 0, 0)
            for face in _search_tiled(view, threshold, search)
            if level == 0 or face.width <= TRUSTED
        ]
    return [face for face in _merge(found) if _plausible(face, shape)]


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


def detect_faces(
    image: Image, *, threshold: float = 0.8, rotate: bool = True, search: Search = tiny.search
) -> list[Face]:
    """Return the faces of a photo, the largest first.

    Args:
        image: (H, W, 3) uint8, RGB, upright.
        threshold: Least confidence, in (0, 1).
        search: The detector.
        rotate: If no face is sure and upright, look again with the photo turned by 90, 270 and
            180 degrees, and take the turn in which a face is surest; half the doubt that
            ``threshold`` allows is allowed there.
    """
    found = _turned(image, threshold, search, 0)
    best = _confidence(found)
    if rotate and best < SURE:
        best = max(best, (threshold + 1) / 2)  # three more looks see three times as many ghosts
        for turns in (1, 3, 2):
            turned = _turned(image, threshold, search, turns)
            if _confidence(turned) > best + 0.005:
                best = _confidence(turned)
                found = [_turned_back(face, turns, image.shape) for face in turned]
    return sorted(found, key=lambda face: (-face.width * face.height, face.box))
