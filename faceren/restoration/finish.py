"""One photo after the network: paste its faces, write it, say what was done."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from faceren.checkpoint import LoadedCheckpoint
from faceren.faces.tools import FaceTools, Parse
from faceren.files import sha256_of
from faceren.images import Box, Photo, Restoration, copy_photo, write_photo, write_png
from faceren.restoration.background import background_bands
from faceren.restoration.crops import FaceCrop, Pixels
from faceren.restoration.identity_guard import as_bytes
from faceren.restoration.lane import NetworkLane, Restored
from faceren.restoration.merge import FaceChanges
from faceren.restoration.options import RestoreOptions
from faceren.restoration.outcome import Outcome, outcome
from faceren.restoration.paste import Change, change_of, scaled
from faceren.restoration.photo import Prepared, scaled_face
from faceren.restoration.results import FaceResult, PhotoResult
from faceren.runs.plan import Job

FACES_DIR = "faces"
LEFT_ALONE = "every face was left as it was: --min-identity"

Watch = Callable[[Photo, Sequence[FaceResult]], Callable[[Photo, PhotoResult], None]]
"""Sees a photo before anything is pasted; what it returns sees the photo after, with its result."""


def finish(
    prepared: Prepared,
    restored: list[Restored],
    options: RestoreOptions,
    *,
    lane: NetworkLane,
    tools: FaceTools | None = None,
    save_faces: bool = False,
    watch: Watch | None = None,
) -> PhotoResult:
    """Paste the restored faces, write the output and say what was done.

    The photo's own raster is written into: ``prepared`` cannot be finished twice.

    Args:
        prepared: The photo.
        restored: What the network made of each of ``prepared.faces``; emptied on the way, so that
            a photo of hundreds of faces is not held three times.
        options: See ``RestoreOptions``.
        lane: The network that restored them; restores the background if that is asked for.
        tools: What outlines faces; default nothing.
        save_faces: Write the crops before and after beside the outputs.
        watch: Told of the photo, whose pixels it must not keep.

    Raises:
        FaceError: If the network failed for a face.
        ImageError: If the format cannot hold the photo, or its file was changed meanwhile.
        MachineError: If the disk is full.
    """
    for face in restored:
        if face.error is not None:
            raise face.error
    job, photo = prepared.job, prepared.photo
    result = PhotoResult(
        source=job.source,
        output=job.output,
        key=job.key,
        status="restored" if restored else "no_face",
        reason="" if restored else "no face found",
        input_sha256=prepared.sha256,
    )
    pasted, faces = _matched(prepared, restored, options)
    seen = _ignored if watch is None else watch(photo, faces)
    applied = any(made.strength > 0 for _, made in pasted) or options.min_identity is None
    if pasted and not applied:
        result = replace(result, status="no_face", reason=LEFT_ALONE)
    changed = (bool(pasted) and applied) or options.background == "renovate"
    if not changed and options.scale == 1 and options.format == "keep":
        copy_photo(job.output, photo)
        result = replace(result, output_sha256=prepared.sha256, faces=faces)
        seen(photo, result)
        return result
    photo = _merged(prepared, pasted, options, lane, tools)
    note = _note(lane.restorer.checkpoint) if changed else None
    write_photo(job.output, photo, format=options.format, quality=options.quality, note=note)
    if save_faces:
        _save(job, pasted)
    result = replace(result, output_sha256=sha256_of(job.output), faces=faces)
    seen(photo, result)
    return result


def _merged(
    prepared: Prepared,
    pasted: Sequence[tuple[FaceCrop, Outcome]],
    options: RestoreOptions,
    lane: NetworkLane,
    tools: FaceTools | None,
) -> Photo:
    """Return the photo with everything that changes in it."""
    parse = tools.parse if tools else None
    photo, start = prepared.photo, 0
    for page, crops in enumerate(prepared.crops):
        mine = pasted[start : start + len(crops)]
        start += len(crops)
        chroma_kept = _chroma_kept(prepared, page, options)
        changes = _changes(photo, page, mine, options, lane, parse, luminance_only=chroma_kept)
        photo = photo.merged(changes, page, copy=not photo.pages[page].raster.flags.writeable)
    return photo


def _matched(
    prepared: Prepared, restored: list[Restored], options: RestoreOptions
) -> tuple[list[tuple[FaceCrop, Outcome]], tuple[FaceResult, ...]]:
    """Return each face with what is added to it, and its result; take them from ``restored``."""
    pasted, faces = [], []
    restored.reverse()
    for page, crops in enumerate(prepared.crops):
        chroma_kept = _chroma_kept(prepared, page, options)
        for crop in crops:
            face = restored.pop()
            made = outcome(crop, face.pixels, options, luminance_only=chroma_kept)
            pasted.append((crop, made))
            faces.append(_face_result(crop, made, face.ms, prepared.photo.scale, page))
    return pasted, tuple(faces)


def _chroma_kept(prepared: Prepared, page: int, options: RestoreOptions) -> bool:
    return options.color == "keep" or (options.color == "auto" and prepared.monochrome[page])


def _ignored(photo: Photo, result: PhotoResult) -> None:
    """Nobody watches."""


def _note(model: LoadedCheckpoint) -> Restoration:
    return Restoration(model.info.name, model.sha256)


def _changes(
    photo: Photo,
    page: int,
    pasted: Sequence[tuple[FaceCrop, Outcome]],
    options: RestoreOptions,
    lane: NetworkLane,
    parse: Parse | None,
    *,
    luminance_only: bool,
) -> Iterator[tuple[Box, Pixels]]:
    """Yield what changes in a page, band by band, before the band is written."""
    if options.aligned:
        for crop, made in pasted:
            yield crop.box, made.difference
        return

    def change(index: int) -> Change:
        crop, made = pasted[index]
        return change_of(
            crop,
            made.difference,
            photo.upright_region(crop.box, page),
            luminance_only=luminance_only,
            outline=parse(crop.pixels + made.difference) if parse else None,
        )

    faces = FaceChanges([crop.box for crop, _ in pasted], change)
    if options.background == "keep":
        yield from faces.bands()
        return

    def restore(tiles: Sequence[Pixels]) -> list[Pixels]:
        done = lane.run(tiles)
        for tile in done:
            if tile.error is not None:
                raise tile.error
        return [tile.pixels for tile in done]

    shape = photo.pages[page].upright_shape
    background = background_bands(lambda box: photo.upright_region(box, page), shape, restore)
    yield from faces.over(
        (box, scaled(difference, options.strength, luminance_only=luminance_only))
        for box, difference in background
    )


def _face_result(crop: FaceCrop, made: Outcome, ms: float, scale: int, page: int) -> FaceResult:
    face = scaled_face(crop.face, 1 / scale)
    return FaceResult(
        box=face.box,
        landmarks=tuple((float(x), float(y)) for x, y in face.landmarks),
        score=face.score,
        crop=crop.size,
        identity=made.identity,
        ms=ms,
        strength=made.strength,
        reason=made.reason,
        page=page,
    )


def _save(job: Job, faces: Sequence[tuple[FaceCrop, Outcome]]) -> None:
    """Write the crops before and after below ``faces/`` of the output folder."""
    key = PurePosixPath(job.key)
    root = job.output.parents[len(key.parts) - 1]
    for index, (crop, made) in enumerate(faces):
        after = crop.pixels + made.difference
        for kind, pixels in (("before", crop.pixels), ("after", after)):
            name = f"{key.name}_{index:02d}_{kind}.png"
            write_png(root / FACES_DIR / key.parent / name, as_bytes(pixels))
