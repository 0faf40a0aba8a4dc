"""What a benchmark is asked to measure: frozen, and checked when it is made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from faceren.arrays import Json
from faceren.assets import DEFAULT_MODEL, samples_dir
from faceren.bench.rows import plain
from faceren.checks import Bounds, check_fields
from faceren.degradation import NATIVE_SIZE, PAPER_TASKS, check_task
from faceren.errors import ConfigError
from faceren.metrics.names import PAPER_METRICS, parse_metrics

Suite = Literal["quality", "speed", "ablation", "crops", "all"]
SAMPLES = Path("sample_photos/clean")
TASKS = (*PAPER_TASKS, "small", "historic")
"""The six of the paper, and ours: small faces and old photographs."""
RUNS = Path("runs")
"""Where ``faceren train`` leaves what it has trained."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to measure."""

    clean: Path = SAMPLES
    """Folder of aligned clean faces."""
    output: Path = Path("benchmark")
    """Folder for degraded and restored faces; what is there already is not made again."""
    suite: Suite = "all"
    """``all`` is quality and speed; the ablation trains, and must be asked for."""
    tasks: tuple[str, ...] = TASKS
    """Tasks of ``degrade``."""
    metrics: tuple[str, ...] = PAPER_METRICS
    """See ``evaluate``."""
    model: str = DEFAULT_MODEL
    """A shipped model's name or the path of a checkpoint."""
    models: tuple[str, ...] = ()
    """Others beside it: names, checkpoints of ours or that spandrel reads; ``TASK=FILE`` is run
    on that task only."""
    size: Annotated[int, Bounds(64)] = NATIVE_SIZE
    """Shorter side of the degraded faces, pixels; the paper's is 512."""
    limit: Annotated[int, Bounds(1)] | None = None
    """The first so many faces only."""
    seconds: Annotated[float, Bounds(0)] = 3.0
    """Least time for each figure of speed."""
    budget: Annotated[float, Bounds(0.001)] = 60.0
    """Minutes of training for the whole ablation."""
    train: Path | None = None
    """Folder of clean faces that the ablation is trained on."""
    crops: Path | None = None
    """A photo whose small faces are to be enlarged and restored, as in section 5.2."""
    compare: Path | None = None
    """The ``benchmark.json`` of an earlier run, to be compared with."""
    overwrite: bool = False
    """Degrade, restore and score anew what an earlier run into the same folder did."""
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        check_fields(self, "--{}".format)
        for task in self.tasks:
            check_task(task)
        object.__setattr__(self, "metrics", parse_metrics(self.metrics))
        if self.suite == "ablation" and self.train is None:
            raise ConfigError(
                "--suite ablation: expected --train FOLDER, the clean faces to train on"
            )
        if self.suite == "crops" and self.crops is None:
            raise ConfigError("--suite crops: expected --crops PHOTO, a photo of small faces")

    @property
    def model_name(self) -> str:
        """A short name: a checkpoint's file name without its suffix."""
        return short_name(self.model)

    @property
    def faces(self) -> Path:
        """The folder, or the shipped faces for a ``sample_photos/clean`` that is not there."""
        missing = self.clean == SAMPLES and not self.clean.exists()
        return samples_dir() / "clean" if missing else self.clean

    def to_json(self) -> Json:
        """Return what was asked for, for the report."""
        return plain(self)


def short_name(model: str) -> str:
    """Return a shipped model's name, or a checkpoint's file name without its suffix."""
    return Path(model).stem if Path(model).suffix else model
