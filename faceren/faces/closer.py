"""A closer look at one place of a picture: is there a face, which way is it up, is it one at all?

A detector that sees a face lying on its side, or a tiny one, often says with little confidence that
there is something, and reads its landmarks wrongly. Brought upright and to a size that the detector
knows well, a face is certain, and its landmarks are as good as those of an upright portrait.

The detector learned where faces are, and calls a cat one now and then. dlib's embedding network
learned whose they are, from faces alone; what it sees in its middle layers differs between faces
and other things. ``likeness.npz`` weighs that, and the detector's own confidence.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import cv2
import numpy as np

from faceren.arrays import Float64, Matrix, Rgb8
from faceren.faces import identity
from faceren.faces.alignment import TEMPLATE, similarity, warp
from faceren.faces.face import Face, Search, apart, is_human, quarter, tilt

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
    seen = identity.describe(chip(image, face))
    return np.append(seen, np.log(share / (1 - share)))


def chip(image: Rgb8, face: Face) -> Rgb8:
    """Return a face aligned for dlib's network, (SIDE, SIDE, 3).

    Args:
        image: (H, W, 3) uint8, RGB.
        face: In pixels of the image.
    """
    target = (TEMPLATE + 0.5 - np.array(MIDDLE) + COVERS / 2) * (SIDE / COVERS) - 0.5
    around = 4 * max(face.width, face.height)
    low = np.maximum(face.landmarks.mean(0) - around / 2, 0).astype(int)
    high = (face.landmarks.mean(0) + around / 2).astype(int) + 2
    part = np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]], np.float32)
    seen = warp(part, similarity(face.landmarks - low, target), (SIDE, SIDE))
    return np.asarray(np.clip(cv2.convertScaleAbs(seen), 0, 255), np.uint8)


@cache
def _weights() -> tuple[float, Float64]:
    with np.load(Path(__file__).with_name("likeness.npz")) as file:
        values = np.asarray(file["weights"], np.float64)
    return float(values[0]), values[1:]


TURNED, UPRIGHT = 64, 96
"""Width in pixels of the face in the look that compares turns, and in the one that measures."""
AROUND = 2.2
"""Side of what is looked at, in widths of the face."""
LEVEL = 12.0
"""Degrees of tilt that a look at an upright face may leave; else it is looked at once more."""
LOOKS = 3
"""Most times that a face is looked at until it is upright."""
ASIDE = 30.0
"""Degrees by which a face may lean that the detector, none too sure, has read as upright."""
NEAR = 0.6
"""Distance from the middle, in widths of the face, of what is this face and no neighbour."""
LEAST = 0.3
"""Least confidence of a finding in a look."""
SAME_TURN = 0.003
"""A face that was found upright stays so unless another turn is surer by this."""
SURE = 0.99
"""Confidence at which a face is compared with itself upside down alone: the detector is never so
sure of one that lies on its side."""
UPSIDE_DOWN = 0.95
"""Confidence in a sure face turned upside down from which that may be how it stands."""
CERTAIN = 0.997
"""Confidence in a face turned upright than which none can be surer by SAME_TURN."""
CLOSE = 0.15
"""Turns in which a place looks nearly as much like a face are compared once more."""
ALIKE = 50.0
"""Degrees between the tilts of two readings of a place up to which they say the same."""
SEEN_WELL = 0.8
"""Confidence from which a face's landmarks say how it leans."""
LEANING = 25.0
"""Tilt in degrees from which a face is measured again, turned upright: the detector knows upright
faces best."""


def turn_scores(image: Rgb8, place: Face, search: Search, turns: Iterable[int]) -> list[Face]:
    """Return what is seen at a place in each quarter turn, the surest first, in picture pixels.

    Args:
        image: (H, W, 3) uint8.
        place: Where; its box counts, not its landmarks.
        search: The detector.
        turns: Numbers of quarter turns by which the picture is turned counterclockwise.
    """
    pixels = round(AROUND * TURNED)
    corner, side = _whole_pixels(_middle(place), AROUND * _width(place), pixels)
    view = _square(image, corner, side, pixels)
    seen = []
    for turn in turns:
        face = _nearest(search(np.ascontiguousarray(np.rot90(view, turn)), LEAST), pixels, TURNED)
        if face is not None:
            seen.append(_placed(face, _turning(corner + side / 2, 90.0 * turn, side, pixels)))
    return sorted(seen, key=lambda face: -face.score)


def likely_turns(image: Rgb8, place: Face, search: Search, turns: Sequence[int]) -> list[Face]:
    """Return what ``turn_scores`` does, of a face that surely stands one way or the other no more.

    A place of which the detector is sure already is a look at itself.

    Args:
        image: (H, W, 3) uint8.
        place: Where; its landmarks say which two turns to compare first.
        search: The detector.
        turns: Quarter turns to compare.
    """
    likely = [turn for turn in turns if (turn - quarter(place)) % 2 == 0]
    own = quarter(place)
    if place.score >= SEEN_WELL and leans(place) and len(likely) > 1:
        seen = leaning_scores(image, place, search)
        likely = likely if seen and seen[0].score >= SURE else []
    elif place.score >= SURE and own in likely:
        upside_down = turn_scores(image, place, search, {*likely} - {own})
        if all(face.score < UPSIDE_DOWN for face in upside_down):
            return [place]
        seen = [*turn_scores(image, place, search, [own]), *upside_down]
    else:
        seen = turn_scores(image, place, search, likely)
    seen.sort(key=lambda face: -face.score)
    if seen and seen[0].score >= SURE:
        return seen
    others = [turn for turn in turns if turn not in likely]
    seen += turn_scores(image, place, search, others)
    return sorted(seen, key=lambda face: -face.score)


def leaning_scores(image: Rgb8, place: Face, search: Search) -> list[Face]:
    """Return what is seen of a face turned so that its eyes are level, and upside down; see above.

    Args:
        image: (H, W, 3) uint8.
        place: A face that leans, with landmarks.
        search: The detector.
    """
    looks = (_look(image, place, search, tilt(place) + more) for more in (0, 180))
    return sorted((face for face in looks if face is not None), key=lambda face: -face.score)


def _look(
    image: Rgb8, place: Face, search: Search, angle: float, width: int = TURNED
) -> Face | None:
    """Return what is seen at a place, ``width`` pixels wide, after the picture was turned, if any.

    The angle is in degrees counterclockwise.
    """
    side, pixels = AROUND * _width(place), round(AROUND * width)
    onto = _turning(_middle(place), angle, side, pixels)
    face = _nearest(search(_turned_square(image, onto, side, pixels), LEAST), pixels, width)
    return None if face is None else _placed(face, onto)


@dataclass(frozen=True)
class Glance:
    """A face as a look at its place has shown it."""

    image: Rgb8
    """(H, W, 3) uint8."""
    face: Face
    """In pixels of the image."""
    search: Search
    angle: float | None = None
    """Its tilt in degrees, if that is not what its landmarks say."""

    @cached_property
    def upright(self) -> Face | None:
        """The face as ``upright_look`` finds it, which is asked once."""
        return upright_look(self.image, self.face, self.search, self.angle)

    @property
    def certainty(self) -> float:
        """How sure the detector is of the face turned upright; less if it is none."""
        finer = self.upright
        return self.face.score - 1 if finer is None or not is_human(finer) else finer.score


def leans_alike(image: Rgb8, place: Face, search: Search, others: Sequence[Face]) -> Glance | None:
    """Return what is seen at a place if a face certainly leans there as others in the picture do.

    Of such a face the detector sees but a hint, so all turns would have to be compared.

    Args:
        image: (H, W, 3) uint8.
        place: Where; its box counts, not its landmarks.
        search: The detector.
        others: Faces that surely lean, in pixels of the image.
    """
    if not others:
        return None
    surest = max(others, key=lambda face: face.score)
    glance = Glance(image, place, search, tilt(surest))
    if glance.certainty >= CERTAIN:
        return glance
    if glance.certainty < SURE:
        return None
    reverse = _look(image, place, search, tilt(surest) + 180)  # upside down it may be surer
    return glance if reverse is None or reverse.score < glance.certainty else None


def best_turn(
    image: Rgb8,
    place: Face,
    search: Search,
    turns: Sequence[int],
    *,
    standing: bool = False,
    seen: Sequence[Face] | None = None,
) -> Glance | None:
    """Return what is seen at a place in the turn in which it looks most like a face, or None.

    Args:
        image: (H, W, 3) uint8.
        place: Where.
        search: The detector.
        turns: Quarter turns to compare.
        standing: In doubt the face stands upright.
        seen: What ``likely_turns`` returns, if it was asked already.
    """
    if seen is None:
        seen = likely_turns(image, place, search, turns)
    if len(rivals := rivals_of(seen)) < 2:
        return Glance(image, seen[0], search) if seen else None
    best, certain = None, -np.inf
    for face in sorted(rivals, key=lambda face: quarter(face) != 0) if standing else rivals:
        glance = Glance(image, face, search)
        certainty = glance.certainty
        if certainty >= CERTAIN:
            return glance
        certainty += SAME_TURN if standing and quarter(face) == 0 else 0.0
        if certainty > certain:
            best, certain = glance, certainty
    return best


def rivals_of(seen: Sequence[Face]) -> list[Face]:
    """Return those of ``turn_scores`` that look nearly as much like a face as the surest.

    Of those that say about the same of which way is up it is the surest.
    """
    rivals: list[Face] = []
    for face in seen:
        close = face.score > seen[0].score - CLOSE
        if close and all(abs(_between(face, other)) > ALIKE for other in rivals):
            rivals.append(face)
    return rivals


def _between(face: Face, other: Face) -> float:
    """Return the angle from one face's tilt to another's, -180 to 180 degrees."""
    return apart(tilt(face), tilt(other))


def leans(face: Face) -> bool:
    """Say whether a face neither stands nor lies: of others that lean alike little is seen."""
    return abs(_lean(face)) > LEANING


def _lean(face: Face) -> float:
    """Return how far a face is tilted from the nearest quarter turn, in degrees."""
    return (tilt(face) + 45) % 90 - 45


def upright_look(
    image: Rgb8, seen: Face, search: Search, angle: float | None = None
) -> Face | None:
    """Return a face as it is found after the picture was turned so that its eyes are level.

    Args:
        image: (H, W, 3) uint8.
        seen: The face with landmarks that say roughly which way is up.
        search: The detector.
        angle: Its tilt, if its landmarks do not say that.
    """
    face, angle = seen, tilt(seen) if angle is None else angle
    for _ in range(LOOKS):
        found = _look(image, face, search, angle, UPRIGHT)
        if found is None:
            return None
        face, before, angle = found, angle, tilt(found)
        if abs(apart(angle, before)) < LEVEL:
            break
    if not SEEN_WELL <= face.score < SURE:
        return face
    others = (_look(image, face, search, angle + aside, UPRIGHT) for aside in (-ASIDE, ASIDE))
    return max((face, *filter(None, others)), key=lambda face: face.score)


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


def _whole_pixels(middle: Float64, side: float, pixels: int) -> tuple[Float64, int]:
    """Return corner and side of a square of whole pixels that can be halved down to ``pixels``."""
    step = 1
    while side >= 2 * step * pixels:
        step *= 2
    length = max(2, step * round(side / step))
    return np.rint(middle - length / 2), length


def _square(image: Rgb8, corner: Float64, length: int, pixels: int) -> Rgb8:
    """Return a square of a picture brought to ``pixels``; its edge is repeated beyond it."""
    left, top = (int(edge) for edge in corner)
    height, width = image.shape[:2]
    above, beside = max(0, -top), max(0, -left)
    edges = (above, max(0, top + length - height), beside, max(0, left + length - width))
    part = image[max(0, top) : top + length, max(0, left) : left + length]
    if any(edges):
        part = cv2.copyMakeBorder(part, *edges, cv2.BORDER_REPLICATE)
    while len(part) >= 2 * pixels:  # halving first takes a fifth of the time
        half = len(part) // 2
        part = cv2.resize(part, (half, half), interpolation=cv2.INTER_AREA)
    method = cv2.INTER_AREA if length > pixels else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, (pixels, pixels), interpolation=method), np.uint8)


def _turned_square(image: Rgb8, onto: Matrix, side: float, pixels: int) -> Rgb8:
    """Return a square of a picture as ``_turning`` maps it."""
    linear, shift = onto[:, :2], onto[:, 2]
    step = 1  # halved, as a mean over other areas than whole pixels takes as long as a look
    while side > step * pixels:
        step *= 2
    if step > 1:
        middle = np.asarray(np.linalg.solve(linear, pixels / 2 - shift), np.float64)
        length = step * round(1.5 * side / step)  # what a turned square covers, and a little more
        corner = np.rint(middle - length / 2)
        image = _square(image, corner, length, length // step)
        linear, shift = linear * step, shift + linear @ corner
    return _warped(image, linear, shift, pixels)


def _warped(image: Rgb8, linear: Float64, shift: Float64, pixels: int) -> Rgb8:
    """Return a square of ``pixels`` of what a map, corners at 0, makes of a picture."""
    centres = shift + linear @ np.full(2, 0.5) - 0.5  # OpenCV counts from the first pixel's centre
    turned = cv2.warpAffine(
        image,
        np.column_stack([linear, centres]),
        (pixels, pixels),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(turned, np.uint8)


def _nearest(found: Sequence[Face], pixels: int, width: int) -> Face | None:
    """Return the surest of the faces about the middle of a look, or None."""
    near = []
    for face in found:
        x0, y0, x1, y1 = face.box
        if max(abs(x0 + x1 - pixels), abs(y0 + y1 - pixels)) < 2 * NEAR * width:
            near.append(face)
    return max(near, key=lambda face: face.score, default=None)


def _placed(face: Face, onto: Matrix) -> Face:
    """Return a face of a look in pixels of the picture; its box keeps its sides, unturned."""
    scale = 1 / float(np.hypot(*onto[0, :2]))
    back = onto[:, :2].T * scale**2
    landmarks = (face.landmarks - onto[:, 2]) @ back.T
    x, y = back @ (_middle(face) - onto[:, 2])
    half = np.array([face.width, face.height]) * scale / 2
    if abs(onto[0, 1]) > abs(onto[0, 0]):
        half = half[::-1]
    return replace(
        face, box=(x - half[0], y - half[1], x + half[0], y + half[1]), landmarks=landmarks
    )
