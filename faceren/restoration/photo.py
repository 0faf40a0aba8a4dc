"""One photo before the network: decode it, find its faces and cut them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceren.faces.alignment import TEMPLATE
from faceren.faces.detection import detect_faces
from faceren.faces.face import Face, Search
from faceren.faces.given import GivenFace, locate
from faceren.faces.tools import FaceTools, load_tools
from faceren.files import sha256_of
from faceren.images import Photo, enlarged, read_photo
from faceren.inference import Restorer
from faceren.restoration.crops import FaceCrop, choose, cut
from faceren.restoration.options import RestoreOptions
from faceren.restoration.paste import is_monochrome
from faceren.runs.plan import Job


@dataclass(frozen=True)
class Prepared:
    """A decoded photo with the crops that the network will see."""

    job: Job
    sha256: str
    photo: Photo
    """As large as its output will be."""
    crops: tuple[tuple[FaceCrop, ...], ...]
    """For each page, its faces, in pixels of ``photo``."""
    monochrome: tuple[bool, ...]
    """For each page, whether it has no colours but its tone."""

    @property
    def faces(self) -> list[FaceCrop]:
        """All crops, page after page."""
        return [crop for page in self.crops for crop in page]


def prepare(
    job: Job,
    options: RestoreOptions,
    max_pixels: int,
    tools: FaceTools | None = None,
    given: Sequence[GivenFace] = (),
) -> Prepared:
    """Decode a photo, find its faces, enlarge it if asked, and cut the faces.

    Faces are looked for in the photo as it was read, and cut from the enlarged one.

    Args:
        job: The photo.
        options: See ``RestoreOptions``.
        max_pixels: Refuse larger photos and outputs.
        tools: What finds faces; default the shipped detector.
        given: Faces on the first page that a person has marked.

    Raises:
        FaceError: If a marked face lies outside the photo.
        ImageError: If the file is no readable image, or it or its output is too large.
    """
    search = (tools or FaceTools()).search
    photo = read_photo(job.source, max_pixels=max_pixels)
    found, monochrome = [], []
    for page in range(len(photo.pages)):
        image = photo.upright_uint8(page)
        marked = given if page == 0 else ()
        found.append([] if options.aligned else _found(image, options, search, marked))
        changes = bool(found[-1]) or options.aligned or options.background == "renovate"
        monochrome.append(changes and _is_monochrome(image))
    photo = enlarged(photo, options.scale, max_pixels=max_pixels)
    crops = [
        _whole(photo, page) if options.aligned else _cut(photo, page, faces)
        for page, faces in enumerate(found)
    ]
    return Prepared(job, sha256_of(job.source), photo, tuple(crops), tuple(monochrome))


def tools_for(
    options: RestoreOptions, restorer: Restorer, folder: Path | None, *, offline: bool
) -> FaceTools:
    """Load what finds and outlines faces; nothing for aligned crops.

    Args:
        options: See ``RestoreOptions``.
        restorer: Its device is used.
        folder: Of facexlib's weights; default ``faces.weights.default_folder()``.
        offline: Never download them.

    Raises:
        MachineError: If a library or weights are missing.
    """
    if options.aligned:
        return FaceTools()
    return load_tools(
        options.detector, options.mask, folder, offline=offline, device=restorer.device
    )


def _found(
    image: NDArray[np.uint8],
    options: RestoreOptions,
    search: Search,
    given: Sequence[GivenFace] = (),
) -> list[Face]:
    """Return the faces to restore: all that are marked, and a choice of those detected."""
    faces = detect_faces(
        image,
        threshold=options.detection_threshold,
        rotate=options.rotate == "auto",
        search=search,
    )
    marked = [locate(face, image, search) for face in given]
    others = [face for face in faces if not any(face.is_same(mark) for mark in marked)]
    return marked + choose(others, image.shape[:2], options)


def _cut(photo: Photo, page: int, faces: list[Face]) -> tuple[FaceCrop, ...]:
    shape = photo.pages[page].upright_shape
    grown = [scaled_face(face, photo.scale) for face in faces]
    return tuple(cut(lambda box: photo.upright_region(box, page), shape, face) for face in grown)


def scaled_face(face: Face, scale: float) -> Face:
    """Return a face in pixels of its photo made ``scale`` times as large."""
    x0, y0, x1, y1 = (edge * scale for edge in face.box)
    # the centre of the first pixel, not its corner, is at 0
    landmarks = (face.landmarks + 0.5) * scale - 0.5
    return replace(face, box=(x0, y0, x1, y1), landmarks=landmarks)


def _is_monochrome(image: NDArray[np.uint8]) -> bool:
    step = max(1, min(image.shape[:2]) // 256)  # enough is left to judge its colours
    return is_monochrome((image[::step, ::step] / 255).astype(np.float32))


def _whole(photo: Photo, page: int) -> tuple[FaceCrop, ...]:
    """Return an aligned image as one crop of its own size."""
    height, width = photo.pages[page].upright_shape
    box = (0, 0, width, height)
    landmarks = (TEMPLATE + 0.5) * np.array([width, height]) / 512 - 0.5
    face = Face((0.0, 0.0, float(width), float(height)), landmarks, 1.0)
    return (FaceCrop(face, np.eye(2, 3), photo.upright_region(box, page), box),)
