"""Take a restoration back: a whole photo to the bytes of its original, or single faces of it.

What is taken back is written down: a reverted photo has the status ``reverted``, a reverted face
``"reverted": true`` in its photo's line. It stays so until the photo is restored anew with
``--overwrite`` or ``--only``.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from faceren.arrays import Matrix, Plane
from faceren.checks import Json
from faceren.errors import FaceError, ImageError, ShapeError
from faceren.faces.alignment import crop_box, crop_transform
from faceren.files import sha256_of
from faceren.images import (
    Box,
    Photo,
    copy_photo,
    enlarged,
    read_photo,
    shown,
    write_photo,
)
from faceren.restoration.options import RestoreOptions
from faceren.restoration.paste import across
from faceren.runs.manifest import Line
from faceren.runs.plan import SUFFIX_OF

FORMAT_OF = {suffix: name for name, suffix in SUFFIX_OF.items()}
KEPT = "the original was kept"


def reverted(
    line: Line,
    source: Path,
    output: Path,
    faces: Collection[int] | None,
    *,
    max_pixels: int,
    quality: int = 95,
) -> Line:
    """Put the original back, whole or in some faces' places; return the photo's new line.

    Args:
        line: The photo's line of the manifest, of a restored photo.
        source: Its original.
        output: Its restored file, to be written.
        faces: Indices of the faces to take back; None for the whole photo.
        max_pixels: Refuse larger photos.
        quality: Of lossy formats (see ``write_photo``).

    Raises:
        FaceError: If there is no such face, or single faces cannot be taken back in this file.
        ImageError: If the original, or for single faces the output, is gone or has changed.
        MachineError: If the disk is full.
    """
    known = line.get("faces") or []
    if faces is not None and (unknown := [index for index in faces if index >= len(known)]):
        raise FaceError(f"{shown(output)}: no face {unknown[0] + 1}, it has {len(known)}")
    if not source.is_file() or sha256_of(source) != line.get("input_sha256"):
        state = "has changed since" if source.is_file() else "is gone"
        raise ImageError(f"{shown(source)}: the original {state}; nothing was taken back")
    gone = {index for index, face in enumerate(known) if face.get("reverted")}
    gone |= set(range(len(known)) if faces is None else faces)
    marked = [_taken_back(face) if index in gone else face for index, face in enumerate(known)]
    if faces is None or len(gone) == len(known):
        photo, suffix = read_photo(source, max_pixels=max_pixels), output.suffix.lower()
        if suffix == source.suffix.lower():
            copy_photo(output, photo)
        else:  # the run changed formats: the original in the new one
            write_photo(output, photo, format=FORMAT_OF[suffix], quality=quality)
        line = {**line, "status": "reverted", "reason": KEPT}
        if "repair" in line:  # its marks are there again
            line = {**line, "repair": [page | {"filled": False} for page in line["repair"]]}
    else:
        _write_without(line, source, output, gone, max_pixels, quality)
    return {**line, "output_sha256": sha256_of(output), "faces": marked, "chosen": True}


def _taken_back(face: Line) -> Line:
    """Return what is recorded of a face that is the original's again, whatever the version."""
    measured = [name for name in ("identity_distance", "identity") if name in face]
    return face | dict.fromkeys(measured) | {"reverted": True}


def _write_without(
    line: Line, source: Path, output: Path, gone: Collection[int], max_pixels: int, quality: int
) -> None:
    """Write the restored photo with the original in the places of some faces."""
    after = _as_recorded(line, output, max_pixels)
    before = read_photo(source, max_pixels=max_pixels)
    try:
        scale = after.pages[0].upright_shape[1] // before.pages[0].upright_shape[1]
        before = enlarged(before, max(1, scale), max_pixels=max_pixels)
        photo = with_faces_of(after, before, line["faces"], set(gone), before.scale)
    except ShapeError as error:
        raise FaceError(
            f"{shown(output)}: one face cannot be taken back, the file's form differs from its "
            f"original's ({error}); take the whole photo back"
        ) from error
    write_photo(output, photo, quality=quality)


def with_faces_of_file(
    line: Line,
    other: Path,
    output: Path,
    faces: Collection[int],
    max_pixels: int,
    options: RestoreOptions,
) -> None:
    """Write a restored photo with some faces as another restoration of it has them.

    Args:
        line: The photo's line of the manifest.
        other: The other restoration, with the same options but for its faces and their strength.
        output: The photo's restored file, to be written.
        faces: Indices of the faces to take from the other one.
        max_pixels: Refuse larger photos.
        options: Of both; their scale is a number, as it was chosen.

    Raises:
        FaceError: If the two files differ in more than their pixels.
        ImageError: If the restored file is gone or has changed.
        MachineError: If the disk is full.
    """
    photo = _as_recorded(line, output, max_pixels)
    theirs = read_photo(other, max_pixels=max_pixels)
    try:
        photo = with_faces_of(photo, theirs, line["faces"], set(faces), int(options.scale))
    except ShapeError as error:
        raise FaceError(
            f"{shown(output)}: one face cannot be restored alone, the file's form has changed "
            f"({error}); restore the whole photo"
        ) from error
    write_photo(output, photo, quality=options.quality)


def _as_recorded(line: Line, output: Path, max_pixels: int) -> Photo:
    """Return the restored file; ImageError if it has other bytes than were recorded."""
    if not output.is_file() or sha256_of(output) != line.get("output_sha256"):
        raise ImageError(
            f"{shown(output)}: the restored file is gone or has changed since; restore it again "
            f"with --overwrite, or take the whole photo back"
        )
    return read_photo(output, max_pixels=max_pixels)


def with_faces_of(
    photo: Photo, other: Photo, faces: Sequence[Json], chosen: set[int], scale: int
) -> Photo:
    """Return a photo that has some of its faces from another one of the same form.

    Args:
        photo: What the rest is from.
        other: What the chosen faces are from.
        faces: All faces, as the manifest has them.
        chosen: Indices of some.
        scale: How many times as large as the original both are.

    Raises:
        ShapeError: If the two differ in more than their pixels.
    """
    pages = list(photo.pages)
    for number, page in enumerate(pages):
        here = {i: face for i, face in enumerate(faces) if int(face.get("page", 0)) == number}
        if set(here) & chosen:
            shares = face_shares(here, chosen, page.upright_shape, scale)
            pages[number] = page.mixed(other.pages[number], shares)
    return replace(photo, pages=tuple(pages))


def face_shares(
    faces: Mapping[int, Json], chosen: set[int], shape: tuple[int, int], scale: int = 1
) -> Iterator[tuple[Box, Plane]]:
    """Yield where chosen faces are, and their share of each pixel there, (h, w) in [0, 1].

    A pixel in the crops of chosen faces alone is all theirs. Where crops of chosen and other faces
    overlap, the shares pass smoothly from one to the other.

    Args:
        faces: The faces of a page, by index.
        chosen: Indices of some.
        shape: Height and width of the restored page.
        scale: How many times as large it is as the original.
    """
    transforms = {
        index: crop_transform((np.array(face["landmarks"]) + 0.5) * scale - 0.5, int(face["crop"]))
        for index, face in faces.items()
    }
    for taken in sorted(chosen & set(faces)):
        size = int(faces[taken]["crop"])
        box = crop_box(transforms[taken], size, shape)
        nearness = {
            index: _nearness(matrix, int(faces[index]["crop"]), box)
            for index, matrix in transforms.items()
        }
        total = sum(nearness.values(), np.zeros((box[3] - box[1], box[2] - box[0]), np.float32))
        ours = sum((nearness[i] for i in nearness if i in chosen), np.zeros_like(total))
        yield box, np.divide(ours, total, out=np.zeros_like(total), where=total > 0)


def _nearness(matrix: Matrix, size: int, box: Box) -> Plane:
    """Return how near a crop's centre the pixels of a box are: 1 there, 0 at its edge, beyond."""
    u, v = across(matrix, size, box)
    return np.clip(1 - np.maximum(np.abs(u), np.abs(v)), 0, 1).astype(np.float32)
