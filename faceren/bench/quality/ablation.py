"""The suite ``ablation``: the variants of the paper's Table 2, trained alike and compared.

Five small networks are trained on the 16x task with one recipe (``models/ablation.yaml``) and equal
shares of the budget, and scored on the clean faces like any other method. Absolute figures depend
on the budget, so it is part of every row.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from faceren.assets import models_dir
from faceren.bench.quality.methods import Network, Untouched, network
from faceren.bench.quality.quoted import NEEDS_PROTOCOL, table_2
from faceren.bench.quality.suite import MethodRow, Quality, TaskRun, face_set
from faceren.bench.request import Request
from faceren.bench.rows import LeftOut, Row
from faceren.checkpoint import load_checkpoint
from faceren.commands.evaluate import Scored
from faceren.commands.train import train
from faceren.errors import ConfigError, FacerenError
from faceren.files import sha256_of
from faceren.training.events import Finished
from faceren.training.folder import RunFolder

RECIPE = "ablation.yaml"
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
    budget_minutes: float
    """Training time of all variants together."""
    minutes: float
    """Training time of this variant."""
    images_seen: int
    parameters: int

    def line(self) -> str:
        """Return the row as it is shown."""
        return (
            f"{super().line()}  ({self.parameters:,} parameters, {self.minutes:.1f} minutes, "
            f"{self.images_seen} images)"
        )


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
    yield LeftOut("SPADE guided by parsing maps", "no face parser comes with faceren")
    run = TaskRun(request, faces, TASK)
    run.degrade()
    if request.suite == "ablation":  # otherwise the suite of quality has these
        yield from run.scores(Untouched())
        yield from run.scores(network(request, request.model))
    for variant in VARIANTS:
        try:
            yield from _trained(run, variant, request.train)
        except ConfigError:
            raise
        except FacerenError as error:
            yield LeftOut(f"variant {variant.name}", str(error), failed=True)
    if request.protocol == "paper":
        yield from table_2()
    else:
        yield LeftOut("the paper's Table 2", NEEDS_PROTOCOL)


def _trained(run: TaskRun, variant: Variant, faces: Path) -> Iterator[Row | Scored]:
    """Train a variant on a folder of faces, or go on, and yield its scores."""
    request = run.request
    minutes = request.budget / len(VARIANTS)
    place = request.output / "ablation" / variant.name
    overrides = (
        *variant.overrides,
        f"name={variant.name}",
        f"data.train=[{json.dumps(str(faces))}]",
        f"train.minutes={minutes}",
        f"seed={request.seed}",
    )
    events = train(models_dir() / RECIPE, overrides=overrides, output=place, device=request.device)
    ended = next((event for event in events if isinstance(event, Finished)), None)
    if ended is None:
        raise ConfigError(f"{place}: the training ended without a word; remove the folder")
    if ended.interrupted:
        raise KeyboardInterrupt
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
    for event in run.scores(method):
        if isinstance(event, Quality):
            yield Ablation(
                **vars(event),
                budget_minutes=request.budget,
                minutes=ended.seconds / 60,
                images_seen=ended.images_seen,
                parameters=sum(p.numel() for p in load_checkpoint(weights).network.parameters()),
            )
        else:
            yield event
