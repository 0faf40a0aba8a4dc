"""One photo before the network: decode it, find its faces and cut them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from faceren.arrays import Rgb8
from faceren.engines import Restorer
from faceren.faces.detection import detect_faces
from faceren.faces.face import Face, Search
from faceren.faces.given import GivenFace, locate
from faceren.faces.pyramid import print_of, prints_on
from faceren.faces.tools import FaceTools, load_tools
from faceren.files import sha256_of
from faceren.images import Photo, check_target, enlarged, limit_beyond, read_photo
from faceren.restoration.crops import (
    FaceCrop,
    Place,
    choose,
    cut,
    is_monochrome,
    place_of,
    reason_to_leave,
    scaled_face,
    whole,
)
from faceren.restoration.options import RestoreOptions
from faceren.restoration.repair.repair import PageRepair, Repairer
from faceren.restoration.results import ChosenScale, LeftFace
from faceren.runs.plan import Job

JUDGED = 256
"""Pixels of a photo's shorter side that are enough to judge its colours."""
MOST_CROPS = 1 << 28
"""Bytes of crops that may wait for the network: 85 of 512 pixels. More are made one at a time."""
SMALL_FACE = 100.0
"""Width in pixels of a face below which a photo is worth enlarging. The crop of such a face covers
less than 180 pixels of the photo (1.8 times its width, 1.7 to 2 on 49 faces of photographs) and is
enlarged to 256, the smallest: what the network draws there is finer than the photo's pixels, which
are to hold it."""


@dataclass(frozen=True)
class Prepared:
    """A decoded photo with the crops that the network will see."""

    job: Job
    sha256: str
    photo: Photo
    """As large as its output will be."""
    faces: tuple[FaceCrop, ...]
    """In pixels of ``photo``, page after page."""
    luminance_only: tuple[bool, ...]
    """For each page, whether its own chroma is kept."""
    left: tuple[LeftFace, ...] = ()
    """Faces that were seen and are left alone."""
    waiting: tuple[Place, ...] = ()
    """In place of ``faces`` in a photo of many: each is cut when it is to be pasted."""
    repairs: tuple[PageRepair, ...] = ()
    """What was found on the print, page by page, if it was looked for."""
    original: Photo | None = None
    """The photo before its marks were filled; None if none was."""
    scale: ChosenScale | None = None
    """Why ``photo`` is as large as it is, if that was to be chosen."""

    @property
    def is_repaired(self) -> bool:
        """Whether pixels of the print were filled."""
        return self.original is not None


def prepare(
    job: Job,
    options: RestoreOptions,
    max_pixels: int,
    tools: FaceTools | None = None,
    given: Sequence[GivenFace] = (),
    repairer: Repairer | None = None,
) -> Prepared:
    """Decode a photo, repair its print, find its faces, enlarge it if asked, and cut the faces.

    Faces are looked for in the photo as it was read, which decides on its scale if that is to be
    chosen, and cut from the enlarged one.

    Args:
        job: The photo.
        options: See ``RestoreOptions``.
        max_pixels: Refuse larger photos and outputs.
        tools: What finds faces; default the shipped detector.
        given: Faces that a person has marked.
        repairer: What looks for marks on the print; default nothing does.

    Raises:
        FaceError: If a marked face lies outside the photo.
        ImageError: If the file is no readable image, or it or its output is too large.
    """
    search = (tools or FaceTools()).search
    photo = read = read_photo(job.source, max_pixels=max_pixels)
    repairs: tuple[PageRepair, ...] = ()
    if repairer is not None:
        finds = partial(detect_faces, threshold=options.detection_threshold, search=search)
        photo, repairs = repairer.repaired(photo, job.key, finds)
    original = read if any(repair.filled for repair in repairs) else None
    found, left, luminance_only, widths = _faces_of(photo, options, search, given)
    changes = bool(original) or any(found) or options.aligned or options.background == "renovate"
    auto = options.scale == "auto"
    chosen = choose_scale(photo, widths, options, max_pixels) if auto else None
    scale = chosen.factor if chosen else int(options.scale)
    if changes or scale != 1 or options.format != "keep":
        check_target(photo, options.format, scale)  # before the network's work
    photo = enlarged(photo, scale, max_pixels=max_pixels)
    original = original and enlarged(original, scale, max_pixels=max_pixels)
    crops, waiting = _crops_of(photo, found, luminance_only, options)
    return Prepared(
        job,
        sha256_of(job.source),
        photo,
        crops,
        tuple(luminance_only),
        tuple(left),
        waiting,
        repairs,
        original,
        chosen,
    )


def choose_scale(
    photo: Photo, widths: Sequence[float], options: RestoreOptions, max_pixels: int
) -> ChosenScale:
    """Return the scale of a photo: 2 where its faces are small, else 1.

    They are where half of their area or more is of faces below ``SMALL_FACE``. Faces are weighed by
    their area, as the eye weighs them, and not counted: the passers-by behind a portrait may
    outnumber it, and do not double it; in a group all are about as wide, and they are nothing.
    Who stands near among small ones keeps the photo as it is, the lesser fault: nothing is undone.

    Args:
        photo: As it was read.
        widths: Of the faces that were found and are to be restored, all pages together, pixels.
            Faces that a person has marked are not among them: to mark one more would change the
            size of a photo that was restored already.
        options: Its ``format`` counts.
        max_pixels: Most pixels of an output.
    """
    if not widths:
        return ChosenScale(1, "no face to go by")
    ascending = np.sort(np.asarray(widths, np.float64))
    area = np.cumsum(ascending**2)
    middle = float(ascending[np.searchsorted(area, area[-1] / 2)])
    half = "half of the area of its faces or more is in faces"
    if middle >= SMALL_FACE:
        return ChosenScale(1, f"{half} of {middle:.1f} pixels' width or more")
    small = f"{half} of up to {middle:.1f} pixels' width"
    limit = limit_beyond(photo, options.format, 2, max_pixels)
    return ChosenScale(1 if limit else 2, small, limit)


def _crops_of(
    photo: Photo,
    found: Sequence[Sequence[tuple[Face, bool]]],
    luminance_only: Sequence[bool],
    options: RestoreOptions,
) -> tuple[tuple[FaceCrop, ...], tuple[Place, ...]]:
    """Return the crops of a photo, and in their place where they are if they are too many to wait.

    Args:
        photo: As large as its output will be.
        found: Each page's faces in pixels of the photo as it was read, see ``_faces_of``.
        luminance_only: See ``Prepared``.
        options: See ``RestoreOptions``.
    """
    places, crops = [], []
    for page, faces in enumerate(found):
        if options.aligned:
            crops.append(whole(photo, page, options, luminance_only=luminance_only[page]))
        for face, only in faces:
            grown = scaled_face(face, photo.scale)
            places.append(place_of(photo, page, grown, luminance_only=only))
    if sum(place.bytes for place in places) <= MOST_CROPS:
        crops, places = [*crops, *(cut(photo, place, options) for place in places)], []
    return tuple(crops), tuple(places)


def _faces_of(
    photo: Photo, options: RestoreOptions, search: Search, given: Sequence[GivenFace]
) -> tuple[list[list[tuple[Face, bool]]], list[LeftFace], list[bool], list[float]]:
    """Return each page's faces to restore, the faces left alone, and whose pages keep their chroma.

    A face comes with whether its print keeps its own chroma. And the widths by which the photo's
    scale may be chosen, see there.
    """
    found: list[list[tuple[Face, bool]]] = []
    left: list[LeftFace] = []
    luminance_only, widths = [], []
    for page in range(len(photo.pages)):
        image = photo.upright_uint8(page)
        drawn = [face for face in given if face.page == page]
        restored, others, wide = _found(image, options, search, drawn)
        widths += wide
        reasons = ((face, reason_to_leave(face, options)) for face in others)
        left += [LeftFace(box=f.box, score=f.score, reason=r, page=page) for f, r in reasons if r]
        prints = prints_on(image) if restored and options.color == "auto" else []
        changes = bool(restored) or options.aligned or options.background == "renovate"
        whole_page = changes and _keeps_chroma(image, options)
        on = [print_of(face, prints, image) for face in restored] if prints else []
        only = [_keeps_chroma(one, options) for one in on] or [whole_page] * len(restored)
        found.append(list(zip(restored, only, strict=True)))
        luminance_only.append(whole_page)
    return found, left, luminance_only, widths


def tools_for(
    options: RestoreOptions, restorer: Restorer, folder: Path | None, *, offline: bool
) -> FaceTools:
    """Load what finds and outlines faces; nothing for aligned crops.

    Args:
        options: See ``RestoreOptions``.
        restorer: Its device is used.
        folder: Of facexlib's weights; default ``faces.tools.default_folder()``.
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
    image: Rgb8, options: RestoreOptions, search: Search, given: Sequence[GivenFace]
) -> tuple[list[Face], list[Face], list[float]]:
    """Return the faces to restore, all marked and a choice of those detected; and the detected.

    And how wide those are that would be restored if none was marked. Nothing is looked for in an
    aligned picture.
    """
    if options.aligned:
        return [], [], []
    faces = detect_faces(
        image,
        threshold=options.detection_threshold,
        rotate=options.rotate == "auto",
        search=search,
    )
    marked = [locate(face, image, search) for face in given]
    others = [face for face in faces if not any(face.is_same(mark) for mark in marked)]
    chosen = choose(others, image.shape[:2], options)
    widths = [face.width for face in choose(faces, image.shape[:2], options)]
    return [face.as_recorded() for face in marked + chosen], others, widths


def _keeps_chroma(image: Rgb8, options: RestoreOptions) -> bool:
    """Say whether a page's own chroma is kept; ``auto`` keeps it where there is but a tone."""
    if options.color != "auto":
        return options.color == "keep"
    step = max(1, min(image.shape[:2]) // JUDGED)
    return is_monochrome(image[::step, ::step].astype(np.float32) / np.float32(255))
