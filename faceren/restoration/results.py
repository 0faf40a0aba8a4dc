"""What a restoration says about each photo and face, and how it is written down."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from faceren.checks import Json
from faceren.faces.face import RECORDED_DIGITS
from faceren.restoration.repair.repair import PageRepair
from faceren.runs.manifest import Line, Manifest
from faceren.runs.plan import Job
from faceren.runs.resume import unchanged
from faceren.runs.storage import spelled

RECORDED = ("restored", "no_face", "failed", "reverted")
"""What a manifest says of a photo that was done."""
Status = Literal["restored", "no_face", "failed", "skipped", "planned"]


@dataclass(frozen=True, kw_only=True)
class FaceEdit:
    """What was written of one restored face, in pixels of the photo as it is seen upright."""

    box: tuple[float, float, float, float]
    landmarks: tuple[tuple[float, float], ...]
    score: float
    crop: int
    """Side in pixels of its aligned crop."""
    identity_distance: float | None
    """How far the restored face is from whom the input shows, 0 to 2: one less the cosine of the
    embeddings of ``faces.identity``; None if it could not be measured."""
    ms: float
    """Time of the network for this face."""
    strength: float = 1.0
    """Share of the network's change that was applied; 0: the face was left as it was."""
    reason: str = ""
    """Why that is less than was asked for."""
    page: int = 0
    """Of a photo with several."""
    working_size: int = 0
    """Shorter side in pixels at which the network saw the crop, by the detail that it holds."""
    halftone_dots: int = 0
    """Printed dots or lines along the crop's side, which were taken out; 0: it is no halftone."""

    def to_json(self) -> Json:
        """Return the manifest's form."""
        distance = self.identity_distance
        seldom = {"page": self.page, "halftone_dots": self.halftone_dots}
        return {
            "box": [round(value, 2) for value in self.box],
            "landmarks": [[round(v, RECORDED_DIGITS) for v in point] for point in self.landmarks],
            "score": round(self.score, 4),
            "crop": self.crop,
            "working_size": self.working_size,
            "identity_distance": None if distance is None else round(distance, 4),
            "ms": round(self.ms, 1),
            "strength": round(self.strength, 4),
            "reason": self.reason,
        } | {name: value for name, value in seldom.items() if value}


@dataclass(frozen=True, kw_only=True)
class LeftFace:
    """One face that was seen and left alone, in pixels of the photo as it is seen upright."""

    box: tuple[float, float, float, float]
    score: float
    reason: str
    """``small`` or ``doubtful``, a colon, and why."""
    page: int = 0
    """Of a photo with several."""

    def to_json(self) -> Json:
        """Return the manifest's form."""
        return {
            "box": [round(value, 2) for value in self.box],
            "score": round(self.score, 4),
            "reason": self.reason,
        } | ({"page": self.page} if self.page else {})


@dataclass(frozen=True)
class ChosenScale:
    """What ``--scale auto`` has decided for one photo."""

    factor: int
    """How many times as wide and high the output is."""
    reason: str
    """Why, in words."""
    limit: str = ""
    """What the photo would have exceeded, enlarged, so that it stays as large as it is."""

    def to_json(self) -> Json:
        """Return what the manifest's line has of it; where it has none, nothing was chosen."""
        limited = f"; enlarged it would have {self.limit}" if self.limit else ""
        return {"scale": self.factor, "scale_reason": self.reason + limited}


@dataclass(frozen=True, kw_only=True)
class PhotoResult:
    """What became of one photo."""

    source: Path
    output: Path
    key: str
    status: Status
    reason: str = ""
    input_sha256: str = ""
    output_sha256: str = ""
    settings: str = ""
    """Digest of options and weights (see ``RestoreOptions.digest``)."""
    faces: tuple[FaceEdit, ...] = ()
    left: tuple[LeftFace, ...] = ()
    """Seen and left alone."""
    warnings: tuple[str, ...] = ()
    """What the output does not hold of its original, and what in it may mislead."""
    repairs: tuple[PageRepair, ...] = ()
    """What was found on the print, page by page."""
    size: tuple[int, int] | None = None
    """Width and height in pixels of the photo as it is seen upright; of the first of several."""
    scale: ChosenScale | None = None
    """None unless it was to be chosen, and the photo could be read."""
    previous: str = ""
    """Status in the manifest of a photo that is skipped because nothing changed."""
    recorded: Json | None = None
    """The manifest's line of such a photo."""

    def to_json(self) -> Json:
        """Return the manifest's line; of a skipped photo what the manifest has, faces and all."""
        if self.recorded is not None:
            now = {"input": spelled(self.source), "status": self.status, "previous": self.previous}
            return {**self.recorded, **now}
        written = self.status in ("restored", "no_face")
        more: Json = {}
        if self.size is not None:
            more["size"] = list(self.size)
        if self.scale is not None:
            more |= self.scale.to_json()
        if self.left:
            more["left"] = [face.to_json() for face in self.left]
        if self.repairs:
            more["repair"] = [page.to_json() for page in self.repairs]
        if self.warnings:
            more["warnings"] = list(self.warnings)
        return {
            "key": self.key,
            "input": spelled(self.source),
            "input_sha256": self.input_sha256,
            "output": spelled(self.output) if written or self.status == "skipped" else None,
            "output_sha256": self.output_sha256 or None,
            "status": self.status,
            "reason": self.reason,
            "settings": self.settings,
            "faces": [face.to_json() for face in self.faces],
        } | more


def done_before(
    job: Job, manifest: Manifest, settings: str, *, retry_failed: bool
) -> PhotoResult | None:
    """Return a ``skipped`` result if an earlier run has done this very job, else None.

    Args:
        job: What is to be done.
        manifest: Of the earlier runs.
        settings: See ``PhotoResult.settings``.
        retry_failed: What failed before is to be done.
    """
    line = manifest.items.get(job.key)
    if line is None or not unchanged(job, line, settings):
        return None
    previous = line.get("status")
    if previous not in RECORDED or (previous == "failed" and retry_failed):
        return None
    return skipped(job, line)


def skipped(job: Job, line: Line) -> PhotoResult:
    """Return the result of a photo that an earlier run has done.

    Args:
        job: What would be done.
        line: What the record says of it.
    """
    return PhotoResult(
        source=job.source,
        output=job.output,
        key=job.key,
        status="skipped",
        previous=str(line.get("status")),
        reason=line.get("reason") or "",
        input_sha256=line.get("input_sha256") or "",
        output_sha256=line.get("output_sha256") or "",
        settings=line.get("settings") or "",
        recorded=line,
    )
