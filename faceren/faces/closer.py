"""A closer look at one place of a picture: is there a face, which way is it up, is it one at all?

A detector that sees a face lying on its side, or a tiny one, often says with little confidence that
there is something, and reads its landmarks wrongly. Brought upright and to a size that the detector
knows well, a face is certain, and its landmarks are as good as those of an upright portrait.

The detector learned where faces are, and calls a cat one now and then. dlib's embedding network
learned whose they are, from faces alone; what it sees in its middle layers differs between faces
and other things. ``likeness.npz`` weighs that, and the detector's own confidence.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from faceren.arrays import Float64, Matrix, Rgb8
from faceren.faces import dlib_networks
from faceren.faces.alignment import TEMPLATE, similarity, warp
from faceren.faces.face import Face, Search, apart, tilt

SIDE = 150
"""Side in pixels of what that network sees."""
COVERS, MIDDLE = 394.0, (256.0, 285.0)
"""Side and centre of that in a 512-pixel crop aligned as FFHQ is: about dlib's own cut."""


def likeness(image: Rgb8, face: Face) -> float:
    """Return how much a face looks like one: logits, above 0 if rather a face than not.

    Args:
        image: (H, W, 3) uint8, RGB.
        face: In pixels of the image.

    Raises:
        MachineError: If the weights of dlib's network are missing.
    """
    bias, weights = _weights()
    return float(features(image, face) @ weights + bias)


def features(image: Rgb8, face: Face) -> Float64:
    """Return what ``likeness`` weighs, (K,): the network's maps, and the detector's confidence.

    Args:
        image: (H, W, 3) uint8, RGB.
        face: In pixels of the image.
    """
    share = min(max(face.score, 1e-4), 1 - 1e-4)
    seen = dlib_networks.describe(chip(image, face))
    return np.append(seen, np.log(share / (1 - share)))


def chip(image: Rgb8, face: Face) -> Rgb8:
    """Return a face aligned for dlib's network, (SIDE, SIDE, 3).

    Args:
        image: (H, W, 3) uint8, RGB.
        face: In pixels of the image.
    """
    around = 4 * max(face.width, face.height)
    low = np.maximum(face.landmarks.mean(0) - around / 2, 0).astype(int)
    high = (face.landmarks.mean(0) + around / 2).astype(int) + 2
    part = np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]], np.float32)
    seen = warp(part, _aligned(face.landmarks - low, COVERS, SIDE), (SIDE, SIDE))
    return np.asarray(np.clip(cv2.convertScaleAbs(seen), 0, 255), np.uint8)


def _aligned(landmarks: Float64, covers: float, pixels: int) -> Matrix:
    """Return the map from a picture to a square of ``pixels`` that shows a face upright.

    ``covers`` is the square's side in a 512-pixel crop aligned as FFHQ is, about MIDDLE.
    """
    target = (TEMPLATE + 0.5 - np.array(MIDDLE) + covers / 2) * (pixels / covers) - 0.5
    return similarity(landmarks, target)


@cache
def _weights() -> tuple[float, Float64]:
    with np.load(Path(__file__).with_name("likeness.npz")) as file:
        values = np.asarray(file["weights"], np.float64)
    return float(values[0]), values[1:]


COMPARED, AROUND = 48, 1.8
"""Width in pixels of the face in the look that compares turns, and the side of that look in widths
of the face. It costs half as much as one of 64 pixels, and is less often sure of a face the wrong
way up."""
MEASURED, SHOWS = 154, 341.0
"""Side in pixels of the look that measures, and what it covers of a 512-pixel crop: a face of 96
pixels. With wider surroundings its landmarks are no better, of a face of 64 they scatter by half
as much again."""
STEADY = 0.04
"""Distance, in widths of the face, that landmarks may move in a look that is the last: from one to
the next what they are off by halves."""
LOOKS = 3
"""Most times that a face is measured."""
NEAR = 1 / 3
"""Distance from the middle, in sides of the look, of what is this face and no neighbour."""
LEAST = 0.3
"""Least confidence of a finding in a look."""
SURE = 0.97
"""Confidence in a look from which a face surely stands so, unless another turn rivals it."""
RIVALS = 8.0
"""Turns of a place of which the detector has up to so many times the doubt are compared again."""
ALIKE = 50.0
"""Degrees between the tilts of two readings of a place up to which they say the same."""
LEANING = 25.0
"""Tilt in degrees from which a face is read less well than upright."""
SURE_UPRIGHT, UPSIDE_DOWN = 0.99, 0.9
"""Confidence in a place read as upright, of which the detector is never so sure if it lies on its
side; and confidence in it turned upside down from which that may be how it stands."""


def glance(image: Rgb8, place: Face, search: Search, angle: float) -> Face | None:
    """Return the face that is seen at a place after the picture was turned, if any.

    Args:
        image: (H, W, 3) uint8.
        place: Where; its box counts, not its landmarks.
        search: The detector.
        angle: Degrees by which the picture is turned counterclockwise.

    Returns:
        The face in pixels of the image; its box keeps its sides, unturned.
    """
    side, pixels = AROUND * _width(place), round(AROUND * COMPARED)
    return _seen(image, _turning(_middle(place), angle, side, pixels), pixels, search)


def measured(image: Rgb8, face: Face, search: Search) -> Face | None:
    """Return a face as it is found brought upright and to one size by its own landmarks, if it is.

    So whatever its turn and size, the landmarks are nearly the same.

    Args:
        image: (H, W, 3) uint8.
        face: Its landmarks count, not its box.
        search: The detector.
    """
    for _ in range(LOOKS):
        onto = _aligned(face.landmarks + 0.5, SHOWS, MEASURED)
        onto[:, 2] += 0.5  # from corners to corners
        found = _seen(image, onto, MEASURED, search)
        if found is None:
            return None
        moved = np.hypot(*(found.landmarks - face.landmarks).T).mean()
        face = found
        if moved < STEADY * _width(found):
            break
    return face


def best_turn(
    image: Rgb8, place: Face, search: Search, turns: Sequence[int], first: float | None = None
) -> Face | None:
    """Return what is seen at a place in the turn in which it looks most like a face, or None.

    It is looked at in eight directions, each with its opposite, until a face is surely seen that
    stands one way and not the other. A place that is surely read as upright is a look at itself.

    Args:
        image: (H, W, 3) uint8.
        place: Where.
        search: The detector.
        turns: Quarter turns, counterclockwise, near which it may stand.
        first: Tilt in degrees to begin with; default the place's own.
    """
    if place.score >= SURE_UPRIGHT and abs(tilt(place)) < LEANING:
        over = glance(image, place, search, tilt(place) + 180) if 2 in turns else None
        if over is None or over.score < UPSIDE_DOWN:
            return place
    first = tilt(place) if first is None else first
    seen: list[Face] = []
    for more in (0, 90, 45, 135):
        angles = (first + more, first + more + 180)
        looks = [glance(image, place, search, a) for a in angles if round(a / 90) % 4 in turns]
        seen = sorted([*seen, *filter(None, looks)], key=lambda face: -face.score)
        rivals = rivals_of(seen)
        if len(rivals) == 1 and rivals[0].score >= SURE:
            return rivals[0]
    again = (glance(image, face, search, tilt(face)) for face in rivals)
    return max(filter(None, again), key=lambda face: face.score, default=None)


def rivals_of(seen: Sequence[Face]) -> list[Face]:
    """Return those of some readings of a place that look nearly as much like a face as the surest.

    Of those that say about the same of which way is up it is the surest.

    Args:
        seen: The surest first.
    """
    rivals: list[Face] = []
    for face in seen:
        close = 1 - face.score < RIVALS * (1 - seen[0].score)
        if close and all(abs(apart(tilt(face), tilt(other))) > ALIKE for other in rivals):
            rivals.append(face)
    return rivals


def _width(face: Face) -> float:
    return max(face.width, face.height)


def _middle(face: Face) -> Float64:
    x0, y0, x1, y1 = face.box
    return np.array([x0 + x1, y0 + y1]) / 2


def _turning(middle: Float64, angle: float, side: float, pixels: int) -> Matrix:
    """Return the map from a picture to a square of it turned counterclockwise, corners at 0."""
    scale, radians = pixels / side, np.radians(angle)
    cosine, sine = scale * np.cos(radians), scale * np.sin(radians)
    linear = np.array([[cosine, sine], [-sine, cosine]])
    return np.column_stack([linear, pixels / 2 - linear @ middle])


def _seen(image: Rgb8, onto: Matrix, pixels: int, search: Search) -> Face | None:
    """Return the surest face about the middle of a square of a picture, in the picture's pixels."""
    found = search(_turned_square(image, onto, pixels), LEAST)
    near = [face for face in found if np.abs(_middle(face) - pixels / 2).max() < NEAR * pixels]
    surest = max(near, key=lambda face: face.score, default=None)
    return None if surest is None else _placed(surest, onto)


def _turned_square(image: Rgb8, onto: Matrix, pixels: int) -> Rgb8:
    """Return a square of a picture as a map, corners at 0, shows it."""
    linear, shift = onto[:, :2], onto[:, 2]
    side = pixels / float(np.hypot(*linear[0]))
    step = 1  # halved, as a mean over other areas than whole pixels takes as long as a look
    while side > step * pixels:
        step *= 2
    if step > 1:
        middle = np.asarray(np.linalg.solve(linear, pixels / 2 - shift), np.float64)
        length = step * round(1.5 * side / step)  # what a turned square covers, and a little more
        corner = np.rint(middle - length / 2)
        image = _halved(image, corner, length, step)
        linear, shift = linear * step, shift + linear @ corner
    centres = shift + linear @ np.full(2, 0.5) - 0.5  # OpenCV counts from the first pixel's centre
    turned = cv2.warpAffine(
        image,
        np.column_stack([linear, centres]),
        (pixels, pixels),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(turned, np.uint8)


def _halved(image: Rgb8, corner: Float64, length: int, step: int) -> Rgb8:
    """Return a square of a picture, reduced by a power of two; its edge is repeated beyond it."""
    left, top = (int(edge) for edge in corner)
    height, width = image.shape[:2]
    above, beside = max(0, -top), max(0, -left)
    edges = (above, max(0, top + length - height), beside, max(0, left + length - width))
    part = image[max(0, top) : top + length, max(0, left) : left + length]
    if any(edges):
        part = cv2.copyMakeBorder(part, *edges, cv2.BORDER_REPLICATE)
    while step > 1:  # halving takes a fifth of the time of one mean
        part = cv2.resize(part, (len(part) // 2, len(part) // 2), interpolation=cv2.INTER_AREA)
        step //= 2
    return np.asarray(part, np.uint8)


def _placed(face: Face, onto: Matrix) -> Face:
    """Return a face of a look in pixels of the picture; its box keeps its sides, unturned."""
    scale = 1 / float(np.hypot(*onto[0, :2]))
    back = onto[:, :2].T * scale**2
    landmarks = (face.landmarks + 0.5 - onto[:, 2]) @ back.T - 0.5
    x, y = back @ (_middle(face) - onto[:, 2])
    half = np.array([face.width, face.height]) * scale / 2
    if abs(onto[0, 1]) > abs(onto[0, 0]):
        half = half[::-1]
    return replace(
        face, box=(x - half[0], y - half[1], x + half[0], y + half[1]), landmarks=landmarks
    )
