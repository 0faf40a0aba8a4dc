"""Repair a photo's print before its faces: find marks, judge each, fill, and say what was done.

Only pixels of the mask change. What is wider than lines can bridge, doubtful or part of a face is
listed and stays; a photo that seems to be all marks is not touched.
"""

import glob
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from faceren.arrays import Rgb8
from faceren.assets import ASSETS
from faceren.checks import Json
from faceren.config import Mark
from faceren.errors import ImageError
from faceren.faces.face import Face
from faceren.files import sha256_of
from faceren.images import Box, Photo
from faceren.images.page import Page
from faceren.restoration.repair.fill import filled_bands
from faceren.restoration.repair.finder import MarkFinder, load_finder
from faceren.restoration.repair.gates import AUTO, STRONG, Component, all_over
from faceren.restoration.repair.mask import Kinds, mask_of, read_mask
from faceren.restoration.repair.observer import WEIGHTS as OBSERVER
from faceren.restoration.repair.sighting import sighted
from faceren.restoration.repair.texture import no_photo
from faceren.runs.folder import mask_key

MOST = 0.15
"""Share of a page beyond which ``auto`` does not believe its own mask."""
MOST_GIVEN = 0.5
"""Share of a page beyond which a given mask leaves too little to fill from."""
LISTED = 500
"""Components that a line of the manifest lists, the largest; all are in the mask."""
KEPT = "kept: a person wants it so"
"""Why a mark stays that a person has named."""
FindFaces = Callable[[Rgb8], Sequence[Face]]


@dataclass(frozen=True)
class PageRepair:
    """What was found on one page, and what became of it."""

    kinds: Kinds
    """(H, W), as the mask file shows it: what was filled, or would be."""
    components: tuple[Component, ...]
    filled: bool
    given: bool = False
    """Whether the mask came from outside."""
    note: str = ""
    """Why nothing was filled, or what of ``--repair-keep`` was not found; empty if all is as
    asked."""

    @property
    def share(self) -> float:
        """Share of the page's pixels in the mask."""
        return float(np.count_nonzero(self.kinds)) / self.kinds.size

    def to_json(self) -> Json:
        """Return the manifest's form."""
        largest = sorted(self.components, key=lambda part: -part.area)[:LISTED]
        kinds = Counter(part.mark.name.lower() for part in self.components if not part.left)
        return {
            "filled": self.filled,
            "given": self.given,
            "share": round(self.share, 6),
            "marks": dict(sorted(kinds.items())),
            "left": sum(bool(part.left) for part in self.components),
            "note": self.note,
            "components": [
                {
                    "box": list(part.box),
                    "mark": part.mark.name.lower(),
                    "pixels": part.area,
                    "width": part.width,
                    "certainty": round(part.certainty, 3),
                    "left": part.left,
                }
                for part in largest
            ],
        }

    def in_words(self) -> str:
        """Return what was filled, for the metadata of the output."""
        kinds = {Mark(int(kind)) for kind in np.unique(self.kinds)} - {Mark.NONE}
        names = ", ".join(sorted(kind.name.lower().replace("_", " ") for kind in kinds))
        return f"{names}: {self.share:.2%} of the pixels filled"


@dataclass(frozen=True)
class Repairer:
    """How a run repairs."""

    mode: str
    """``suggest``, ``auto`` or ``strong``; ``off``: only with given masks."""
    masks: Path | None = None
    """Folder of masks that are obeyed, see ``given_mask``."""
    kept: Mapping[str, frozenset[tuple[int, Box]]] = field(default_factory=dict)
    """Marks that stay as they are, by the keys of the photos: page and box."""

    @property
    def finder(self) -> MarkFinder:
        """The detector."""
        return load_finder()

    def given_mask(self, key: str, page: int = 0) -> Path | None:
        """Return the file of a mask that is given for a photo, if there is one.

        Args:
            key: The photo's output below the output folder.
            page: Of a photo with several.
        """
        place = self.masks and self.masks / mask_key(key, page)
        return place if place and place.is_file() else None

    def strays(self, keys: Sequence[str]) -> list[str]:
        """Return what to say of masks that are given for no photo of a run.

        Args:
            keys: Of the photos.
        """
        if self.masks is None:
            return []
        known = set(keys)
        names = [path.relative_to(self.masks).as_posix() for path in self.masks.rglob("*.png")]
        return [
            f"--repair-mask: {name} is the mask of no photo of this run; expected NAME.SUFFIX.png"
            for name in sorted(names)
            if name.removesuffix(".png") not in known
            and re.sub(r"\.\d+\.png$", "", name) not in known
        ]

    def digest(self, key: str) -> str:
        """Return a hash of what decides which pixels of a photo are filled, and how.

        Args:
            key: See ``given_mask``; the masks of all its pages count.
        """
        weights = f"{self.finder.sha256} {ASSETS[OBSERVER].sha256}" if self.mode != "off" else ""
        given = self.given_mask(key)
        hashes = [sha256_of(given) if given else ""]
        if self.masks is not None:
            place = self.masks / key
            further = place.parent.glob(f"{glob.escape(place.name)}.[1-9]*.png")
            hashes += [f"{path.name} {sha256_of(path)}" for path in sorted(further)]
        kept = [str(sorted(self.kept[key]))] if key in self.kept else []
        return "|".join(["", weights, *hashes, *kept])

    def repaired(
        self, photo: Photo, key: str, find_faces: FindFaces
    ) -> tuple[Photo, tuple[PageRepair, ...]]:
        """Return a photo with its marks filled, if that is asked for, and what was found.

        The photo that is given stays as it is.

        Args:
            photo: As it was read.
            key: See ``given_mask``.
            find_faces: Finds the faces whose eyes, noses and mouths are protected.

        Raises:
            MachineError: If weights are missing, or memory is short.
        """
        found = []
        for number, page in enumerate(photo.pages):
            given = self.given_mask(key, number)
            if given is None and self.mode == "off":
                continue
            kept = [box for place, box in self.kept.get(key, ()) if place == number]
            repair = self._given(page, given) if given else self._found(page, find_faces, kept)
            if repair.filled:
                changes = filled_bands(page, repair.kinds > 0)
                photo = photo.merged(changes, number)
            found.append(repair)
        return photo, tuple(found)

    def _given(self, page: Page, path: Path) -> PageRepair:
        """Return what a given mask asks for; one that cannot be obeyed is not, and says so."""
        shape = page.upright_shape
        nothing = np.zeros(shape, np.uint8)
        try:
            kinds = read_mask(path, shape)
        except ImageError as error:
            return PageRepair(nothing, (), filled=False, given=True, note=str(error))
        share = np.count_nonzero(kinds) / kinds.size
        if share > MOST_GIVEN:
            note = f"{path}: the mask covers {share:.0%} of the photo; nothing was filled"
            return PageRepair(nothing, (), filled=False, given=True, note=note)
        return PageRepair(kinds, tuple(_parts(kinds)), filled=bool(share > 0), given=True)

    def _found(self, page: Page, find_faces: FindFaces, kept: Sequence[Box]) -> PageRepair:
        """Return what the detector and the gates find, but for what a person wants kept."""
        image, strong = page.upright_uint8(), self.mode == "strong"
        if not strong and (why := no_photo(image)):
            nothing = np.zeros(image.shape[:2], np.uint8)
            note = f"it has {why}: marks are not looked for; --repair strong looks all the same"
            return PageRepair(nothing, (), filled=False, note=note)
        seen = sighted(page, self.finder, image, find_faces(image))
        parts = tuple(
            replace(part, left=KEPT) if part.box in kept else part
            for part in seen.components(STRONG if strong else AUTO)
        )
        kinds = mask_of([part for part in parts if not part.left], image.shape[:2])
        share = np.count_nonzero(kinds) / kinds.size
        note = _strays(kept, parts)
        writes = self.mode in ("auto", "strong")
        if not strong and (why := all_over(parts, image.shape[:2])):
            note = f"it has {why}: auto fills none of them; --repair strong does"
            return PageRepair(kinds, parts, filled=False, note=note)
        if writes and share > MOST and not strong:
            note = (
                f"{share:.0%} of the photo seems to be marked; auto fills no more than {MOST:.0%}"
            )
            return PageRepair(kinds, parts, filled=False, note=note)
        return PageRepair(kinds, parts, filled=bool(writes and share > 0), note=note)


def _strays(kept: Sequence[Box], parts: Sequence[Component]) -> str:
    """Return what to say of marks that a person wants kept and that were not found."""
    unknown = sorted(set(kept) - {part.box for part in parts})
    more = f" (and {len(unknown) - 1} more)" if unknown[1:] else ""
    return f"--repair-keep: no mark was found at {list(unknown[0])}{more}" if unknown else ""


def _parts(kinds: Kinds) -> list[Component]:
    """Return the connected places of a mask that was given."""
    outlines, _ = cv2.findContours(
        (kinds > 0).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    parts = []
    for outline in outlines:
        x, y, w, h = cv2.boundingRect(outline)
        inside = np.zeros((h, w), np.uint8)
        cv2.drawContours(inside, [outline - (x, y)], -1, 1, cv2.FILLED)
        pixels = (inside > 0) & (kinds[y : y + h, x : x + w] > 0)
        mark = Mark(int(np.bincount(kinds[y : y + h, x : x + w][pixels]).argmax()))
        wide = 2 * float(cv2.distanceTransform(np.pad(inside, 1), cv2.DIST_L2, 5).max()) - 1
        parts.append(Component((x, y, x + w, y + h), pixels, mark, round(wide, 1), 1.0))
    return parts
