"""The suite ``repair``: what the detector of marks finds and misses, and how well gaps are filled.

Everything is drawn over clean pictures, whose every pixel outside of what was drawn is clean.
"""

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from faceren.arrays import Rgb, Rgb8
from faceren.bench.quality.suite import face_set
from faceren.bench.request import Request, Row
from faceren.config import Mark
from faceren.degradation import NEITHER, Degradation, apply, apply_traced, item_seed
from faceren.degradation.pixels import Sampler
from faceren.degradation.presets import panchromatic
from faceren.degradation.resolution import GaussianBlur, Jpeg
from faceren.degradation.tears import Cracks
from faceren.degradation.wear import Crease, Dust, Scratches
from faceren.faces.detection import detect_faces
from faceren.images import read_rgb
from faceren.images.page import Page, stored_raster
from faceren.restoration.repair.fill import bridged, filled
from faceren.restoration.repair.finder import load_finder
from faceren.restoration.repair.gates import AUTO, STRONG, all_over, zones_of
from faceren.restoration.repair.mask import mask_of
from faceren.restoration.repair.sighting import Sighting, sighted
from faceren.restoration.repair.texture import no_photo

WIDTHS = (1, 2, 5, 12)
"""Pixels."""
KINDS = {"lines": WIDTHS, "cracks": WIDTHS, "dust": (2, 5, 12), "crease": (2, 5)}
"""What is drawn, and how wide."""
NEAR = 2
"""Pixels by which a finding may be off a mark and still be right: its rim is soft."""
LINES_EACH = 6
"""Gaps that are drawn across a picture to be filled."""
MODES = {"auto": AUTO, "strong": STRONG}


@dataclass(frozen=True)
class FoundMarks(Row):
    """How well marks of one kind are found."""

    section: ClassVar[str] = "repair"
    mode: str
    kind: str
    width: int
    """Pixels."""
    precision: float
    recall: float
    f1: float
    n: int
    """Pictures."""

    def line(self) -> str:
        """Return one line."""
        return (
            f"{self.mode}, {self.kind} of {self.width} px: precision {self.precision:.2f}, "
            f"recall {self.recall:.2f}, F1 {self.f1:.2f} ({self.n} pictures)"
        )


@dataclass(frozen=True)
class FalseAlarms(Row):
    """What is found where nothing is."""

    section: ClassVar[str] = "repair_clean"
    mode: str
    flagged: float
    """Share of all pixels."""
    worst: float
    """The largest share of a picture."""
    in_faces: int
    """Pixels in eyes, noses and mouths."""
    faces: int
    n: int

    def line(self) -> str:
        """Return one line."""
        return (
            f"{self.mode}, clean pictures: {self.flagged:.3%} of the pixels flagged, at worst "
            f"{self.worst:.2%}; {self.in_faces} pixels in eyes, noses and mouths of {self.faces} "
            f"faces ({self.n} pictures)"
        )


@dataclass(frozen=True)
class Filling(Row):
    """How near a way of filling comes to what was there."""

    section: ClassVar[str] = "repair_fill"
    method: str
    width: int
    db: float
    """Mean PSNR of the filled pixels, of scanned marks also of those next to them."""
    n: int
    scanned: bool = False
    """Whether the gaps are marks as a scanner sees them, soft and in a JPEG, filled with one pixel
    around them; else they are cut out of the picture with a knife."""

    def line(self) -> str:
        """Return one line."""
        what = "scanned marks" if self.scanned else "gaps"
        return f"{what} of {self.width} px, {self.method}: {self.db:.1f} dB ({self.n} pictures)"


def repair_suite(request: Request) -> Iterator[Row]:
    """Yield the figures as they are measured.

    Args:
        request: Its clean pictures are used, as they are.
    """
    paths = [found.path for found in face_set(request.faces, request.limit).found]
    pictures = [read_rgb(path) for path in paths]
    yield from fillings(pictures)
    yield from false_alarms(pictures)
    for kind, widths in KINDS.items():
        for width in widths:
            yield from found_marks(pictures, kind, width)


def found_marks(pictures: Sequence[Rgb8], kind: str, width: int) -> Iterator[FoundMarks]:
    """Yield how well drawn marks of a kind and width are found, by mode."""
    counts = {mode: np.zeros(4, np.int64) for mode in MODES}
    for number, clean in enumerate(pictures):
        sampler = Sampler(item_seed(0, f"{kind}{width}", number))
        tone = Degradation("worn", (panchromatic(sampler),))
        wear = Degradation("worn", (drawn(sampler, kind, width),))
        worn = apply_traced(apply(clean, tone), wear)
        truth = (worn.marks != Mark.NONE) & (worn.marks != NEITHER)
        seen = looked_at(worn.image)
        for mode in MODES:
            counts[mode] += _counted(found_in(seen, mode), truth)
    for mode, figures in counts.items():
        right, found, hit, there = map(int, figures)
        precision, recall = right / max(1, found), hit / max(1, there)
        f1 = 2 * precision * recall / max(1e-9, precision + recall)
        yield FoundMarks(mode, kind, width, precision, recall, f1, len(pictures))


def false_alarms(pictures: Sequence[Rgb8]) -> Iterator[FalseAlarms]:
    """Yield what is found in clean pictures, by mode."""
    shares: dict[str, list[float]] = {mode: [] for mode in MODES}
    inside, count = dict.fromkeys(MODES, 0), 0
    for clean in pictures:
        seen = looked_at(clean)
        count += len(seen.faces)
        for mode in MODES:
            mask = found_in(seen, mode)
            shares[mode].append(float(mask.mean()))
            inside[mode] += int((mask & protected(seen)).sum())
    for mode, values in shares.items():
        flagged, worst = float(np.mean(values)), max(values)
        yield FalseAlarms(mode, flagged, worst, inside[mode], count, len(values))


def fillings(pictures: Sequence[Rgb8]) -> Iterator[Filling]:
    """Yield how well gaps of known widths are filled, by method: clean ones, and scanned marks."""
    for scanned in (False, True):
        for width in WIDTHS:
            errors: dict[str, list[float]] = {}
            for number, clean in enumerate(pictures):
                case = _gap_case(clean, width, number, scanned=scanned)
                for method, guess in _filled(case.hurt, case.gaps).items():
                    error = (guess - case.whole / np.float32(255))[case.judged]
                    psnr = -10 * np.log10(max(float(np.mean(error**2)), 1e-9))
                    errors.setdefault(method, []).append(psnr)
            for method, values in errors.items():
                yield Filling(method, width, float(np.mean(values)), len(values), scanned)


def looked_at(image: Rgb8) -> Sighting:
    """Return what the detector of marks and that of faces see in a picture."""
    return sighted(Page(image, "rgb"), load_finder(), image, detect_faces(image))


def found_in(seen: Sighting, mode: str) -> NDArray[np.bool_]:
    """Return the pixels that would be filled, (H, W)."""
    if mode == "auto" and no_photo(seen.image):
        return np.zeros(seen.shape, bool)
    parts = [part for part in seen.components(MODES[mode]) if not part.left]
    if mode == "auto" and all_over(parts, seen.shape):
        return np.zeros(seen.shape, bool)
    return np.asarray(mask_of(parts, seen.shape) > 0)


def _counted(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return findings that are right, findings, marks that are found, and marks, in pixels."""
    square = np.ones((2 * NEAR + 1, 2 * NEAR + 1), np.uint8)
    wide = cv2.dilate(truth.astype(np.uint8), square) > 0
    return np.array([(found & wide).sum(), found.sum(), (found & truth).sum(), truth.sum()])


def protected(seen: Sighting) -> NDArray[np.bool_]:
    """Return the pixels in eyes, noses and mouths, (H, W)."""
    zone = np.zeros(seen.image.shape[:2], np.uint8)
    for x, y, radius in (circle for face in seen.faces for circle in zones_of(face)):
        cv2.circle(zone, (round(x), round(y)), round(radius), 1, cv2.FILLED)
    return np.asarray(stored_raster(zone, seen.way) > 0)


def drawn(sampler: Sampler, kind: str, width: int) -> Any:
    """Return the operation that draws marks of a kind, white or black, of a width in pixels."""
    colour = sampler.choice([(245.0,) * 3, (245.0,) * 3, (15.0,) * 3])
    seed, opacity = sampler.seed(), sampler.uniform(0.7, 1.0)
    if kind == "lines":
        return Scratches(
            count=4, length=0.6, thickness=width, opacity=opacity, colour=colour, angle=90.0,
            spread=90.0, seed=seed,
        )  # fmt: skip
    if kind == "cracks":
        return Cracks(
            count=2, length=0.7, width=width, branching=0.2, opacity=opacity, colour=colour,
            seed=seed,
        )  # fmt: skip
    if kind == "dust":
        return Dust(count=40, size=width / 2, opacity=opacity, colour=colour, seed=seed)
    ends = sampler.uniform(0.1, 0.9), sampler.uniform(0.1, 0.9)
    return Crease(
        x0=0.0, y0=ends[0], x1=1.0, y1=ends[1], width=width, strength=0.7, paper=colour, seed=seed
    )


@dataclass(frozen=True)
class _GapCase:
    """A picture with gaps."""

    hurt: Rgb8
    whole: Rgb8
    """The same without gaps."""
    gaps: NDArray[np.bool_]
    """(H, W), what is filled."""
    judged: NDArray[np.bool_]
    """(H, W), where it is looked at."""


def _gap_case(clean: Rgb8, width: int, number: int, *, scanned: bool) -> _GapCase:
    shape = clean.shape[:2]
    rng = np.random.Generator(np.random.PCG64(number))
    mask = np.zeros(shape, np.uint8)
    for _ in range(LINES_EACH):
        x0, y0, x1, y1 = map(int, rng.integers(0, (*shape[::-1], *shape[::-1])))
        cv2.line(mask, (x0, y0), (x1, y1), 1, width)
    gaps = mask > 0
    hurt = clean.copy()
    hurt[gaps] = 15 if number % 3 == 2 else 245
    if not scanned:
        return _GapCase(hurt, clean, gaps, gaps)
    scan = Degradation("worn", (GaussianBlur(sigma=0.8, kernel=7), Jpeg(quality=85)))
    wider, judged = (
        cv2.dilate(gaps.astype(np.uint8), np.ones((side, side), np.uint8)) > 0 for side in (3, 5)
    )
    return _GapCase(apply(hurt, scan), apply(clean, scan), wider, judged)


def _filled(hurt: Rgb8, gaps: NDArray[np.bool_]) -> dict[str, Rgb]:
    """Return the fillings of a picture's gaps by method, in [0, 1]."""
    seen = np.asarray(hurt / 255, np.float32)
    mask = gaps.astype(np.uint8)
    lines = seen.copy()
    lines[gaps] = bridged(seen, gaps, np.nonzero(gaps))
    return {
        "Telea": cv2.inpaint(hurt, mask, 3, cv2.INPAINT_TELEA).astype(np.float32) / 255,
        "Navier-Stokes": cv2.inpaint(hurt, mask, 3, cv2.INPAINT_NS).astype(np.float32) / 255,
        **_biharmonic(seen, gaps),
        "eight directions": lines,
        "eight directions, grain": filled(seen, gaps),
    }


def _biharmonic(seen: Rgb, gaps: NDArray[np.bool_]) -> dict[str, Rgb]:
    """Return the filling by biharmonic equations, if scikit-image is installed."""
    if not importlib.util.find_spec("skimage"):
        return {}
    from skimage.restoration import inpaint_biharmonic

    return {"biharmonic": inpaint_biharmonic(seen, gaps, channel_axis=-1).astype(np.float32)}
