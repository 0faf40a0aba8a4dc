"""What the pictures of one photo show: the photo before and after, and each face.

A face is three squares in a row: as it was, restored, and what changed; one that was left alone is
one square. All of it follows from the manifest's line and the two files, so that a page can be made
again long after the run.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from faceren.arrays import LUMA, Rgb8
from faceren.checks import Json
from faceren.errors import FaceError
from faceren.faces.alignment import crop_box, crop_transform, cut_crop
from faceren.images import Photo
from faceren.pages.marks import marks_key, marks_picture
from faceren.pages.pictures import Pictures, digest, shrunk

Face = Mapping[str, Any]
"""A face of the manifest."""

CARD = 640
"""Longest side in pixels of a photo's picture."""
FACE = 224
"""Longest side in pixels of each square of a face's picture."""
FULL_CHANGE = 0.1
"""Change of brightness, of [0, 1], that the map of what changed shows in its brightest colour."""
AROUND = 1.6
"""Side of what is shown of a face that was left alone, in longer sides of its box."""


@dataclass(frozen=True)
class Keys:
    """Names of a photo's pictures; see ``pictures.digest``."""

    before: str
    after: str
    """Equal to ``before`` if the output is the original, byte for byte."""
    faces: tuple[str, ...]
    left: tuple[str, ...]
    """Of faces that were left alone."""
    marks: str
    """Of the marks on the print; empty if there are none to show."""

    def __iter__(self) -> Iterator[str]:
        yield from (self.before, self.after, *self.faces, *self.left, *filter(None, [self.marks]))


def keys_of(line: Json) -> Keys:
    """Return the names of the pictures of a photo.

    Args:
        line: Of the manifest.
    """
    source, output = line.get("input_sha256"), line.get("output_sha256")
    faces = [
        digest(source, output, FACE, face.get("landmarks"), face.get("crop"), face.get("page"))
        for face in line.get("faces") or []
    ]
    left = [digest(source, FACE, face.get("box"), face.get("page")) for face in left_in(line)]
    before, after = digest(source, CARD), digest(output, CARD)
    return Keys(before, after, tuple(faces), tuple(left), marks_key(line))


def left_in(line: Json) -> list[Face]:
    """Return the faces of a line of the manifest that were seen and left alone."""
    return [face for face in line.get("left") or [] if face.get("box")]


@dataclass(frozen=True)
class Look:
    """One photo, before or after, as small as the page shows it."""

    overview: Rgb8
    """(H, W, 3), the first page."""
    faces: tuple[Rgb8, ...]
    """(S, S, 3) each."""
    left: tuple[Rgb8, ...]
    """(h, w, 3) each: the places of faces that were left alone."""


def look_at(photo: Photo, faces: Sequence[Face], left: Sequence[Face], scale: float) -> Look:
    """Return what the page shows of a photo; its raster is not needed any more then.

    Args:
        photo: The original or the output.
        faces: As the manifest has them: ``landmarks`` in upright pixels of the original, ``crop``.
        left: As the manifest has them: ``box`` in the same pixels.
        scale: How many times as large as the original the photo is.

    Raises:
        FaceError: If a face lies outside the photo.
    """
    tiles = tuple(face_tile(photo, face, scale) for face in faces)
    return Look(overview(photo), tiles, tuple(place_tile(photo, face, scale) for face in left))


def draw(pictures: Pictures, line: Json, before: Look, after: Look | None) -> None:
    """Write those pictures of a photo that are not there yet.

    Args:
        pictures: Where to.
        line: The photo's line of the manifest.
        before: The original.
        after: The output; None if there is none.

    Raises:
        MachineError: If the disk is full.
    """
    keys = keys_of(line)
    pictures.add(keys.before, before.overview)
    for key, place in zip(keys.left, before.left, strict=True):
        pictures.add(key, place)
    if keys.marks and keys.marks not in pictures:
        marked = marks_picture(line, pictures.folder.parent, before.overview)
        if marked is not None:
            pictures.add(keys.marks, marked)
    if after is None:
        return
    pictures.add(keys.after, after.overview)
    for key, old, new in zip(keys.faces, before.faces, after.faces, strict=True):
        pictures.add(key, np.concatenate([old, new, change_map(old, new)], axis=1))


def overview(photo: Photo, side: int = CARD) -> Rgb8:
    """Return the first page of a photo as it is seen, small, (H, W, 3).

    Args:
        photo: Of any size; of a large one every k-th pixel is looked at, to be quick.
        side: Longest side of the result.
    """
    page = photo.pages[0]
    step = max(1, max(page.raster.shape[:2]) // (4 * side))
    thinned = replace(page, raster=page.raster[::step, ::step])
    rgb = shrunk(np.array(thinned.upright_uint8()), side)
    return rgb if thinned.alpha is None else on_white(rgb, thinned.alpha)


def on_white(rgb: Rgb8, alpha: NDArray[np.float32]) -> Rgb8:
    """Return a picture as it looks on white paper.

    Args:
        rgb: (H, W, 3).
        alpha: Opacity in [0, 1], of any size; it is scaled to the picture's.
    """
    small = cv2.resize(alpha, rgb.shape[1::-1], interpolation=cv2.INTER_AREA)[..., None]
    return np.asarray(np.rint(rgb * small + 255 * (1 - small)), np.uint8)


def face_tile(photo: Photo, face: Face, scale: float) -> Rgb8:
    """Return an aligned face, (S, S, 3); see ``look_at``."""
    size, page = min(FACE, int(face["crop"])), int(face.get("page", 0))
    landmarks = (np.array(face["landmarks"], np.float64) + 0.5) * scale - 0.5
    matrix = crop_transform(landmarks, size)
    box = crop_box(matrix, size, photo.pages[page].upright_shape)
    crop = cut_crop(lambda part: photo.upright_region(part, page), box, matrix, size)
    return np.rint(crop * 255).astype(np.uint8)


def place_tile(photo: Photo, face: Face, scale: float) -> Rgb8:
    """Return the surroundings of a box, (h, w, 3); see ``look_at``."""
    page, (x0, y0, x1, y1) = int(face.get("page", 0)), (scale * edge for edge in face["box"])
    half = AROUND * max(x1 - x0, y1 - y0, 2) / 2
    height, width = photo.pages[page].upright_shape
    left, right = (min(max(round((x0 + x1) / 2 + side), 0), width) for side in (-half, half))
    top, bottom = (min(max(round((y0 + y1) / 2 + side), 0), height) for side in (-half, half))
    if right <= left or bottom <= top:
        raise FaceError(f"a face's box {face['box']} lies outside the photo")
    part = photo.upright_region((left, top, right, bottom), page)
    return shrunk(np.rint(part * 255).astype(np.uint8), FACE)


def change_map(before: Rgb8, after: Rgb8) -> Rgb8:
    """Return where the brightness changed and how much, as colours from black to pale yellow.

    The scale is the same for all faces, so that faces can be compared: black is no change, the
    brightest colour is ``FULL_CHANGE`` or more, lighter or darker alike.

    Args:
        before: (H, W, 3).
        after: The same shape.
    """
    change = np.abs((after.astype(np.float32) - before) @ LUMA) / FULL_CHANGE
    levels = np.clip(np.rint(change), 0, 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(levels, cv2.COLORMAP_MAGMA)[..., ::-1], np.uint8)
