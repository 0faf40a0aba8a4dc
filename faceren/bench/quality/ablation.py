"""The suite ``ablation``: the variants of the paper's Table 2, trained alike and compared.

Five networks are trained on the 16x task with one recipe (``models/ablation.yaml``, unless another
is asked for), equal steps and equal seeds, and scored on the clean faces like any other method.
Absolute figures depend on the steps, so they are part of every row; how much they depend on the
seed is said by the rows over several.
"""

import json
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from scipy.special import stdtrit

from faceren.assets import recipe_path
from faceren.bench.quality.methods import Network, Untouched, network
from faceren.bench.quality.quoted import NEEDS_PROTOCOL, table_2
from faceren.bench.quality.suite import MethodRow, Quality, TaskRun, face_set
from faceren.bench.request import LeftOut, Request, Row
from faceren.checkpoint import load_checkpoint
from faceren.commands.evaluate import Scored
from faceren.commands.train import train
from faceren.errors import ConfigError, FacerenError
from faceren.files import sha256_of
from faceren.metrics.results import MetricResult
from faceren.training.events import Finished
from faceren.training.folder import RunFolder

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
