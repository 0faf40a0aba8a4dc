"""One photo before and after the network: find and cut its faces; paste them and write it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from faceren.checkpoint import LoadedCheckpoint
from faceren.faces.alignment import TEMPLATE
from faceren.faces.detection import Face, detect_faces
from faceren.files import atomic_write, sha256_of
from faceren.images import Photo, Restoration, read_photo, write_photo, write_png
from faceren.metrics.identity import identity_distance
from faceren.restoration.crops import FaceCrop, Pixels, choose, cut
from faceren.restoration.options import RestoreOptions
from faceren.restoration.paste import change_of, is_monochrome, merged_bands, scaled
from faceren.restoration.plan import Job
from faceren.restoration.results import FaceResult, PhotoResult

FACES_DIR = "faces"


@dataclass(frozen=True)
class Prepared:
    """A decoded photo with the crops that the network will see."""

    job: Job
    sha256: str
    photo: Photo
    crops: tuple[tuple[FaceCrop, ...], ...]
    """For each page, its faces."""
    monochrome: tuple[bool, ...]
    """For each page, whether it has no colours but its tone."""

    @property
    def faces(self) -> list[FaceCrop]:
        """All crops, page after page."""
        return [crop for page in self.crops for crop in page]


def prepare(job: Job, options: RestoreOptions, max_pixels: int) -> Prepared:
    """Decode a photo, find its faces and cut them.

    Raises:
        ImageError: If the file is no readable image or too large.
    """
    photo = read_photo(job.source, max_pixels=max_pixels)
    crops, monochrome = [], []
    for page in range(len(photo.pages)):
        image = photo.upright_uint8(page)
        found = _whole(photo, page) if options.aligned else _found(photo, page, image, options)
        crops.append(tuple(found))
        monochrome.append(bool(found) and _is_monochrome(image))
    return Prepared(job, sha256_of(job.source), photo, tuple(crops), tuple(monochrome))


def _found(
    photo: Photo, page: int, image: NDArray[np.uint8], options: RestoreOptions
) -> list[FaceCrop]:
    faces = detect_faces(
        image, threshold=options.detection_threshold, rotate=options.rotate == "auto"
    )
    shape = image.shape[:2]
    chosen = choose(faces, shape, options)
    return [cut(lambda box: photo.upright_region(box, page), shape, face) for face in chosen]


def _is_monochrome(image: NDArray[np.uint8]) -> bool:
    step = max(1, min(image.shape[:2]) // 256)  # enough is left to judge its colours
    return is_monochrome((image[::step, ::step] / 255).astype(np.float32))


def _whole(photo: Photo, page: int) -> list[FaceCrop]:
    """Return an aligned image as one crop of its own size."""
    height, width = photo.pages[page].upright_shape
    box = (0, 0, width, height)
    landmarks = (TEMPLATE + 0.5) * np.array([width, height]) / 512 - 0.5
    face = Face((0.0, 0.0, float(width), float(height)), landmarks, 1.0)
    return [FaceCrop(face, np.eye(2, 3), photo.upright_region(box, page), box)]


def finish(
    prepared: Prepared,
    restored: Sequence[Pixels],
    times: Sequence[float],
    options: RestoreOptions,
    *,
    model: LoadedCheckpoint,
    save_faces: bool = False,
) -> PhotoResult:
    """Paste the restored faces, write the output and say what was done.

    Args:
        prepared: The photo.
        restored: (S, S, 3) for each of ``prepared.faces``.
        times: Milliseconds of the network for each of them.
        options: See ``RestoreOptions``.
        model: The weights that restored them, for the output's XMP.
        save_faces: Write the crops before and after beside the outputs.

    Raises:
        ImageError: If the format cannot hold the photo.
        MachineError: If the disk is full.
    """
    job = prepared.job
    result = PhotoResult(
        source=job.source,
        output=job.output,
        key=job.key,
        status="restored" if restored else "no_face",
        reason="" if restored else "no face found",
        input_sha256=prepared.sha256,
    )
    photo, pasted = prepared.photo, list(zip(prepared.faces, restored, strict=True))
    if not restored and options.format == "keep":
        atomic_write(job.output, photo.source_bytes())
        return replace(result, output_sha256=prepared.sha256)
    for page, (crops, monochrome) in enumerate(
        zip(prepared.crops, prepared.monochrome, strict=True)
    ):
        photo = _pasted(photo, page, crops, restored, options, monochrome=monochrome)
        restored = restored[len(crops) :]
    note = Restoration(model.info.name, model.sha256) if pasted else None
    write_photo(job.output, photo, format=options.format, quality=options.quality, note=note)
    if save_faces:
        _save(job, pasted)
    return replace(
        result,
        output_sha256=sha256_of(job.output),
        faces=tuple(
            _face_result(crop, pixels, ms) for (crop, pixels), ms in zip(pasted, times, strict=True)
        ),
    )


def _pasted(
    photo: Photo,
    page: int,
    crops: Sequence[FaceCrop],
    restored: Sequence[Pixels],
    options: RestoreOptions,
    *,
    monochrome: bool,
) -> Photo:
    """Return the photo with the first ``len(crops)`` of ``restored`` pasted into a page."""
    keep_chroma = options.color == "keep" or (options.color == "auto" and monochrome)
    if options.aligned:
        changes = [
            (crop.box, scaled(pixels - crop.pixels, options.strength, luminance_only=keep_chroma))
            for crop, pixels in zip(crops, restored, strict=False)
        ]
        return photo.merged(changes, page)
    pasted = [
        change_of(crop, pixels, strength=options.strength, luminance_only=keep_chroma)
        for crop, pixels in zip(crops, restored, strict=False)
    ]
    return photo.merged(merged_bands(pasted), page) if pasted else photo


def _face_result(crop: FaceCrop, restored: Pixels, ms: float) -> FaceResult:
    height, width = crop.pixels.shape[:2]
    measurable = height == width >= 64  # what an aligned face is
    return FaceResult(
        box=crop.face.box,
        landmarks=tuple((float(x), float(y)) for x, y in crop.face.landmarks),
        score=crop.face.score,
        crop=crop.size,
        identity=identity_distance(_bytes(crop.pixels), _bytes(restored)) if measurable else None,
        ms=ms,
    )


def _save(job: Job, faces: Sequence[tuple[FaceCrop, Pixels]]) -> None:
    """Write the crops before and after below ``faces/`` of the output folder."""
    key = PurePosixPath(job.key)
    root = job.output.parents[len(key.parts) - 1]
    for index, (crop, restored) in enumerate(faces):
        for kind, pixels in (("before", crop.pixels), ("after", restored)):
            name = f"{key.name}_{index:02d}_{kind}.png"
            write_png(root / FACES_DIR / key.parent / name, _bytes(pixels))


def _bytes(pixels: Pixels) -> NDArray[np.uint8]:
    return np.clip(np.rint(pixels * 255), 0, 255).astype(np.uint8)
