"""Old group photographs as in section 5.2 of the paper: small faces, enlarged, then restored.

The paper cut patches of 64 x 64 pixels out of the Solvay photograph of 1927, enlarged them to
512 x 512 by bicubic interpolation, and let every system restore those.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from faceren.arrays import Float64, Rgb8
from faceren.bench.quality.baselines import Guided
from faceren.bench.quality.methods import Elsewhere, Method
from faceren.bench.quality.suite import candidates
from faceren.bench.request import LeftOut, Request, Row
from faceren.degradation import NATIVE_SIZE, resize
from faceren.degradation.resolution import Filter
from faceren.errors import ConfigError, FacerenError, MachineError, NothingToDoError
from faceren.faces.alignment import crop_corners, crop_transform, native_side
from faceren.faces.detection import detect_faces
from faceren.images import read_rgb, write_png
from faceren.metrics.niqe import niqe


@dataclass(frozen=True, kw_only=True)
class PatchRow(Row):
    """One face of a photograph under one method, and how natural it looks before and after."""

    section: ClassVar[str] = "crops"
    method: str
    face: int
    """Number, the largest first."""
    native: int
    """Side of its patch, photo pixels."""
    niqe_input: float
    """NIQE of the enlarged patch; lower is more natural."""
    niqe_restored: float
    """NIQE of the restored patch."""
    enlarged: Path
    restored: Path

    def line(self) -> str:
        """Return the row as it is shown."""
        return (
            f"face {self.face}, {self.native} px  {self.method}  niqe {self.niqe_input:.2f} "
            f"enlarged  {self.niqe_restored:.2f} restored"
        )


def patches(photo: Path, *, limit: int | None = None) -> list[Rgb8]:
    """Return the faces of a photo as square patches of its own pixels, the largest first.

    Args:
        photo: Image file.
        limit: Most faces.

    Returns:
        For each (S, S, 3) pixels, S the side of the face's aligned crop in photo pixels.

    Raises:
        NothingToDoError: If no face is found.
        ImageError: If the photo cannot be read.
    """
    image = read_rgb(photo)
    faces = [face for face in detect_faces(image) if not face.doubt][:limit]
    if not faces:
        raise NothingToDoError(f"--crops {photo}: no face found")
    return [cut(image, face.landmarks) for face in faces]


def cut(image: Rgb8, landmarks: Float64) -> Rgb8:
    """Return the upright square around a face, as large as its aligned crop; nothing is resampled.

    Args:
        image: (H, W, 3); beyond its edge its outermost pixels go on.
        landmarks: (5, 2), in its pixels.
    """
    side = max(1, round(native_side(landmarks)))
    centre = crop_corners(crop_transform(landmarks, NATIVE_SIZE), NATIVE_SIZE).mean(axis=0)
    left, top = (round(at - (side - 1) / 2) for at in centre)
    rows, columns = (
        np.clip(np.arange(start, start + side), 0, length - 1)
        for start, length in zip((top, left), image.shape[:2], strict=True)
    )
    return np.ascontiguousarray(image[rows][:, columns])


def crops_suite(request: Request) -> Iterator[Row]:
    """Enlarge the faces of a photo to 512 pixels and let every loaded system restore them.

    All of them restore all of the patches, as in the paper, whatever task they were trained for.
    One that fails is yielded as ``LeftOut``, and the others go on.

    Raises:
        ConfigError: If no photo is given, or a model cannot be used.
        NothingToDoError: If no face is found.
        ImageError: If the photo cannot be read.
        MachineError: If a file cannot be written, or weights or a library are missing.
    """
    if request.crops is None:
        raise ConfigError("--suite crops: expected --crops PHOTO, a photo of small faces")
    folder = request.output / "crops"
    sides: dict[Path, int] = {}
    for number, patch in enumerate(patches(request.crops, limit=request.limit), start=1):
        path, side = folder / "enlarged" / f"{number:02d}.png", len(patch)
        by: Filter = "area" if side > NATIVE_SIZE else "cubic"
        write_png(path, resize(patch, height=NATIVE_SIZE, width=NATIVE_SIZE, by=by))
        sides[path] = side
    before = {path: niqe(read_rgb(path)) for path in sides}
    for method in _methods(request):
        if isinstance(method, Guided):
            yield LeftOut(f"{method.name} on crops", "its faces have no second images")
            continue
        try:
            made = method.renew(folder / "enlarged", folder / method.name, overwrite=True)
        except MachineError:
            raise
        except FacerenError as error:
            yield LeftOut(f"{method.name} on crops", str(error), failed=True)
            continue
        for number, (path, native) in enumerate(sides.items(), start=1):
            yield PatchRow(
                method=method.name,
                face=number,
                native=native,
                niqe_input=before[path],
                niqe_restored=niqe(read_rgb(made / path.name)),
                enlarged=path,
                restored=made / path.name,
            )


def _methods(request: Request) -> list[Method]:
    """Return every network of a request once, whatever its task.

    Raises:
        ConfigError: If two have the same name.
    """
    found: dict[str, Method] = {}
    for candidate in candidates(request):
        method = candidate.method
        if isinstance(method, Elsewhere):  # made of other faces
            continue
        known = found.setdefault(method.name, method)
        if known is not method and known.settings != method.settings:
            raise ConfigError(
                f"--models: {method.name!r} is there twice; give them different names"
            )
    return list(found.values())
