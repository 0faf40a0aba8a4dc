"""The suites of the paper's section 5: variants (its Table 2), and crops of a group photograph.

Five networks are trained on the 16x task with one recipe (``models/ablation.yaml``, unless another
is asked for), equal steps and equal seeds, and scored on the clean faces like any other method.
Absolute figures depend on the steps, so they are part of every row; how much they depend on the
seed is said by the rows over several.

For the other the paper cut patches of 64 x 64 pixels out of the Solvay photograph of 1927, enlarged
them to 512 x 512 by bicubic interpolation, and let every system restore those.
"""

import json
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from scipy.special import stdtrit

from faceren.arrays import Float64, Rgb8
from faceren.assets import recipe_path
from faceren.bench.quality.baselines import Guided
from faceren.bench.quality.methods import Elsewhere, Method, Network, Untouched, network
from faceren.bench.quality.suite import MethodRow, Quality, TaskRun, candidates, face_set
from faceren.bench.request import NEEDS_PROTOCOL, LeftOut, Request, Row, table_2
from faceren.checkpoint import load_checkpoint
from faceren.commands.evaluate import Scored
from faceren.commands.train import train
from faceren.degradation import NATIVE_SIZE, resize
from faceren.degradation.resolution import Filter
from faceren.errors import ConfigError, FacerenError, MachineError, NothingToDoError
from faceren.faces.alignment import crop_corners, crop_transform, native_side
from faceren.faces.detection import detect_faces
from faceren.files import sha256_of
from faceren.images import read_rgb, write_png
from faceren.metrics.niqe import niqe
from faceren.metrics.results import MetricResult
from faceren.training.events import Finished
from faceren.training.state import RunFolder

TASK = "hallucination"


@dataclass(frozen=True)
class Variant:
    """One column of the table."""

    name: str
    note: str
    overrides: tuple[str, ...]


ADAPTIVE = ("model.variant=hifacegan", "model.suppression=adaptive")
VARIANTS = (
    Variant("16xFace", "SPADE guided by the mosaic itself", ("model.variant=spade",)),
    Variant(
        "FixConv", "plain convolutions", ("model.variant=hifacegan", "model.suppression=fixed")
    ),
    Variant(
        "LIP", "local importance pooling", ("model.variant=hifacegan", "model.suppression=lip")
    ),
    Variant("Default", "content-adaptive suppression", ADAPTIVE),
    Variant("L1", "the default, with an L1 loss", (*ADAPTIVE, "loss.l1=1.0")),
)


@dataclass(frozen=True, kw_only=True)
class Ablation(MethodRow):
    """Scores of one variant, and what it was trained with."""

    section: ClassVar[str] = "ablation"
    recipe: str
    """Name of what was trained."""
    variant: str
    """Column of the paper's table; ``method`` says the seed, too, if there are several."""
    seed: int
    steps: int
    minutes: float
    """Training time."""
    images_seen: int
    parameters: int

    def line(self) -> str:
        """Return the row as it is shown."""
        return (
            f"{super().line()}  ({self.parameters:,} parameters, {self.steps} steps, "
            f"{self.images_seen} images, {self.minutes:.1f} minutes)"
        )


@dataclass(frozen=True, kw_only=True)
class OverSeeds(MethodRow):
    """Means of a variant over its seeds; ``n`` counts these, and so do the intervals."""

    section: ClassVar[str] = "ablation_over_seeds"


def ablation_suite(request: Request) -> Iterator[Row | Scored]:
    """Train the variants and yield their scores as they come; the same request goes on.

    ``Scored`` comes after each image on the way.

    Raises:
        ConfigError: If there are no faces to train on, or they are those to be scored.
        KeyboardInterrupt: If a training was interrupted, after its checkpoint.
    """
    if request.train is None:
        raise ConfigError("--suite ablation: expected --train FOLDER, clean faces to train on")
    ours, theirs = (set(face_set(f).hashes.values()) for f in (request.faces, request.train))
    if shared := ours & theirs:
        raise ConfigError(
            f"--train {request.train}: {len(shared)} of its images are among the faces to be "
            f"scored in {request.faces}; give others"
        )
    faces = face_set(request.faces, request.limit)
    yield LeftOut(
        "SPADE guided by parsing maps",
        "no face parser comes with faceren; 16xFace is SPADE guided by the mosaic",
    )
    run = TaskRun(request, faces, TASK)
    run.degrade()
    if request.suite == "ablation":  # otherwise the suite of quality has these
        yield from run.scores(Untouched())
        yield from run.scores(network(request, request.model))
    for variant in VARIANTS:
        rows: list[Ablation] = []
        for seed in range(request.seed, request.seed + request.seeds):
            try:
                for event in _trained(run, variant, request.train, seed):
                    rows += [event] if isinstance(event, Ablation) else []
                    yield event
            except ConfigError:
                raise
            except FacerenError as error:
                yield LeftOut(f"variant {variant.name}, seed {seed}", str(error), failed=True)
        if len(rows) > 1:
            yield over_seeds(rows)
    if request.protocol == "paper":
        yield from table_2()
    else:
        yield LeftOut("the paper's Table 2", NEEDS_PROTOCOL)


def over_seeds(rows: Sequence[Ablation]) -> OverSeeds:
    """Return the means of one variant's figures over its seeds.

    The intervals are Student's: mean ± t s/√n, where n are the seeds; they say what another seed
    may bring, not what other faces may.

    Args:
        rows: At least two, of one variant.
    """
    count = len(rows)
    found: dict[str, MetricResult] = {}
    for metric in rows[0].metrics:
        values = [row.metrics[metric].mean for row in rows if metric in row.metrics]
        if len(values) == count:
            mean = statistics.fmean(values)
            around = stdtrit(count - 1, 0.975) * statistics.stdev(values) / math.sqrt(count)
            by = f"{rows[0].metrics[metric].by}; Student's t over {count} seeds"
            interval = float(mean - around), float(mean + around)
            found[metric] = MetricResult(mean=mean, ci95=interval, n=count, by=by)
    first = rows[0]
    return OverSeeds(
        task=first.task,
        method=first.variant,
        kind=first.kind,
        note=first.note,
        n=count,
        folder=first.folder,
        metrics=found,
    )


def _trained(run: TaskRun, variant: Variant, faces: Path, seed: int) -> Iterator[Row | Scored]:
    """Train a variant on a folder of faces, or go on, and yield its scores."""
    request = run.request
    name = f"{variant.name}, seed {seed}" if request.seeds > 1 else variant.name
    recipe = recipe_path(request.recipe)
    place = request.output / "ablation" / f"{recipe.stem}-{variant.name}-{seed}"
    overrides = (
        *variant.overrides,
        f"name={variant.name}",
        f"data.task={TASK}",
        f"data.train=[{json.dumps(str(faces))}]",
        "train.minutes=null",
        f"train.steps={request.steps}",
        f"seed={seed}",
    )
    events = train(recipe, overrides=overrides, output=place, device=request.device)
    ended = next((event for event in events if isinstance(event, Finished)), None)
    if ended is None:
        raise ConfigError(f"{place}: the training ended without a word; remove the folder")
    if ended.interrupted:
        raise KeyboardInterrupt
    weights = RunFolder(place).last
    method = Network(
        name=name,
        model=str(weights),
        weights_sha256=sha256_of(weights),
        what=variant.note,
        device=request.device,
        precision=request.precision,
    )
    for event in run.scores(method):
        if isinstance(event, Quality):
            yield Ablation(
                **vars(event),
                recipe=recipe.stem,
                variant=variant.name,
                seed=seed,
                steps=ended.step,
                minutes=ended.seconds / 60,
                images_seen=ended.images_seen,
                parameters=sum(p.numel() for p in load_checkpoint(weights).network.parameters()),
            )
        else:
            yield event


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
