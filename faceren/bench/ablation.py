"""The suite ``ablation``: the variants of the paper's Table 2, trained alike and compared.

Five small networks are trained on the 16x task with one recipe (``models/ablation.yaml``) and equal
shares of the budget, and scored on the clean faces like any other method. Absolute figures depend
on the budget, so it is part of every row.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from faceren.assets import models_dir
from faceren.bench.candidates import network
from faceren.bench.faces import FaceSet, face_set
from faceren.bench.methods import Network, Untouched
from faceren.bench.quality import Quality, TaskRun
from faceren.bench.quoted import table_2
from faceren.bench.request import Request
from faceren.bench.rows import LeftOut, Row
from faceren.checkpoint import load_checkpoint
from faceren.commands.train import train
from faceren.errors import ConfigError, FacerenError
from faceren.files import sha256_of
from faceren.training.events import Finished
from faceren.training.folder import RunFolder

RECIPE = "ablation.yaml"
TASK = "hallucination"
Tell = Callable[[int, int], None]


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
class Ablation:
    """Scores of one variant, and what it was trained with."""

    section: ClassVar[str] = "ablation"
    quality: Quality
    budget_minutes: float
    """Training time of all variants together."""
    minutes: float
    """Of this one."""
    images_seen: int
    parameters: int

    def to_json(self) -> dict[str, Any]:
        """Return the scores with what the training was."""
        return self.quality.to_json() | {
            "budget_minutes": self.budget_minutes,
            "minutes": self.minutes,
            "images_seen": self.images_seen,
            "parameters": self.parameters,
        }

    def line(self) -> str:
        """Return the row as it is shown."""
        return (
            f"{self.quality.line()}  ({self.parameters:,} parameters, {self.minutes:.1f} minutes, "
            f"{self.images_seen} images)"
        )


def ablation_suite(request: Request, *, progress: Tell | None = None) -> Iterator[Row]:
    """Train the variants and yield their scores as they come; the same request goes on.

    Raises:
        ConfigError: If there are no faces to train on, or they are those to be scored.
        KeyboardInterrupt: If a training was interrupted, after its checkpoint.
    """
    folder, faces = _training_faces(request), face_set(request.faces, request.limit)
    yield LeftOut("SPADE guided by parsing maps", "no face parser comes with faceren")
    run = TaskRun(request, faces, TASK)
    run.degrade()
    if request.suite == "ablation":  # otherwise the suite of quality has these
        yield run.row(Untouched(), progress)
        yield run.row(network(request, request.model), progress)
    for variant in VARIANTS:
        try:
            yield _row(request, run, variant, folder, progress)
        except ConfigError:
            raise
        except FacerenError as error:
            yield LeftOut(f"variant {variant.name}", str(error), failed=True)
    yield from table_2()


def _training_faces(request: Request) -> Path:
    if request.train is None:
        raise ConfigError("--suite ablation: expected --train FOLDER, clean faces to train on")
    ours, theirs = (_hashes(face_set(path)) for path in (request.faces, request.train))
    if shared := ours & theirs:
        raise ConfigError(
            f"--train {request.train}: {len(shared)} of its images are among the faces to be "
            f"scored in {request.faces}; give others"
        )
    return request.train


def _hashes(faces: FaceSet) -> set[str]:
    return set(faces.hashes.values())


def _row(
    request: Request, run: TaskRun, variant: Variant, folder: Path, progress: Tell | None
) -> Row:
    minutes = request.budget / len(VARIANTS)
    place = request.output / "ablation" / variant.name
    overrides = (
        *variant.overrides,
        f"name={variant.name}",
        f"data.train=[{json.dumps(str(folder))}]",
        f"train.minutes={minutes}",
        f"seed={request.seed}",
    )
    ended = _train(overrides, place, request.device)
    weights = RunFolder(place).last
    if not weights.is_file():
        raise ConfigError(
            f"--budget {request.budget:g}: {minutes:g} minutes for each variant are too few for "
            f"a single step here; give more"
        )
    method = Network(
        name=variant.name,
        model=str(weights),
        weights_sha256=sha256_of(weights),
        what=variant.note,
        device=request.device,
        precision=request.precision,
    )
    found = run.row(method, progress)
    if not isinstance(found, Quality):
        return found
    return Ablation(
        quality=found,
        budget_minutes=request.budget,
        minutes=ended.seconds / 60,
        images_seen=ended.images_seen,
        parameters=sum(p.numel() for p in load_checkpoint(weights).network.parameters()),
    )


def _train(overrides: tuple[str, ...], place: Path, device: str) -> Finished:
    """Train a variant, or go on; return how it ended."""
    events = train(models_dir() / RECIPE, overrides=overrides, output=place, device=device)
    for event in events:
        if isinstance(event, Finished):
            if event.interrupted:
                raise KeyboardInterrupt
            return event
    raise ConfigError(f"{place}: the training ended without a word; remove the folder")
