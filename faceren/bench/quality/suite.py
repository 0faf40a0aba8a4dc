"""The suite ``quality``: degrade clean faces, run every method, score what comes out."""

import hashlib
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import torch

from faceren.assets import model_path
from faceren.bench.quality.baselines import (
    Unusable,
    checkpoint_method,
    load_peer,
    name_of,
    named_models,
)
from faceren.bench.quality.classical import classical
from faceren.bench.quality.methods import Elsewhere, Kind, Method, Untouched, network
from faceren.bench.request import (
    NEEDS_PROTOCOL,
    RUNS,
    TASKS,
    LeftOut,
    Request,
    Row,
    RowStore,
    key_of,
    table_1,
)
from faceren.checkpoint import recognised
from faceren.checks import Json
from faceren.commands.degrade import degrade
from faceren.commands.evaluate import Scored, evaluate
from faceren.commands.options import DegradeOptions, EvaluateOptions
from faceren.degradation import NATIVE_SIZE
from faceren.degradation.planning import library_versions
from faceren.errors import ConfigError, FacerenError, ImageError, MachineError, NothingToDoError
from faceren.files import sha256_of
from faceren.images import Found, find_images
from faceren.metrics.results import Evaluation, MetricResult
from faceren.pages.tables import figure
from faceren.runs.manifest import MANIFEST_NAME, read_manifest
from faceren.training.state import RunFolder


@dataclass(frozen=True)
class FaceSet:
    """Clean aligned faces, in a fixed order."""

    folder: Path
    found: tuple[Found, ...]

    def __len__(self) -> int:
        return len(self.found)

    @cached_property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file, by its path below the folder."""
        return {item.relative.as_posix(): sha256_of(item.path) for item in self.found}

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that change with any name or byte."""
        lines = "".join(f"{name} {value}\n" for name, value in self.hashes.items())
        return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def names(self, count: int) -> list[str]:
        """Return the paths of ``count`` faces, evenly chosen, as degraded: PNG files."""
        step = max(1, len(self.found) // max(1, count))
        return [i.relative.with_suffix(".png").as_posix() for i in self.found[::step][:count]]


def face_set(folder: Path, limit: int | None = None) -> FaceSet:
    """Return the first ``limit`` images of a folder, sub-folders searched.

    Raises:
        ConfigError: If there is no such folder.
        NothingToDoError: If there is no image in it.
    """
    if not folder.exists():
        raise ConfigError(f"{folder}: no such folder; give a folder of aligned clean faces")
    found = tuple(find_images([folder]))[:limit]
    if not found:
        raise NothingToDoError(f"no image found in {folder}; expected aligned clean faces")
    return FaceSet(folder, found)


@dataclass(frozen=True, kw_only=True)
class MethodRow(Row):
    """Scores of one method on one task."""

    task: str
    method: str
    """``input`` is the degraded photo itself."""
    kind: Kind
    note: str
    """What the method does, in a sentence."""
    n: int
    """Number of faces scored."""
    folder: Path
    """Folder of the restored faces."""
    metrics: dict[str, MetricResult]
    images: dict[str, dict[str, float]] = field(default_factory=dict)
    """Figures of each face, by its path below ``folder``."""
    ms: float | None = None
    """Median time of a face, milliseconds, if the method says."""
    warnings: tuple[str, ...] = ()
    """What to mind, metrics without a figure among it."""

    def line(self) -> str:
        """Return the row as it is shown."""
        text = "  ".join(f"{name} {figure(name, r.mean)}" for name, r in self.metrics.items())
        return f"{self.task}  {self.method}  N {self.n}  {text}"


@dataclass(frozen=True, kw_only=True)
class Quality(MethodRow):
    """Scores in the suite of quality, which are kept from run to run."""

    section: ClassVar[str] = "quality"

    @classmethod
    def from_json(cls, row: Json) -> "Quality":
        """Return a row that ``to_json`` gave."""
        metrics = {
            name: MetricResult(**{**r, "ci95": r["ci95"] and tuple(r["ci95"])})
            for name, r in row["metrics"].items()
        }
        known = {"folder": Path(row["folder"]), "warnings": tuple(row["warnings"])}
        return cls(**{**row, "metrics": metrics, **known})


@dataclass(frozen=True)
class Candidate:
    """A loaded method, and the one task that it is for, if it is for one."""

    method: Method
    task: str = ""


def candidates(request: Request) -> list[Candidate]:
    """Return every network of a request, each read once, so that a bad one is found at once.

    The first is the model that the request names; a run folder of ``faceren train`` with the name
    of a task (``runs/denoise``) takes part in that task without being named.

    Raises:
        ConfigError: If two have the same name, or spandrel cannot read one.
        MachineError: If a file is missing or damaged, or spandrel is not installed.
    """
    found = [Candidate(network(request, request.model))]
    for text in named_models(request):
        task, _, model = text.rpartition("=")
        if task and task not in TASKS:
            raise ConfigError(f"--models {text}: expected TASK=FILE, got the task {task!r}")
        path = model_path(model)
        try:
            method: Method = checkpoint_method(request, model)
        except ConfigError as error:
            if recognised(path):  # what it says of itself is not so
                method = Unusable(name=name_of(model), reason=str(error))
            else:
                method = load_peer(path, device=request.device)
        found.append(Candidate(method, task))
    given = {candidate.task for candidate in found}
    for task in request.tasks:
        trained = RunFolder(RUNS / task).best
        if trained.is_file() and task not in given:
            found.append(Candidate(network(request, str(trained), name=f"{task}-run"), task))
    for text in request.results:
        found += [Candidate(given, task) for task, given in _elsewhere(text, request.tasks).items()]
    for task in request.tasks:
        methods: list[Method] = [Untouched(), *classical(task)[0]]
        methods += [candidate.method for candidate in found if candidate.task in ("", task)]
        names = [method.name for method in methods]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ConfigError(
                f"--models and --results: {twice[0]!r} is there twice; give them different names"
            )
    return found


def _elsewhere(text: str, tasks: Sequence[str]) -> dict[str, Elsewhere]:
    """Return the results of another program by task, from ``NAME=FOLDER``.

    Raises:
        ConfigError: If it is no such pair, or the folder has nothing for any of the tasks.
    """
    name, _, folder = text.partition("=")
    if not (name and folder) or Path(name).name != name or name in (".", ".."):
        raise ConfigError(f"--results {text}: expected NAME=FOLDER with a name fit for a folder")
    place = Path(folder)
    if not place.is_dir():
        raise ConfigError(f"--results {text}: there is no folder {place}")
    found = {task: place / task for task in tasks if (place / task).is_dir()}
    if not found and len(tasks) == 1:
        found = {tasks[0]: place}
    if not found:
        raise ConfigError(
            f"--results {text}: expected a folder for each task in it ({place / tasks[0]}), "
            f"or a single one of --tasks"
        )
    return {task: Elsewhere(name=name, results=where) for task, where in found.items()}


def quality_suite(request: Request) -> Iterator[Row | Scored]:
    """Yield the figures of every method on every task, and ``Scored`` after each image.

    A method that fails on a task is yielded as ``LeftOut``, and the others go on. Rows that an
    earlier run into the same folder finished with the same settings are not measured again.

    Raises:
        ConfigError: If a model cannot be used, or the folder is not there.
        NothingToDoError: If there is no face.
        ImageError: If a clean face cannot be read.
        MachineError: If weights, a library, the device or disk space are missing.
    """
    faces = face_set(request.faces, request.limit)
    networks = candidates(request)
    for task in request.tasks:
        suite = TaskRun(request, faces, task)
        suite.degrade()
        filters, absent = classical(task)
        yield from absent
        ours = [candidate.method for candidate in networks if candidate.task in ("", task)]
        methods: list[Method] = [Untouched(), *filters, *ours]
        for method in methods:
            if isinstance(method, Elsewhere) and (strays := method.strays(suite.damaged)):
                yield LeftOut(
                    f"some results of {method.name} on {task}, {len(strays)} in all",
                    f"no degraded face has such a name: {', '.join(strays[:3])}",
                )
            yield from suite.scores(method)
        if request.protocol == "paper":
            yield from table_1(task)
    if request.protocol != "paper":
        yield LeftOut("the paper's own figures", NEEDS_PROTOCOL)


@dataclass(frozen=True)
class TaskRun:
    """One task on one set of faces."""

    request: Request
    faces: FaceSet
    task: str

    @property
    def folder(self) -> Path:
        """Where its pictures go; pictures of other faces are never among them."""
        size = "" if self.request.size == NATIVE_SIZE else f"_{self.request.size}"
        faces = self.request.output / "pictures" / self.faces.digest[:8]
        return faces / f"{self.task}{size}"

    @property
    def damaged(self) -> Path:
        """The degraded faces."""
        return self.folder / "input"

    def degrade(self) -> None:
        """Make the degraded faces that are not there yet."""
        options = DegradeOptions(
            task=self.task,
            seed=self.request.seed,
            size=self.request.size,
            limit=self.request.limit,
            overwrite=self.request.overwrite,
        )
        for twin in degrade([self.faces.folder], self.damaged, options):
            if twin.status == "failed":
                raise ImageError(twin.reason)

    def scores(self, method: Method) -> Iterator[Row | Scored]:
        """Yield ``Scored`` after each image, at last the scores of a method.

        What an earlier run has kept is not measured again.
        """
        store = RowStore(self.request.output / "rows")
        key = key_of(
            {
                "task": self.task,
                "seed": self.request.seed,
                "size": self.request.size,
                "faces": self.faces.digest,
                "method": [method.name, method.settings],
                "metrics": self.request.metrics,
                "protocol": self.request.protocol,
                "device": self.request.device,
                "versions": library_versions() | {"torch": torch.__version__},
            }
        )
        kept = None if self.request.overwrite else store.get(key)
        if kept is not None and Path(kept["folder"]).is_dir():
            yield Quality.from_json(kept)
            return
        try:
            folder = method.renew(
                self.damaged, self.folder / method.name, overwrite=self.request.overwrite
            )
        except MachineError:
            raise
        except FacerenError as error:
            yield LeftOut(f"{method.name} on {self.task}", str(error), failed=True)
            return
        options = EvaluateOptions(
            metrics=self.request.metrics,
            protocol=self.request.protocol,
            device=self.request.device,
        )
        for event in evaluate(folder, options):
            if isinstance(event, Evaluation):
                row = _row(self.task, method, folder, event)
                store.put(key, row.to_json())
                yield row
            else:
                yield event


def _row(task: str, method: Method, folder: Path, scores: Evaluation) -> Quality:
    found = scores.scores
    missing = [f"{metric}: {reason}" for metric, reason in found.not_computed.items()]
    unread = [f"{path}: {reason}" for path, reason in scores.failures]
    lines = read_manifest(folder / MANIFEST_NAME).items.values()
    times = [face["ms"] for line in lines for face in line.get("faces") or [] if "ms" in face]
    return Quality(
        task=task,
        method=method.name,
        kind=method.kind,
        note=method.note,
        n=len(found.images),
        folder=folder,
        metrics=found.metrics,
        images={row.path: row.values for row in found.images},
        ms=statistics.median(times) if times else None,
        warnings=(*found.warnings, *missing, *unread),
    )
