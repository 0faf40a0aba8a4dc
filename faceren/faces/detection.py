"""Find the faces of a picture and their five landmarks, whichever way up each of them is.

The picture is searched once as it stands. Whatever the detector suspects is looked at closely, in
up to eight directions, and measured upright and at one size; so a face is found and read the right
way up though its neighbours lie otherwise. If most faces lie the same way, the picture is turned
first, so that a turned picture has the very faces of the upright one. Only where faces lie in
different ways, or none is found, the whole picture is searched in the other turns, too; of a page
of prints those that may hold a face so.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import cv2
import numpy as np

from faceren.arrays import Rgb8
from faceren.faces import tiny
from faceren.faces.alignment import inverse, turning
from faceren.faces.closer import LEANING, best_turn, likeness, measured
from faceren.faces.face import Face, Search, apart, is_human, quarter, tilt
from faceren.faces.pyramid import PAGE_SIDE, Box, lying_on, search_coarsest, search_levels

HINT = 0.05
"""Least confidence of what is looked at closely."""
VOICES = 3
"""So many of the surest findings of a coarse look say in which turn to begin."""
MOST_HINTS = 24
"""So many of the surest hints are looked at: a noisy scan has hundreds."""
MOST_PIXELS = 24_000_000
"""A larger picture is searched reduced to so many pixels."""
ANOTHER_WAY = 60.0
"""Tilt in degrees beyond which a face lies another way than the picture."""
ASIDE = 30.0
"""Tilt in degrees beyond which the detector, looking that way, may see others that it missed."""
SURE = 0.99
"""Confidence from which no other turn could show a face more surely."""
SAME_TURN = 0.003
"""A face that was found stays so unless another finding of it is surer by this."""
CERTAIN = 0.995
"""Confidence from which the detector needs no second opinion."""
FROM_A_HINT = 4.5
"""Likeness that a face needs of which the detector gave but a hint."""
LEAST_PRINT, BESIDE = 16, 0.05
"""Shorter side in pixels of what is searched of a page, and what is seen around it, of its side."""
FEW_PIXELS = 24.0
"""Longer side in pixels below which no confidence makes a second opinion needless."""
SIDES, NEEDED = (16.0, FEW_PIXELS, 48.0, 64.0), (8.0, 4.5, 4.5, 0.0)
"""Longer sides of faces in pixels, and the likeness needed there: the fewer pixels, the more often
gravel or fur looks like a face (up to 7), while real small faces, aged, have 9 on average."""
NOT_SEEN_CLOSELY = "a closer look sees no face"
UNLIKE = "a second network sees no face"


def detect_faces(
    image: Rgb8, *, threshold: float = 0.8, rotate: bool = True, search: Search = tiny.search
) -> list[Face]:
    """Return the faces of a photo, the largest first; some may be doubtful.

    Args:
        image: (H, W, 3) uint8, RGB.
        threshold: Least confidence, in (0, 1), of a face that is found as the picture stands;
            of others half that doubt is allowed.
        search: The detector.
        rotate: Look for faces that lie on their side or upside down, too.
    """
    scale = min(1.0, (MOST_PIXELS / (image.shape[0] * image.shape[1])) ** 0.5)
    if scale < 1:
        size = [max(32, round(side * scale)) for side in image.shape[1::-1]]
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    turns = (0, 1, 2, 3) if rotate else (0,)
    coarse = search_coarsest(image, min(HINT, threshold), search)
    picture = _Picture(image, threshold, search, turns, coarse)
    first = _first_turn(picture)
    found = _gathered(picture, first)
    if (usual := _usual_turn(found, first)) != first:
        found = _gathered(picture, usual, found)
    full = [face.moved(1 / scale, 0, 0) for face in found]
    return sorted(full, key=lambda face: (-face.width * face.height, face.box))


@dataclass(frozen=True)
class _Picture:
    """A picture and how it is searched."""

    image: Rgb8
    threshold: float
    search: Search
    turns: tuple[int, ...]
    """Quarter turns in which faces are looked for, none among them."""
    coarse: list[Face] | None = None
    """What the detector sees in the coarsest level of the picture as it stands, if it was asked."""
    long_side: int = 0
    """Of the picture that this is a part of; 0: it is none."""
    usual: list[float] = field(default_factory=list)
    """The tilt of its surest face in degrees, if any, to the nearest eighth of a turn: others are
    likely to lean so. Not nearer, as it must be the same in a turned picture."""
    looked: list[tuple[Face, Face | None]] = field(default_factory=list)
    """Places of ``coarse`` that were looked at closely, and what was seen there."""
    known: dict[int, list[Face]] = field(default_factory=dict)
    """What was found in each turn."""

    def faces(self, turn: int, before: Sequence[Face] = ()) -> list[Face]:
        """Return what the detector sees of the picture turned, in pixels of the picture.

        Args:
            turn: Number of quarter turns.
            before: Faces that another turn has shown: those that lie in this turn stay as they
                are. No level is left out, as none is of a picture that stands.
        """
        turn %= 4
        if turn not in self.known:
            clear = [face for face in before if not face.doubt]
            lying = [f for f in clear if f.score >= SURE and abs(_lean(f, turn)) > ANOTHER_WAY]
            self.known[turn] = lying + self._searched(turn, lying)
        return self.known[turn]

    def more(self, turn: int, found: Sequence[Face]) -> list[Face]:
        """Return what is seen in another turn than faces were found in, in pixels of the picture.

        Places where no other finding could be surer are passed over, and levels that only faces
        much smaller than those found would need.
        """
        turn %= 4
        clear = [face for face in found if not face.doubt]
        if turn in self.known or not clear:
            return self.faces(turn)
        settled = [face for face in clear if face.score >= SURE]
        if self.is_page:
            return self._on_page(turn, settled)
        return self._searched(turn, settled, clear)

    def _on_page(self, turn: int, settled: Sequence[Face]) -> list[Face]:
        """Return what is seen of a page turned: of what has a face that lies so, or has none."""
        found = []
        middles = [face.landmarks.mean(0).tolist() for face in settled]
        for x0, y0, x1, y1 in self._lying[1]:
            if min(x1 - x0, y1 - y0) < LEAST_PRINT:
                continue
            places = zip(settled, middles, strict=True)
            on_it = [face for face, (x, y) in places if x0 <= x < x1 and y0 <= y < y1]
            if on_it and all(quarter(face) != turn for face in on_it):
                continue
            part = replace(
                self,
                image=self.image[y0:y1, x0:x1],
                coarse=None,
                long_side=self.long_side or max(self.image.shape[:2]),
            )
            here = [face.moved(1, -x0, -y0) for face in on_it]
            found += [face.moved(1, x0, y0) for face in part._searched(turn, here, here)]
        return found

    @cached_property
    def _lying(self) -> tuple[list[Box], list[Box]]:
        step = -(-max(self.image.shape[:2]) // PAGE_SIDE)  # every so many pixels is enough
        prints, things = lying_on(np.ascontiguousarray(self.image[::step, ::step]))
        return prints, [_around(box, step, self.image.shape) for box in things]

    @property
    def is_page(self) -> bool:
        """Whether several prints lie in it, which may lie in any way."""
        return bool(self._lying[0])

    def _searched(
        self, turn: int, settled: Sequence[Face], known: Sequence[Face] = ()
    ) -> list[Face]:
        """Return the faces of the picture turned of which the detector sees anything as it lies.

        Args:
            turn: Number of quarter turns.
            settled: Faces of the picture whose places are passed over.
            known: See ``search_levels``.
        """
        image, shape = _turned(self.image, turn), self.image.shape[:2]
        seen = search_levels(
            image,
            min(HINT, self.threshold),
            self.search,
            coarse=self.coarse if turn == 0 else None,
            known=known,
            long_side=self.long_side,
        )
        there = [turned_back(face, -turn, shape[:: 1 if turn % 2 == 0 else -1]) for face in settled]
        seen = [face for face in seen if not any(face.is_same(other) for other in there)]
        found: list[Face] = []
        for face in seen:
            if face.score >= self.threshold:
                found = _with(found, [_judged(image, self._checked(image, face))])
        usual = self.usual[0] - 90 * turn if self.usual else None
        for hint in [face for face in seen if face.score < self.threshold][:MOST_HINTS]:
            if any(hint.is_same(face) for face in found if not face.doubt):
                continue
            certain = self._measured(image, self._looked_at(image, hint, usual))
            found = _with(found, [_judged(image, certain, FROM_A_HINT)] if certain else [])
        standing = [face for face in found if quarter(face) in self.turns]
        return [turned_back(face, turn, shape) for face in standing]

    def _checked(self, image: Rgb8, face: Face) -> Face:
        """Return a face the right way up; with its box as it was found if that is how it stands."""
        stands, seen = abs(tilt(face)) < LEANING, self._looked_at(image, face)
        certain = self._measured(image, seen)
        if stands and (seen is None or quarter(seen) == 0):
            upright = certain is not None and abs(tilt(certain)) <= ANOTHER_WAY
            return replace(face, landmarks=certain.landmarks) if certain and upright else face
        return certain or replace(face, doubt=NOT_SEEN_CLOSELY)

    def _looked_at(self, image: Rgb8, place: Face, first: float | None = None) -> Face | None:
        """Return what ``best_turn`` does; it is not asked again what it has said before."""
        for known, seen in self.looked:
            if known is place:
                return seen
        return best_turn(image, place, self.search, self.turns, first)

    def _measured(self, image: Rgb8, seen: Face | None) -> Face | None:
        """Return a face measured upright, if it is surely one."""
        face = None if seen is None else measured(image, seen, self.search)
        certain = face is not None and face.score >= (1 + self.threshold) / 2 and is_human(face)
        return face if certain else None


def _around(box: Box, step: int, shape: Sequence[int]) -> Box:
    """Return a box of a picture of which every so many pixels were seen, with what is beside it."""
    x0, y0, x1, y1 = (edge * step for edge in box)
    more = round(BESIDE * max(x1 - x0, y1 - y0)) + step
    return max(0, x0 - more), max(0, y0 - more), min(shape[1], x1 + more), min(shape[0], y1 + more)


def _turned(image: Rgb8, turn: int) -> Rgb8:
    """Return ``np.rot90(image, turn)``; OpenCV copies it in a fifth of the time."""
    ways = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}
    if turn % 4 == 0:
        return np.ascontiguousarray(image)
    return np.asarray(cv2.rotate(image, ways[turn % 4]), np.uint8)


def _first_turn(picture: _Picture) -> int:
    """Return the turn to begin with: that in which most of the surest of a coarse look stand.

    The tilt of the surest of them is noted.
    """
    surest = sorted(picture.coarse or [], key=lambda face: -face.score)[:VOICES]
    if len(picture.turns) < 2:
        return 0
    looked = [(p, best_turn(picture.image, p, picture.search, picture.turns)) for p in surest]
    picture.looked.extend(looked)
    sure = [face for _, face in looked if face is not None and face.score >= picture.threshold]
    picture.usual.extend(45.0 * round(tilt(face) / 45) for face in sure[:1])
    voices = Counter(quarter(face) for face in sure)
    return max(range(4), key=lambda turn: (voices[turn], -turn))


def _gathered(picture: _Picture, first: int, before: Sequence[Face] = ()) -> list[Face]:
    """Return the faces that one turn shows, and those of the other turns if faces lie that way.

    If they lie in different ways or on several prints, or there is none, that is all turns; if
    heads lean far to a side, that side.
    """
    found = picture.faces(first, before)
    clear = [face for face in found if not face.doubt]
    usual = _usual_turn(clear, first)
    leans = [_lean(face, usual) for face in clear]
    turns: Sequence[int] = picture.turns
    if clear and all(abs(lean) <= ANOTHER_WAY for lean in leans) and not picture.is_page:
        sides = {round(lean / abs(lean)) for lean in leans if abs(lean) > ASIDE}
        turns = [
            turn for turn in turns if (turn + first - usual) % 4 in {side % 4 for side in sides}
        ]
    for turn in turns:
        found = _with(found, picture.more(first + turn, found))
    return found


def _lean(face: Face, turn: int) -> float:
    """Return how a face is tilted in the picture turned, -180 to 180 degrees."""
    return apart(tilt(face), 90.0 * turn)


def _usual_turn(faces: Sequence[Face], first: int) -> int:
    """Return the quarter turn in which most faces stand; ``first`` unless most stand otherwise."""
    clear = [face for face in faces if not face.doubt]
    standing = [sum(abs(_lean(face, turn)) <= ANOTHER_WAY for face in clear) for turn in range(4)]
    usual = max(range(4), key=lambda turn: (standing[turn], -turn))
    return usual if standing[usual] > 2 * standing[first] else first


def _judged(image: Rgb8, face: Face, least: float = 0.0) -> Face:
    """Return a face, with a doubt if to another network it looks less like one than asked."""
    side = max(face.width, face.height)
    if face.doubt or (face.score >= CERTAIN and side >= FEW_PIXELS):
        return face
    if likeness(image, face) > max(least, float(np.interp(side, SIDES, NEEDED))):
        return face
    return replace(face, doubt=UNLIKE)


def _with(found: Sequence[Face], more: Sequence[Face]) -> list[Face]:
    """Return the faces with those that stand in another place, or are surer in the same one."""
    kept = list(found)
    for face in more:
        same = [other for other in kept if face.is_same(other)]
        if all(_rank(face) > _rank(other) + SAME_TURN for other in same):
            kept = [other for other in kept if not any(other is one for one in same)] + [face]
    return kept


def _rank(face: Face) -> float:
    return face.score - bool(face.doubt)


def turned_back(face: Face, turns: int, shape: Sequence[int]) -> Face:
    """Return a face found in ``np.rot90(image, turns)`` in pixels of the image.

    Landmarks are counted from the first pixel's centre, as crops count, so that a turned photo has
    the very crops of the upright one; boxes are counted from its corner.

    Args:
        face: As it was found.
        turns: Quarter turns counterclockwise.
        shape: Height and width of the image.
    """
    if turns % 4 == 0:
        return face
    back = inverse(turning(turns, shape[0], shape[1]))
    corners = (np.array([face.box[:2], face.box[2:]]) - 0.5) @ back[:, :2].T + back[:, 2] + 0.5
    (x0, y0), (x1, y1) = corners.min(0).tolist(), corners.max(0).tolist()
    return replace(
        face, box=(x0, y0, x1, y1), landmarks=face.landmarks @ back[:, :2].T + back[:, 2]
    )
