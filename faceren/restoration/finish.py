"""One photo after the network: paste its faces, write it, say what was done."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any, Protocol

from faceren.arrays import Rgb
from faceren.errors import MachineError, told
from faceren.faces.tools import FaceTools
from faceren.files import sha256_of
from faceren.images import Photo, Restoration, copy_photo, write_photo, write_png
from faceren.restoration.crops import FaceCrop, Place, cut
from faceren.restoration.edit import as_bytes, edit_face, scaled
from faceren.restoration.options import RestoreOptions
from faceren.restoration.paste import PastedFaces, Restore, background_bands
from faceren.restoration.photo import Prepared
from faceren.restoration.repair.mask import write_mask
from faceren.restoration.results import FaceEdit, LeftFace, PhotoResult, Status
from faceren.restoration.stream import NetworkResultOrError, without_errors
from faceren.runs.folder import FACES_DIR, MASKS_DIR, inside, mask_key
from faceren.runs.plan import Job

Pasted = tuple[FaceCrop, Rgb]
"""A face as it was cut, and what is added to it, (S, S, 3)."""
NO_TOOLS = FaceTools()
LEFT_ALONE = "every face was left as it was: --max-identity-distance"


class Watcher(Protocol):
    """Sees each photo before anything is pasted and after it is written, and draws both."""

    def look(self, photo: Photo, faces: Sequence[FaceEdit], left: Sequence[LeftFace]) -> Any:
        """Return what is to be remembered of a photo; its pixels are overwritten afterwards."""
        ...

    def draw(self, result: PhotoResult, before: Any, after: Any) -> None:
        """Draw a photo from what ``look`` has returned before and after."""
        ...


def finish(
    prepared: Prepared,
    restored: list[NetworkResultOrError],
    options: RestoreOptions,
    *,
    note: Restoration,
    restore: Restore,
    tools: FaceTools = NO_TOOLS,
    save_faces: bool = False,
    watcher: Watcher | None = None,
) -> PhotoResult:
    """Paste the restored faces, write the output and say what was done.

    The photo's own raster is written into: ``prepared`` cannot be finished twice.

    Args:
        prepared: The photo.
        restored: What the network made of ``prepared.faces``; emptied, to hold nothing twice.
        options: See ``RestoreOptions``.
        note: What the output says of its restoration, if it was restored.
        restore: The network, for the background if that is asked for.
        tools: What outlines faces; default nothing does.
        save_faces: Write the crops before and after beside the outputs.
        watcher: Told of the photo.

    Raises:
        FaceError: If the network failed for a face.
        ImageError: If the format cannot hold the photo, or its file was changed meanwhile.
        MachineError: If the disk is full.
    """
    job, photo = prepared.job, prepared.photo
    merged: Photo | None = None
    faces: Sequence[Pasted]
    if prepared.waiting:  # what they become is known once they are in their places
        faces = OneByOne(prepared, options, restore)
        merged = _merged(prepared, faces, options, restore, tools)
        edits = faces.edits()
    else:
        faces, edits = _edited(prepared, restored, options)
    before = watcher.look(prepared.original or photo, edits, prepared.left) if watcher else None
    status, reason = _status(prepared, edits, options)
    changed = status == "restored" or options.background == "renovate"
    _write_masks(prepared)
    warnings: tuple[str, ...] = ()
    written = prepared.sha256
    if not changed and photo.scale == 1 and options.format == "keep":
        copy_photo(job.output, photo)
    else:
        photo = merged or _merged(prepared, faces, options, restore, tools)
        if save_faces:  # before the output: a photo that fails for them has none
            _save(job, faces)
        warnings, written = _write(prepared, photo, options, note if changed else None)
    if prepared.scale is not None and prepared.scale.limit:
        warnings = (f"not enlarged, it would have {prepared.scale.limit}", *warnings)
    warnings = (*(page.note for page in prepared.repairs if page.note), *warnings)
    result = replace(_result(prepared, status, reason), faces=edits, warnings=warnings)
    result = replace(result, output_sha256=written)
    if watcher:
        watcher.draw(result, before, watcher.look(photo, edits, ()))
    return result


def _status(
    prepared: Prepared, edits: Sequence[FaceEdit], options: RestoreOptions
) -> tuple[Status, str]:
    """Return what became of a photo, and why if no face of it changed."""
    applied = any(edit.strength > 0 for edit in edits) or options.max_identity_distance is None
    if edits and applied:
        return "restored", ""
    seen = len(prepared.left)
    none = f"no face found but {seen} left alone" if seen else "no face found"
    return "restored" if prepared.is_repaired else "no_face", LEFT_ALONE if edits else none


def _result(prepared: Prepared, status: Status, reason: str) -> PhotoResult:
    """Return what is said of a photo before its faces and its output are."""
    photo = prepared.photo
    height, width = photo.pages[0].upright_shape[:2]
    return PhotoResult(
        source=prepared.job.source,
        output=prepared.job.output,
        key=prepared.job.key,
        status=status,
        reason=reason,
        input_sha256=prepared.sha256,
        left=prepared.left,
        size=(width // photo.scale, height // photo.scale),  # before it was enlarged
        scale=prepared.scale,
        repairs=prepared.repairs,
    )


def _write(
    prepared: Prepared, photo: Photo, options: RestoreOptions, note: Restoration | None
) -> tuple[tuple[str, ...], str]:
    """Write a photo, saying that it was restored; return what it does not hold, and its hash."""
    if note is not None:
        filled = "; ".join(page.in_words() for page in prepared.repairs if page.filled)
        note = replace(note, strength=options.strength, original_sha256=prepared.sha256)
        note = replace(note, repaired=filled)
    output, quality = prepared.job.output, options.quality
    warnings = write_photo(output, photo, format=options.format, quality=quality, note=note)
    return warnings, _hash_of_output(prepared.job)


def _write_masks(prepared: Prepared) -> None:
    """Write what was found on the print below ``masks/`` of the output folder."""
    key = prepared.job.key
    root = prepared.job.output.parents[len(PurePosixPath(key).parts) - 1]
    for number, page in enumerate(prepared.repairs):
        if not page.given:
            write_mask(inside(root / MASKS_DIR, mask_key(key, number)), page.kinds)


def _hash_of_output(job: Job) -> str:
    """Return the SHA-256 of what was written; a disk that fails here would for all photos."""
    try:
        return sha256_of(job.output)
    except OSError as error:
        raise MachineError(f"cannot read what was written: {told(error)}") from error


class OneByOne(Sequence[Pasted]):
    """The faces of a photo of many: each is cut, restored and edited whenever it is asked for.

    Args:
        prepared: The photo, which must stay as it is.
        options: See ``RestoreOptions``.
        restore: The network.
    """

    def __init__(self, prepared: Prepared, options: RestoreOptions, restore: Restore) -> None:
        self._prepared = prepared
        self._options = options
        self._restore = restore
        self._edits: dict[int, FaceEdit] = {}

    def __len__(self) -> int:
        return len(self._prepared.waiting)

    def __getitem__(self, index: int) -> Pasted:  # type: ignore[override]
        photo, place = self._prepared.photo, self._prepared.waiting[index]
        crop = cut(photo, place, self._options)
        (made,) = without_errors(self._restore([crop.seen]))
        difference, self._edits[index] = edit_face(crop, made, self._options, photo.scale)
        return crop, difference

    def edits(self) -> tuple[FaceEdit, ...]:
        """Return what is said of the faces, all of which were asked for."""
        return tuple(self._edits[index] for index in range(len(self)))


def _edited(
    prepared: Prepared, restored: list[NetworkResultOrError], options: RestoreOptions
) -> tuple[list[Pasted], tuple[FaceEdit, ...]]:
    """Return each face with what is added to it, and what is said of it; empty ``restored``."""
    made = without_errors(restored)
    restored.clear()
    made.reverse()
    faces, edits = [], []
    for crop in prepared.faces:
        difference, edit = edit_face(crop, made.pop(), options, prepared.photo.scale)
        faces.append((crop, difference))
        edits.append(edit)
    return faces, tuple(edits)


def _merged(
    prepared: Prepared,
    faces: Sequence[Pasted],
    options: RestoreOptions,
    restore: Restore,
    tools: FaceTools,
) -> Photo:
    """Return the photo with everything that changes in it.

    Its own raster is written into, unless faces are still to be cut from it.
    """
    photo = prepared.photo
    places: Sequence[Place | FaceCrop] = prepared.waiting or prepared.faces
    for number, page in enumerate(photo.pages):
        here = [index for index, place in enumerate(places) if place.page == number]
        made = partial(_of, faces, here)
        pasted = PastedFaces(photo, number, [places[i].box for i in here], made, tools.parse)
        changes = pasted.bands()
        if options.aligned:
            changes = ((crop.box, difference) for crop, difference in map(made, range(len(here))))
        elif options.background == "renovate":
            only = prepared.luminance_only[number]
            changes = pasted.over(
                (box, scaled(difference, options.strength, luminance_only=only))
                for box, difference in background_bands(page, restore)
            )
        fresh = bool(prepared.waiting) or not page.raster.flags.writeable
        photo = photo.merged(changes, number, copy=fresh)
    return photo


def _of(faces: Sequence[Pasted], here: Sequence[int], number: int) -> Pasted:
    return faces[here[number]]


def _save(job: Job, faces: Sequence[Pasted]) -> None:
    """Write the crops before and after below ``faces/`` of the output folder."""
    key = PurePosixPath(job.key)
    root = job.output.parents[len(key.parts) - 1]
    for index, (crop, difference) in enumerate(faces):
        after = crop.pixels + difference
        for kind, pixels in (("before", crop.pixels), ("after", after)):
            name = f"{key.name}_{index:02d}_{kind}.png"
            place = inside(root / FACES_DIR, str(key.with_name(name)))
            write_png(place, as_bytes(pixels))
