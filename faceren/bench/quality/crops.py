"""Old group photographs as in section 5.2 of the paper: small faces, enlarged, then restored.

The paper cut patches of 64 x 64 pixels out of the Solvay photograph of 1927, enlarged them to
512 x 512 by bicubic interpolation, and restored those.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from faceren.arrays import Rgb8
from faceren.bench.request import Request
from faceren.bench.rows import Row
from faceren.degradation import NATIVE_SIZE, resize
from faceren.errors import ConfigError, NothingToDoError
from faceren.faces.alignment import crop_transform, native_side, warp
from faceren.faces.detection import detect_faces
from faceren.images import read_rgb, to_tensor, to_uint8, write_png
from faceren.inference import Restorer
from faceren.metrics.niqe import niqe

PATCH = 64
"""Side of a patch, pixels."""


@dataclass(frozen=True, kw_only=True)
class PatchRow(Row):
    """One face of a photograph, and how natural it looks before and after."""

    section: ClassVar[str] = "crops"
    face: int
    """Number, the largest first."""
    native: int
    """Photo pixels that the side of its crop covers."""
    niqe_input: float
    """NIQE of the enlarged patch; lower is more natural."""
    niqe_restored: float
    """NIQE of the restored patch."""
    enlarged: Path
    restored: Path

    def line(self) -> str:
        """Return the row as it is shown."""
        return (
            f"face {self.face}, {self.native} px  niqe {self.niqe_input:.2f} enlarged  "
            f"{self.niqe_restored:.2f} restored"
        )


def patches(photo: Path, *, limit: int | None = None) -> list[tuple[int, Rgb8]]:
    """Return the faces of a photo as aligned patches of 64 x 64, the largest first.

    Args:
        photo: Image file.
        limit: Most faces.

    Returns:
        For each the photo pixels that its side covers, and (64, 64, 3) pixels.

    Raises:
        NothingToDoError: If no face is found.
        ImageError: If the photo cannot be read.
    """
    image = read_rgb(photo)
    faces = [face for face in detect_faces(image) if not face.doubt][:limit]
    if not faces:
        raise NothingToDoError(f"--crops {photo}: no face found")
    pixels, found = np.asarray(image, np.float32) / np.float32(255), []
    for face in faces:
        cut = warp(pixels, crop_transform(face.landmarks, PATCH), (PATCH, PATCH))
        patch = np.asarray((cut * 255).round().clip(0, 255), np.uint8)
        found.append((round(native_side(face.landmarks)), patch))
    return found


def crops_suite(request: Request, restorer: Restorer) -> Iterator[PatchRow]:
    """Enlarge the faces of a photo from 64 to 512 pixels, restore them, and write both.

    Raises:
        ConfigError: If no photo is given.
        NothingToDoError: If no face is found.
        ImageError: If the photo cannot be read.
        MachineError: If a file cannot be written.
    """
    if request.crops is None:
        raise ConfigError("--suite crops: expected --crops PHOTO, a photo of small faces")
    folder = request.output / "crops"
    found = patches(request.crops, limit=request.limit)
    for number, (native, patch) in enumerate(found, start=1):
        enlarged = resize(patch, height=NATIVE_SIZE, width=NATIVE_SIZE, by="cubic")
        restored = to_uint8(restorer.restore(to_tensor(enlarged)))
        paths = [folder / kind / f"{number:02d}.png" for kind in ("enlarged", "restored")]
        for path, image in zip(paths, (enlarged, restored), strict=True):
            write_png(path, image)
        yield PatchRow(
            face=number,
            native=native,
            niqe_input=niqe(enlarged),
            niqe_restored=niqe(restored),
            enlarged=paths[0],
            restored=paths[1],
        )
