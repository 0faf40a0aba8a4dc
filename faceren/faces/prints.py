"""The prints that lie on a scanned page: each is judged by itself, not by the page's mean."""

import cv2
import numpy as np

from faceren.arrays import Rgb8
from faceren.faces.face import Face

SEEN = 512
"""Long side in pixels at which a page is looked at."""
UNLIKE_PAPER = 24
"""Least difference from the paper, in levels of any channel, of what lies on it."""
PLAIN = 0.6
"""Share of the page's edge that has to be plain paper: else the picture is no page."""
LEAST_AREA = 0.01
"""Of a print, as a share of the page."""
FILLED = 0.75
"""Share that a print fills of the turned rectangle around it."""

Box = tuple[int, int, int, int]


def prints_on(image: Rgb8) -> list[Box]:
    """Return the prints on a page of plain paper, as boxes x0, y0, x1, y1; none of a single photo.

    Args:
        image: (H, W, 3) uint8.
    """
    return lying_on(image)[0]


def lying_on(image: Rgb8) -> tuple[list[Box], list[Box]]:
    """Return what ``prints_on`` does, and boxes around all that lies on the page, prints or not.

    Args:
        image: (H, W, 3) uint8.
    """
    scale = min(1.0, SEEN / max(image.shape[:2]))
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    edge = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    paper = np.median(edge, axis=0)
    if (np.abs(edge - paper).max(1) < UNLIKE_PAPER).mean() < PLAIN:
        return [], []
    low, high = np.floor(paper - UNLIKE_PAPER) + 1, np.ceil(paper + UNLIKE_PAPER) - 1
    on_it = (cv2.inRange(small, low, high) == 0).astype(np.uint8)
    closed = np.asarray(cv2.morphologyEx(on_it, cv2.MORPH_CLOSE, np.ones((5, 5))), np.uint8)
    prints, things = [], []
    for shape in cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]:
        x, y, width, height = cv2.boundingRect(shape)
        edges = (x, y, x + width, y + height)
        box = tuple(round(edge / scale) for edge in edges)
        things.append((box[0], box[1], box[2], box[3]))
        area, (_, sides, _) = cv2.contourArea(shape), cv2.minAreaRect(shape)
        if area >= LEAST_AREA * on_it.size and area >= FILLED * sides[0] * sides[1]:
            prints.append(things[-1])
    return prints if len(prints) > 1 else [], things


def print_of(face: Face, prints: list[Box], image: Rgb8) -> Rgb8:
    """Return the part of a page that is the print a face is on; the page if it is on none.

    Args:
        face: In pixels of the page.
        prints: See ``prints_on``.
        image: (H, W, 3) uint8.
    """
    x, y = face.landmarks.mean(0)
    on = [box for box in prints if box[0] <= x < box[2] and box[1] <= y < box[3]]
    if not on:
        return image
    x0, y0, x1, y1 = min(on, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
    return image[y0:y1, x0:x1]
