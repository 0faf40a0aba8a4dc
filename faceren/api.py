"""faceren for programs: arrays or PIL images in, the same and typed results out, no printing.

Names are those of the command line, and so are the results: ``restore`` gives the pixels that
``faceren restore`` writes.
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceren.arrays import Rgb8
from faceren.commands.one import check_alone
from faceren.commands.options import FolderOptions, RunOptions
from faceren.commands.restore import restore as restore_run
from faceren.commands.stored import restore_stored
from faceren.commands.workshop import load_pipeline
from faceren.errors import (
    EXTRAS,
    FacerenError,
    ImageError,
    MachineError,
    ShapeError,
    not_installed,
)
from faceren.metrics.results import ImageScores, MetricResult
from faceren.restoration.options import RestoreOptions, preset
from faceren.restoration.results import FaceEdit, LeftFace, PhotoResult, Status
from faceren.runs.plan import Job
from faceren.runs.storage import is_stored, on_disk

if TYPE_CHECKING:
    from faceren.restoration.pipeline import Pipeline

__all__ = [
    "FacerenError",
    "FolderOptions",
    "MetricResult",
    "PhotoResult",
    "RestoreOptions",
    "Restored",
    "RunOptions",
    "degrade",
    "evaluate",
    "preset",
    "restore",
    "restore_folder",
]

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
"""(H, W) gray or (H, W, 3) RGB, 8 or 16 bits."""
Picture = TypeVar("Picture", NDArray[Any], Image.Image)
"""``Pixels``, or an image of PIL."""
LOADED = 2
"""Networks that are kept for the next call."""


@dataclass(frozen=True, kw_only=True)
class Restored(Generic[Picture]):
    """What became of one image."""

    image: Picture
    """Of the same kind and depth as what was given; of the same size unless it was enlarged."""
    status: Status
    """``restored``, or ``no_face``: no face of it was restored. Its pixels are then those that were
    given, unless the options change more than faces (``background``, ``repair``, ``scale``)."""
    reason: str
    """Why no face was restored; empty if one was."""
    faces: tuple[FaceEdit, ...]
    """The restored ones: boxes, landmarks, identity distances."""
    left: tuple[LeftFace, ...]
    """Seen and left alone."""
    scale: int = 1
    """How many times as wide and high as what was given ``image`` is; its faces are in pixels of
    what was given."""


def restore(
    image: Picture,
    options: RestoreOptions = RestoreOptions(),
    *,
    how: RunOptions = RunOptions(),
) -> Restored[Picture]:
    """Restore the faces of one image.

    Args:
        image: (H, W) gray or (H, W, 3) RGB, uint8 or uint16; or an image of PIL, which is seen as
            its EXIF says and loses that, as every file's are kept by ``restore_folder``.
        options: What to do; ``preset("gentle")``, say. The image is an array of sRGB: ``format``
            and ``quality`` have no meaning.
        how: With what; a network is loaded once and kept for the next call with the same.

    Raises:
        ShapeError: If an array has another shape or type.
        ImageError: If the image cannot be restored.
        ConfigError: If an option makes no sense.
        MachineError: If weights, a library or the device are not there.
    """
    check_alone(options)
    pipeline = _pipeline(options, how)
    with tempfile.TemporaryDirectory(prefix="faceren-") as folder:
        source, output = Path(folder) / "image.png", Path(folder) / "out" / "image.png"
        source.write_bytes(imagecodecs.png_encode(_pixels(image), level=1))
        result = pipeline.one(Job(source, output, "image.png"))
        if result.status == "failed":
            raise ImageError(result.reason.replace(f"{source}: ", ""))
        made = np.asarray(imagecodecs.png_decode(output.read_bytes()))
    return Restored(
        image=_like(image, made),
        status=result.status,
        reason=result.reason,
        faces=result.faces,
        left=result.left,
        scale=made.shape[1] // result.size[0] if result.size else 1,
    )


def restore_folder(
    inputs: str | Path | Sequence[str | Path],
    output: str | Path,
    options: RestoreOptions = RestoreOptions(),
    *,
    how: RunOptions = RunOptions(),
    folder: FolderOptions = FolderOptions(),
) -> Iterator[PhotoResult]:
    """Restore photos into a folder, as ``faceren restore`` does; yield what became of each.

    Everything that can be wrong with the request is found by the call; the work is done as results
    are asked for.

    Args:
        inputs: A photo, a folder, or several of them; with ``faceren[storage]`` also addresses in
            an object store, as ``s3://archive/scans``, if ``output`` is one.
        output: Folder of the outputs and of ``manifest.jsonl``; the review page is not written.
        options: What to do with each photo.
        how: With what.
        folder: Which photos, and what is written beside them.

    Raises:
        ConfigError: If inputs, output or options make no sense.
        NothingToDoError: If there is no image.
        MachineError: If weights or device are not there, or the output cannot be written.
    """
    named = [inputs] if isinstance(inputs, str | Path) else inputs
    paths, place = [on_disk(Path(path)) for path in named], on_disk(Path(output))
    start = restore_stored if any(map(is_stored, (*paths, place))) else restore_run
    return start(paths, place, options, how=how, folder=folder).results


def degrade(image: Picture, task: str, seed: int = 0) -> Picture:
    """Return a damaged twin of a clean image, of the same size and kind.

    Args:
        image: (H, W) gray or (H, W, 3) RGB uint8, or an image of PIL.
        task: ``full``, ``historic``, …; ``faceren degrade --task list`` shows them all.
        seed: Of what is drawn: the same seed draws the same damage for the same size.

    Raises:
        ShapeError: If an array has another shape or type.
        ConfigError: If there is no such task.
    """
    from faceren.degradation import apply, draw

    rgb = _rgb8(image)
    damaged = apply(rgb, draw(task, seed=seed, size=min(rgb.shape[:2])))
    gray = isinstance(image, np.ndarray) and image.ndim == 2
    return _like(image, damaged[..., 1] if gray else damaged)


def evaluate(
    pairs: Iterable[tuple[Picture, Picture]],
    metrics: Sequence[str] = ("psnr", "ssim", "lpips"),
    *,
    device: str = "auto",
) -> dict[str, MetricResult]:
    """Return the mean of each metric over pairs, with its 95 % interval.

    Args:
        pairs: A result and its clean reference each, of one size: (H, W) gray or (H, W, 3) RGB
            uint8, or images of PIL.
        metrics: ``faceren evaluate --metrics list`` shows them all.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Raises:
        ShapeError: If the images of a pair differ in size.
        ConfigError: If there is no such metric.
        MachineError: If a library or weights are not there: it needs ``faceren[torch]``.
        FacerenError: If a metric could not be computed.
    """
    try:
        from faceren.inference import pick_device
        from faceren.metrics.names import parse_metrics
        from faceren.metrics.scoring import Scorer
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        raise MachineError(f"this needs {not_installed(error.name)}") from error

    with Scorer(parse_metrics(metrics), "standard", pick_device(device)) as scorer:
        for number, (result, reference) in enumerate(pairs):
            made, clean = _rgb8(result), _rgb8(reference)
            if made.shape != clean.shape:
                raise ShapeError(
                    f"pair {number}: expected two images of one size, got {made.shape[1]} by "
                    f"{made.shape[0]} and {clean.shape[1]} by {clean.shape[0]} pixels"
                )
            scorer.add(ImageScores(path=str(number), result=Path(str(number))), made, clean)
        scores = scorer.finish()
    for metric, reason in scores.not_computed.items():
        raise FacerenError(f"{metric}: {reason}")
    return scores.metrics


@lru_cache(maxsize=LOADED)
def _pipeline(options: RestoreOptions, how: RunOptions) -> "Pipeline":
    return load_pipeline(options, how)


def _pixels(image: NDArray[Any] | Image.Image) -> Pixels:
    """Return what a file of an image holds: gray or RGB, and opacity if it has any."""
    if isinstance(image, Image.Image):
        from PIL.ImageOps import exif_transpose

        upright = exif_transpose(image)
        known = upright.mode in ("L", "RGB", "LA", "RGBA", "I;16")
        clear = "transparency" in upright.info
        return np.asarray(upright if known else upright.convert("RGBA" if clear else "RGB"))
    fits = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    if image.dtype not in (np.uint8, np.uint16) or not fits or 0 in image.shape:
        got = f"{image.shape} {image.dtype}"
        raise ShapeError(f"expected (H, W) gray or (H, W, 3) RGB, uint8 or uint16, got {got}")
    return np.ascontiguousarray(image)


def _rgb8(image: NDArray[Any] | Image.Image) -> Rgb8:
    pixels = _pixels(image.convert("RGB") if isinstance(image, Image.Image) else image)
    if pixels.dtype != np.uint8:
        raise ShapeError(f"expected uint8, got {pixels.dtype}")
    rgb = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    return rgb.astype(np.uint8, copy=False)


def _like(image: Picture, made: NDArray[Any]) -> Picture:
    if isinstance(image, Image.Image):
        return Image.fromarray(made)
    return made
