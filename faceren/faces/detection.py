"""Find the faces of a picture and their five landmarks, whichever way up each of them is.

The picture is searched once as it stands. Whatever the detector suspects is looked at closely, in
four turns; so a face is found and read the right way up though its neighbours lie otherwise. If
most faces lie the same way, the picture is turned first, so that a turned picture has the very
faces of the upright one. Only where faces lie in different ways, or none is found, the whole
picture is searched in the other turns, too; of a page of prints those that may hold a face so.
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
from faceren.faces.closer import (
    LEANING,
    SAME_TURN,
    SURE,
    Glance,
    best_turn,
    leans,
    leans_alike,
    likely_turns,
    likeness,
    rivals_of,
    upright_look,
)
from faceren.faces.face import Face, Search, apart, is_human, quarter, tilt
from faceren.faces.pyramid import (
    PAGE_SIDE,
    Box,
    always_seen,
    lying_on,
    search_coarsest,
    search_levels,
)

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
TOGETHER = 15.0
"""Degrees between the tilts of faces that lean alike."""
SMALL = 40.0
"""Width in pixels below which an upright face is measured again, enlarged."""
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
    picture = _Picture(image, threshold, search, (0, 1, 2, 3) if rotate else (0,))
    first = _first_turn(picture)
    found = _gathered(picture, first)
    if (usual := _usual_turn(found, first)) != first:
        found = _gathered(picture, usual, found)
    full = [face.moved(1 / scale, 0, 0) for face in found]
    return sorted(full, key=lambda face: (-face.width * face.height, face.box))


Looked = tuple[Face, list[Face]]
"""A place, and what ``likely_turns`` has seen there."""


@dataclass(frozen=True)
class _Picture:
    """A picture and how it is searched."""

    image: Rgb8
    threshold: float
    search: Search
    turns: tuple[int, ...]
    """Quarter turns in which faces are looked for, none among them."""
    known: dict[int, list[Face]] = field(default_factory=dict)
    """What was found in each turn."""
    standing: dict[int, list[Face]] = field(default_factory=dict)
    """Faces that surely stand upright in a turn."""
    looked: list[Looked] = field(default_factory=list)
    """Places of the picture that were looked at as it stands, and what ``likely_turns`` saw."""
    sure: list[Face] = field(default_factory=list)
    """What was surely seen there, in whatever way it lies."""

    def faces(self, turn: int, before: Sequence[Face] = ()) -> list[Face]:
        """Return what the detector sees of the picture turned, in pixels of the picture.

        Args:
            turn: Number of quarter turns.
            before: Faces that another turn has shown: levels that only much smaller ones would
                need are left out, and only those that stand in this turn are measured in it.
        """
        turn %= 4
        if turn not in self.known:
            clear = [face for face in before if not face.doubt]
            lying = [f for f in clear if f.score >= SURE and abs(_lean(f, turn)) > ANOTHER_WAY]
            standing = [face for face in clear if quarter(face) == turn]
            narrowed = _Narrowed(
                coarse=self.coarse if turn == 0 else None,
                settled=self._seen(lying, turn),
                standing=self._seen(standing + self.standing.get(turn, []), turn),
                looked=self.looked if turn == 0 else (),
                leaning=self._seen(self.leaning, turn),
                smallest=_smallest(clear),
            )
            self.known[turn] = lying + self._searched(turn, narrowed)
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
            return self._on_page(turn, settled, _smallest(clear))
        narrowed = _Narrowed(
            coarse=self.coarse if turn == 0 else None,
            settled=self._seen(settled, turn),
            smallest=_smallest(clear),
        )
        return self._searched(turn, narrowed)

    def _on_page(self, turn: int, settled: Sequence[Face], smallest: float) -> list[Face]:
        """Return what is seen of a page turned: of what has a face that lies so, or has none."""
        found = []
        whole = max(self.image.shape[:2])
        middles = [face.landmarks.mean(0).tolist() for face in settled]
        for x0, y0, x1, y1 in self._lying[1]:
            if min(x1 - x0, y1 - y0) < LEAST_PRINT:
                continue
            places = zip(settled, middles, strict=True)
            on_it = [face for face, (x, y) in places if x0 <= x < x1 and y0 <= y < y1]
            if on_it and all(quarter(face) != turn for face in on_it):
                continue
            part = replace(self, image=self.image[y0:y1, x0:x1])
            here = part._seen([face.moved(1, -x0, -y0) for face in on_it], turn)
            narrowed = _Narrowed(settled=here, smallest=smallest, long_side=whole)
            found += [face.moved(1, x0, y0) for face in part._searched(turn, narrowed)]
        return found

    @cached_property
    def _lying(self) -> tuple[list[Box], list[Box]]:
        step = max(1, max(self.image.shape[:2]) // PAGE_SIDE)  # every so many pixels is enough
        prints, things = lying_on(np.ascontiguousarray(self.image[::step, ::step]))
        return prints, [_around(box, step, self.image.shape) for box in things]

    @property
    def leaning(self) -> list[Face]:
        """Faces that surely lean, all alike: so may others. Prints on a page lie as they fall."""
        first = tilt(self.sure[0]) if self.sure else 0.0
        alike = all(leans(f) and abs(apart(tilt(f), first)) < TOGETHER for f in self.sure)
        return self.sure if alike and len(self.sure) > 1 and not self.is_page else []

    @property
    def is_page(self) -> bool:
        """Whether several prints lie in it, which may lie in any way."""
        return bool(self._lying[0])

    @cached_property
    def coarse(self) -> list[Face]:
        """What the detector sees in the coarsest level of the picture as it stands."""
        return search_coarsest(self.image, min(HINT, self.threshold), self.search)

    def _seen(self, faces: Sequence[Face], turn: int) -> list[Face]:
        """Return faces of the picture in pixels of the picture turned."""
        shape = self.image.shape[:2][:: 1 if turn % 2 == 0 else -1]
        return [turned_back(face, -turn % 4, shape) for face in faces]

    def _searched(self, turn: int, narrowed: "_Narrowed") -> list[Face]:
        turned = _turned(self.image, turn)
        found = _standing(turned, self.threshold, self.search, self.turns, narrowed)
        return [turned_back(face, turn, self.image.shape) for face in found]


@dataclass(frozen=True)
class _Narrowed:
    """What a search need not do again."""

    coarse: list[Face] | None = None
    """See ``search_levels``."""
    settled: Sequence[Face] = ()
    """Faces that stay as they are."""
    standing: Sequence[Face] = ()
    """Faces that surely stand upright."""
    looked: Sequence[Looked] = ()
    """Places of ``coarse`` that were looked at."""
    leaning: Sequence[Face] = ()
    """Faces that surely lean: others may lean alike."""
    smallest: float = 0.0
    """See ``search_levels``."""
    long_side: int = 0
    """See ``search_levels``."""


def _around(box: Box, step: int, shape: Sequence[int]) -> Box:
    """Return a box of a picture of which every so many pixels were seen, with what is beside it."""
    x0, y0, x1, y1 = (edge * step for edge in box)
    more = round(BESIDE * max(x1 - x0, y1 - y0)) + step
    return max(0, x0 - more), max(0, y0 - more), min(shape[1], x1 + more), min(shape[0], y1 + more)


def _smallest(faces: Sequence[Face]) -> float:
    """Return the shortest side of any face; 0 if there is none."""
    return min((min(face.width, face.height) for face in faces), default=0.0)


def _turned(image: Rgb8, turn: int) -> Rgb8:
    """Return ``np.rot90(image, turn)``; OpenCV copies it in a fifth of the time."""
    ways = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}
    if turn % 4 == 0:
        return np.ascontiguousarray(image)
    return np.asarray(cv2.rotate(image, ways[turn % 4]), np.uint8)


def _first_turn(picture: _Picture) -> int:
    """Return the turn to begin with: that in which most of the surest of a coarse look stand.

    Faces of them that surely stand that way are noted: they need no closer look.
    """
    if len(picture.turns) < 2:
        return 0
    voices: Counter[int] = Counter()
    standing: list[Face] = []
    for face in sorted(picture.coarse, key=lambda face: -face.score)[:VOICES]:
        leaning = [other for other in picture.sure if leans(other)]
        alike = leans_alike(picture.image, face, picture.search, leaning)
        if alike is not None and alike.upright is not None:
            picture.sure.append(alike.upright)
            voices[quarter(alike.upright)] += 1
            continue
        looks = likely_turns(picture.image, face, picture.search, picture.turns)
        picture.looked.append((face, looks))
        picture.sure.extend(look for look in looks[:1] if look.score >= SURE)
        if looks and looks[0].score >= picture.threshold:
            voices[quarter(looks[0])] += 1
            if looks[0].score >= SURE and len(rivals_of(looks)) < 2:
                standing.append(looks[0])
    first = max(range(4), key=lambda turn: (voices[turn], -turn))
    picture.standing[first] = [face for face in standing if quarter(face) == first]
    return first


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


def _standing(
    image: Rgb8, threshold: float, search: Search, turns: Sequence[int], narrowed: _Narrowed
) -> list[Face]:
    """Return the faces of a picture of which the detector sees anything as it stands."""
    long_side = narrowed.long_side or max(image.shape[:2])
    seen = search_levels(
        image,
        min(HINT, threshold),
        search,
        coarse=narrowed.coarse,
        smallest=narrowed.smallest,
        long_side=long_side,
    )
    seen = [face for face in seen if not any(face.is_same(known) for known in narrowed.settled)]
    sure = [face for face in seen if face.score >= threshold]
    hints = [face for face in seen if face.score < threshold][:MOST_HINTS]
    found: list[Face] = []
    for face in sure:
        stands = quarter(face) == 0 and any(face.is_same(known) for known in narrowed.standing)
        looked = Glance(image, face, search) if stands else None
        if looked is None:
            looks = _looks_at(face, narrowed.looked)
            standing = quarter(face) == 0
            looked = best_turn(image, face, search, turns, standing=standing, seen=looks)
        small = SMALL / always_seen(long_side)
        checked = _checked(image, face, threshold, search, looked, small)
        found = _with(found, [_judged(image, checked)])
    for hint in hints:
        if any(hint.is_same(face) for face in found if not face.doubt):
            continue
        best = leans_alike(image, hint, search, narrowed.leaning)
        if best is None:
            looks = _looks_at(hint, narrowed.looked)
            best = best_turn(image, hint, search, turns, seen=looks)
        measured = _measured(best, threshold)
        found = _with(found, [] if measured is None else [_judged(image, measured, FROM_A_HINT)])
    return [face for face in found if quarter(face) in turns]


def _looks_at(place: Face, looked: Sequence[Looked]) -> list[Face] | None:
    """Return what was seen at a place if it was looked at."""
    return next((looks for known, looks in looked if known is place), None)


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


def _checked(
    image: Rgb8,
    face: Face,
    threshold: float,
    search: Search,
    best: Glance | None,
    small: float,
) -> Face:
    """Return a face the right way up; as it was found if that is how it stands.

    ``best`` is the face in its best turn; a narrower one than ``small`` is measured.
    """
    turn = quarter(face if best is None else best.face)
    if turn == 0 == quarter(face) and abs(tilt(face)) < LEANING:
        finer = upright_look(image, face, search) if face.width < small else None
        sure = finer is not None and finer.score >= threshold and quarter(finer) == 0
        return replace(face, landmarks=finer.landmarks) if finer and sure else face
    return _measured(best, threshold) or replace(face, doubt=NOT_SEEN_CLOSELY)


def _measured(seen: Glance | None, threshold: float) -> Face | None:
    """Return a face measured upright, if it is surely one."""
    face = None if seen is None else seen.upright
    certain = face is not None and face.score >= (1 + threshold) / 2 and is_human(face)
    return face if certain else None


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
