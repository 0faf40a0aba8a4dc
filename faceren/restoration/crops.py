"""What was found in a photo: which of its faces are restored, at which size, their aligned crops.

Photo pixels are counted as the photo is seen upright.

A face that was enlarged, or blurred, holds fewer pixels of detail than it has pixels. Given at its
pixel size, a network that restores detail draws a fine mesh over hair and skin; given smaller, it
finds faces as it knows them. Nothing is lost by that: only the difference that the network makes is
pasted, at the photo's own size. A face that is printed in dots (see ``halftone``) is given so small
that they go, and pasted whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from faceren.arrays import LUMA, Float64, Matrix, Rgb
from faceren.faces.alignment import TEMPLATE, crop_box, crop_transform, cut_crop, native_side
from faceren.faces.face import Face
from faceren.images import Box, Photo
from faceren.restoration.halftone import PIXELS_A_DOT, halftone_dots
from faceren.restoration.options import RestoreOptions

SMALLEST, LARGEST, STEP = 160, 512, 32
"""Working sizes are multiples of the network's stride. Below the smallest faces fall apart. Above
the largest, which no training has shown it, it more often draws curls into hair and scribbles into
eyes: of 31 large portraits two blind judges, in 62 cases, preferred what it makes of 512 pixels in
33 and of up to 1024 in 25, and called worse than the photo 4 and 11; and it has fewer pixels."""
HEADROOM = 3.5
"""Pixels of the working size for each pixel of detail. Looked at on historic faces of 60 to 120
pixels of detail: from 4.5 on hair gets a mesh, below 2.5 skin looks painted. On damaged faces of
known detail PSNR is best between 2 and 4, LPIPS between 4 and 6."""
VISIBLE = 1.0
"""Root mean square, in levels of 255, of detail that may be missing: rounding alone makes 0.3."""
FAINT_NOISE = 3.0
"""Standard deviation, in levels of 255, up to which fine noise counts as grain, which may stay."""
FINEST = 0.85
"""Share of the highest frequency above which a picture holds little but noise."""


def working_size(crop: Rgb) -> int:
    """Return the side, in pixels, at which the network should see a crop.

    A multiple of ``STEP`` from ``SMALLEST`` to ``LARGEST``, never more than the crop's own side.

    Args:
        crop: (S, S, 3) or any (H, W, 3) in [0, 1]; sides are then the shorter one.
    """
    wanted = round(HEADROOM * detail_size(crop) / STEP) * STEP
    return min(max(SMALLEST, min(wanted, LARGEST)), *crop.shape[:2])


def detail_size(crop: Rgb) -> float:
    """Return how many pixels a side would hold a crop's detail, at most its own shorter side.

    What lies above half a cycle a pixel of that size is, with the faint white noise of the whole
    picture taken off, below ``VISIBLE``.

    Args:
        crop: (H, W, 3) in [0, 1].
    """
    side = min(crop.shape[:2])
    frequency, power, count = spectrum(np.asarray(crop @ LUMA, np.float64) * 255)
    highest = frequency > FINEST / 2
    noise = float(power[highest].sum() / count[highest].sum())
    faint = min(noise, FAINT_NOISE**2 / float(count.sum()))  # white noise spreads evenly
    above = np.cumsum(power - faint * count)
    visible = np.flatnonzero(above > VISIBLE**2)
    return side * min(1.0, 2 * float(frequency[visible[0]])) if visible.size else 0.0


def spectrum(luma: Float64) -> tuple[Float64, Float64, Float64]:
    """Return the power of a picture by frequency, the highest first.

    The powers add up to the variance of the middle: a window fades the borders out, which would
    meet as edges.

    Args:
        luma: (H, W).

    Returns:
        Frequencies, (n,), cycles a pixel in the direction where that is higher; the power of all
        waves of each, (n,); and how many waves there are, (n,).
    """
    height, width = luma.shape
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    mean = float((luma * window).sum() / window.sum())
    waves = np.fft.rfft2((luma - mean) * window)  # the others are the mirror image of these
    twice = np.full(waves.shape[1], 2.0)
    twice[0 :: width // 2 if width % 2 == 0 else width] = 1
    power = (waves.real**2 + waves.imag**2) * twice
    power /= luma.size * float((window**2).sum())
    down, across = np.abs(np.fft.fftfreq(height)), np.fft.rfftfreq(width)
    known = np.unique(np.append(down, across))
    row, column = np.searchsorted(known, down), np.searchsorted(known, across)
    which = np.maximum.outer(row, column).ravel()
    total, count = (
        np.asarray(np.bincount(which, values.ravel(), len(known)), np.float64)[::-1]
        for values in (power, np.broadcast_to(twice, power.shape))
    )
    return known[::-1], total, count


SIZES = (256, 512, 768, 1024)
"""Sides of crops: of larger faces, 768 and 1024 keep the pixels that grain and tone are measured
in, and let ``--working-size`` reach damage that is finer than a pixel of the smaller crops."""
DEFAULT = RestoreOptions()
MONOCHROME = 0.02
"""Largest spread of chroma, about the curve that tones a print, of a photo without colours."""


@dataclass(frozen=True)
class FaceCrop:
    """One face, cut out of a photo."""

    face: Face
    """In pixels of the photo."""
    matrix: Matrix
    """(2, 3) transform from photo to crop pixels."""
    pixels: Rgb
    """(S, S, 3)."""
    box: Box
    """x0, y0, x1, y1: the photo pixels that the crop covers, clipped to the photo."""
    page: int = 0
    """Of a photo with several."""
    luminance_only: bool = False
    """Nothing but its brightness may change: the photo's own chroma is kept."""
    working_size: int = 0
    """Shorter side in pixels at which the network sees it; 0 is its own."""
    halftone_dots: float = 0.0
    """Printed dots or lines along its side; 0: it is no halftone."""

    @property
    def landmarks(self) -> Float64:
        """The face's, (5, 2), in pixels of the crop."""
        return self.face.landmarks @ self.matrix[:, :2].T + self.matrix[:, 2]

    @property
    def seen(self) -> Rgb:
        """What the network sees: the crop, shrunk if it holds less detail than it has pixels."""
        return shrunk(self.pixels, self.working_size)

    def enlarged(self, difference: Rgb) -> Rgb:
        """Return a difference to what the network saw as one to the crop, (S, S, 3)."""
        height, width = self.pixels.shape[:2]
        if difference.shape[:2] == (height, width):
            return difference
        enlarged = cv2.resize(difference, (width, height), interpolation=cv2.INTER_CUBIC)
        return np.asarray(enlarged, np.float32)

    @property
    def size(self) -> int:
        """Side of the crop in pixels."""
        return len(self.pixels)


def choose(faces: Sequence[Face], shape: tuple[int, ...], options: RestoreOptions) -> list[Face]:
    """Return the faces to restore, as ``options.faces`` and ``options.min_face`` say.

    Args:
        faces: Detections, the largest first.
        shape: Height and width of the photo.
        options: See ``RestoreOptions``.
    """
    wide = [face for face in faces if not reason_to_leave(face, options)]
    if options.faces in ("auto", "all") or not wide:
        return wide
    if options.faces == "largest":
        return wide[:1]
    centre = np.array([shape[1], shape[0]]) / 2
    return [min(wide, key=lambda face: float(np.hypot(*(face.landmarks[2] - centre))))]


def reason_to_leave(face: Face, options: RestoreOptions) -> str:
    """Return why a face that was found is left alone, as the manifest says it; or nothing."""
    if face.width < options.min_face:
        return f"small: narrower than --min-face {options.min_face:g}"
    return f"doubtful: {face.doubt}" if face.doubt and options.faces != "all" else ""


def is_monochrome(image: Rgb) -> bool:
    """Say whether an image has one hue for each brightness, as gray and toned prints have."""
    small = cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA)
    luma = (small @ LUMA).ravel().astype(np.float64)
    chroma = (small - small @ LUMA[:, None] @ np.ones((1, 3))).reshape(-1, 3)[:, [0, 2]]
    curve = np.vander(luma, 4)  # the toning of a print is a smooth curve of its brightness
    fit, *_ = np.linalg.lstsq(curve, chroma, rcond=None)
    return float(np.sqrt(np.mean((chroma - curve @ fit) ** 2))) < MONOCHROME


def crop_size(side: float) -> int:
    """Return the crop size for a face whose crop covers ``side`` photo pixels.

    The nearest by ratio. What a larger face holds beyond the crop's resolution is not lost: only
    the difference that the network makes is pasted back.
    """
    return min(SIZES, key=lambda size: abs(np.log(size / side)))


@dataclass(frozen=True)
class Place:
    """Where the aligned crop of a face lies in its photo."""

    face: Face
    matrix: Matrix
    """(2, 3) transform from photo to crop pixels."""
    size: int
    """Side of the crop in pixels."""
    box: Box
    """See ``FaceCrop.box``."""
    page: int = 0
    luminance_only: bool = False

    @property
    def bytes(self) -> int:
        """What the crop will take in memory."""
        return 3 * self.size**2 * np.dtype(np.float32).itemsize


def place_of(photo: Photo, page: int, face: Face, *, luminance_only: bool = False) -> Place:
    """Return where a face is to be cut.

    Args:
        photo: The photo.
        page: Which of its pages.
        face: In pixels of the photo.
        luminance_only: See ``FaceCrop``.

    Raises:
        FaceError: If its landmarks coincide or its crop lies outside the photo.
    """
    size = crop_size(native_side(face.landmarks))
    matrix = crop_transform(face.landmarks, size)
    box = crop_box(matrix, size, photo.pages[page].upright_shape)
    return Place(face, matrix, size, box, page, luminance_only)


def cut(photo: Photo, place: Place, options: RestoreOptions = DEFAULT) -> FaceCrop:
    """Cut the aligned crop of a face.

    Args:
        photo: The photo.
        place: Where, from ``place_of``.
        options: Its ``working_size`` counts.
    """
    region = photo.pages[place.page].upright_region
    pixels = cut_crop(region, place.box, place.matrix, place.size)
    return FaceCrop(
        *(place.face, place.matrix, pixels, place.box, place.page, place.luminance_only),
        *_seen_as(pixels, options),
    )


def whole(
    photo: Photo, page: int, options: RestoreOptions = DEFAULT, *, luminance_only: bool = False
) -> FaceCrop:
    """Return a page that is an aligned face already as one crop of its own size; see ``cut``."""
    height, width = photo.pages[page].upright_shape
    box = (0, 0, width, height)
    landmarks = (TEMPLATE + 0.5) * np.array([width, height]) / 512 - 0.5
    face = Face((0.0, 0.0, float(width), float(height)), landmarks, 1.0)
    pixels = photo.pages[page].upright_region(box)
    seen_as = _seen_as(pixels, options)
    return FaceCrop(face, np.eye(2, 3), pixels, box, page, luminance_only, *seen_as)


def _seen_as(pixels: Rgb, options: RestoreOptions) -> tuple[int, float]:
    """Return a crop's working size and its halftone dots."""
    dots = halftone_dots(pixels)
    if options.working_size != "auto":
        return min(options.working_size, *pixels.shape[:2]), dots
    working = working_size(pixels)
    if dots:
        working = min(working, max(SMALLEST, round(PIXELS_A_DOT * dots / STEP) * STEP))
    return working, dots


def shrunk(pixels: Rgb, side: int) -> Rgb:
    """Return an image with its shorter side at most ``side`` pixels, areas averaged; 0: as it is.

    Args:
        pixels: (H, W, 3).
        side: Of the result.
    """
    height, width = pixels.shape[:2]
    short = min(height, width)
    if not 0 < side < short:
        return pixels
    size = (round(width * side / short), round(height * side / short))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float32)


def scaled_face(face: Face, scale: float) -> Face:
    """Return a face in pixels of its photo made ``scale`` times as large."""
    x0, y0, x1, y1 = (edge * scale for edge in face.box)
    # the centre of the first pixel, not its corner, is at 0
    landmarks = (face.landmarks + 0.5) * scale - 0.5
    return replace(face, box=(x0, y0, x1, y1), landmarks=landmarks)
