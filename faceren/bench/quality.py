"""The suite ``quality``: degrade clean faces, run every method, score what comes out."""

import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch

from faceren.bench.candidates import Candidate, candidates
from faceren.bench.classical import classical
from faceren.bench.faces import FaceSet, face_set
from faceren.bench.methods import Kind, Method, Untouched
from faceren.bench.quoted import table_1
from faceren.bench.request import Request
from faceren.bench.rows import LeftOut, Row
from faceren.bench.store import RowStore, key_of
from faceren.commands.degrade import degrade
from faceren.commands.evaluate import evaluate
from faceren.commands.options import DegradeOptions, EvaluateOptions
from faceren.degradation import NATIVE_SIZE
from faceren.degradation.planning import library_versions
from faceren.errors import FacerenError, ImageError, MachineError
from faceren.metrics.results import Evaluation, MetricResult
from faceren.pages.tables import figure
from faceren.runs.manifest import MANIFEST_NAME, read_manifest

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Scores of one method on one task."""

    section: ClassVar[str] = "quality"
    task: str
    method: str
    """``input`` is the degraded photo itself."""
    kind: Kind
    note: str
    """What the method does, in a sentence."""
    n: int
    """Faces scored."""
    folder: Path
    """The restored faces."""
    metrics: dict[str, MetricResult]
    images: dict[str, dict[str, float]] = field(default_factory=dict)
    """Figures of each face, by its path below ``folder``."""
    ms: float | None = None
    """Median time of a face, milliseconds, if the method says."""
    warnings: tuple[str, ...] = ()
    """What to mind, metrics without a figure among it."""

    def to_json(self) -> dict[str, Any]:
        """Return the row with its figures, their intervals and what computed them."""
        row = asdict(self) | {"folder": str(self.folder), "warnings": list(self.warnings)}
        return row | {"metrics": {name: r.to_json() for name, r in self.metrics.items()}}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> "Quality":
        """Return a row that ``to_json`` gave."""
        metrics = {
            name: MetricResult(**{**r, "ci95": r["ci95"] and tuple(r["ci95"])})
            for name, r in row["metrics"].items()
        }
        known = {"folder": Path(row["folder"]), "warnings": tuple(row["warnings"])}
        return cls(**{**row, "metrics": metrics, **known})

    def line(self) -> str:
        """Return the row as it is shown."""
        text = "  ".join(f"{name} {figure(name, r.mean)}" for name, r in self.metrics.items())
        return f"{self.task}  {self.method}  N {self.n}  {text}"


def quality_suite(request: Request, *, progress: Progress | None = None) -> Iterator[Row]:
    """Yield the figures of every method on every task as they are measured.

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
        methods: list[Method] = [Untouched(), *filters, *_for(task, networks)]
        for method in methods:
            yield suite.row(method, progress)
        yield from table_1(task)


def _for(task: str, networks: list[Candidate]) -> list[Method]:
    return [candidate.method for candidate in networks if candidate.task in ("", task)]


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
        return pictures(self.request.output, self.faces) / f"{self.task}{size}"

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

    def row(self, method: Method, progress: Progress | None) -> Row:
        """Return the scores of a method: kept from an earlier run, or measured now."""
        store, key = RowStore(self.request.output / "rows"), self._key(method)
        kept = None if self.request.overwrite else store.get(key)
        if kept is not None and Path(kept["folder"]).is_dir():
            return Quality.from_json(kept)
        try:
            folder = method.renew(
                self.damaged, self.folder / method.name, overwrite=self.request.overwrite
            )
        except MachineError:
            raise
        except FacerenError as error:
            return LeftOut(f"{method.name} on {self.task}", str(error), failed=True)
        options = EvaluateOptions(metrics=self.request.metrics, device=self.request.device)
        for event in evaluate(folder, options):
            if isinstance(event, Evaluation):
                row = _row(self.task, method, folder, event)
            elif progress is not None:
                progress(event.done, event.total)
        store.put(key, json.loads(json.dumps(row.to_json())))
        return row

    def _key(self, method: Method) -> str:
        return key_of(
            {
                "task": self.task,
                "seed": self.request.seed,
                "size": self.request.size,
                "faces": self.faces.digest,
                "method": [method.name, method.settings],
                "metrics": self.request.metrics,
                "device": self.request.device,
                "versions": library_versions() | {"torch": torch.__version__},
            }
        )


def pictures(output: Path, faces: FaceSet) -> Path:
    """Return the folder of the pictures that are made of a set of faces."""
    return output / "pictures" / faces.digest[:8]


def _row(task: str, method: Method, folder: Path, scores: Evaluation) -> Quality:
    found = scores.scores
    missing = [f"{metric}: {reason}" for metric, reason in found.not_computed.items()]
    unread = [f"{path}: {reason}" for path, reason in scores.failures]
    return Quality(
        task=task,
        method=method.name,
        kind=method.kind,
        note=method.note,
        n=len(found.images),
        folder=folder,
        metrics=found.metrics,
        images={row.path: row.values for row in found.images},
        ms=_median_ms(folder),
        warnings=(*found.warnings, *missing, *unread),
    )


def _median_ms(folder: Path) -> float | None:
    """Return the median of the times that a manifest gives its faces, None if it gives none."""
    lines = read_manifest(folder / MANIFEST_NAME).items.values()
    times = [face["ms"] for line in lines for face in line.get("faces") or []]
    return statistics.median(times) if times else None
