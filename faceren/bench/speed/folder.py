"""Time of a whole folder: the pipeline against the same work, one photo and one face at a time."""

import resource
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
from PIL import Image

from faceren.assets import samples_dir
from faceren.bench.rows import Row
from faceren.engines import Restorer
from faceren.errors import ImageError
from faceren.images import DEFAULT_MAX_PIXELS, read_rgb
from faceren.restoration.options import RestoreOptions
from faceren.restoration.pipeline import AUTOMATIC_WORKERS, Pipeline
from faceren.restoration.results import PhotoResult
from faceren.runs.plan import Job

PHOTOS = 200
BLOCK = 100
"""Photos that each way restores in turn, so that both see the same machine."""
SIZES = (0.7, 1.0, 1.4, 2.0)
"""Factors by which the shipped photos are enlarged."""
SUFFIXES = (".jpg", ".jpg", ".jpg", ".png", ".tif")


@dataclass(frozen=True, kw_only=True)
class FolderSpeed(Row):
    """Figures of one folder of photos, decoded, restored, written and recorded."""

    section: ClassVar[str] = "folder"
    photos: int
    faces: int
    photos_per_second: float
    faces_per_second: float
    speedup: float
    """Time of one photo and one face at a time, divided by the pipeline's."""
    network_share: float
    """Share of the pipeline's time in which the network computes."""
    seconds: float
    """Time of the pipeline; its stages, below, overlap."""
    seconds_alone: float
    """Time of one photo and one face at a time."""
    prepare_seconds: float
    """Decoding, detecting, aligning, in all threads together."""
    network_seconds: float
    finish_seconds: float
    """Measuring identity, pasting, encoding, writing, in all threads together."""
    workers: int
    peak_mib: float
    """Largest resident memory of this process until the end of the run."""

    def line(self) -> str:
        """Return the row as it is shown."""
        return (
            f"folder of {self.photos} photos, {self.faces} faces  "
            f"{self.photos_per_second:.2f} photos/s  {self.faces_per_second:.2f} faces/s  "
            f"{self.speedup:.2f}× one at a time  network {self.network_share:.0%} of the time  "
            f"peak {self.peak_mib:.0f} MiB"
        )


def folder_speed(
    restorer: Restorer, *, photos: int = PHOTOS, workers: int = AUTOMATIC_WORKERS
) -> FolderSpeed:
    """Generate a folder of photos, restore it both ways in turns, and return the figures.

    Args:
        restorer: The loaded network.
        photos: How many photos to generate.
        workers: Threads beside the network.

    Raises:
        ImageError: If a photo fails.
    """
    with tempfile.TemporaryDirectory(prefix="faceren-") as name:
        folder = Path(name)
        jobs = list(photo_folder(folder / "in", folder / "out", photos))
        ours, alone = (
            Pipeline(
                restorer=restorer,
                options=RestoreOptions(),
                max_pixels=DEFAULT_MAX_PIXELS,
                workers=workers,
            )
            for _ in range(2)
        )
        _counted(map(alone.one, jobs[:3]))  # loads the detector and warms up
        seconds, seconds_alone, faces = 0.0, 0.0, 0
        for start in range(0, photos, BLOCK):
            block = jobs[start : start + BLOCK]
            began = time.perf_counter()
            faces += _counted(ours.run(block))
            between = time.perf_counter()
            _counted(map(alone.one, block))
            seconds += between - began
            seconds_alone += time.perf_counter() - between
    return FolderSpeed(
        photos=photos,
        faces=faces,
        photos_per_second=photos / seconds,
        faces_per_second=faces / seconds,
        speedup=seconds_alone / seconds,
        network_share=ours.timing.network / seconds,
        seconds=seconds,
        seconds_alone=seconds_alone,
        prepare_seconds=ours.timing.prepare,
        network_seconds=ours.timing.network,
        finish_seconds=ours.timing.finish,
        workers=workers,
        peak_mib=peak_bytes() / 2**20,
    )


def peak_bytes() -> int:
    """Return the largest resident memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _counted(results: Iterable[PhotoResult]) -> int:
    """Do the work; return the number of faces."""
    faces = 0
    for result in results:
        if result.status == "failed":
            raise ImageError(result.reason)
        faces += len(result.faces)
    return faces


def photo_folder(source: Path, output: Path, count: int) -> Iterator[Job]:
    """Make a folder from the shipped photos, always the same: sizes, formats, mirrored twins.

    Args:
        source: The folder to make.
        output: Where the restored photos will go.
        count: How many photos.

    Yields:
        The job of restoring each, as soon as it is written.
    """
    source.mkdir()
    shipped = sorted(path for path in samples_dir().iterdir() if path.is_file())
    samples = [read_rgb(path) for path in shipped if path.suffix != ".md"]
    for index in range(count):
        rng = np.random.default_rng(index)
        path = source / f"{index:03d}{rng.choice(SUFFIXES)}"
        photo = samples[index % len(samples)]
        scale, step = float(rng.choice(SIZES)), int(rng.choice((1, -1)))
        size = [round(side * scale) for side in photo.shape[1::-1]]
        by = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
        grown = cv2.resize(photo, size, interpolation=by)
        Image.fromarray(np.ascontiguousarray(grown[:, ::step])).save(path)
        yield Job(path, output / path.name, path.name)
