"""What a benchmark is asked to measure, and the rows that it yields.

A request is frozen, and checked when it is made. Each row is of one section of the report; a row on
disk is how an interrupted benchmark goes on where it stopped.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from typer import Argument, Option

from faceren.assets import DEFAULT_MODEL, samples_dir
from faceren.checks import Bounds, Json, check_fields
from faceren.commands.options import ComputedIn, Device, Model, Overwrite, Seed, commas
from faceren.errors import ConfigError
from faceren.files import atomic_write
from faceren.metrics.names import PAPER_METRICS, Protocol, parse_metrics
from faceren.restoration.options import flag_of


def plain(record: Any) -> Json:
    """Return the fields of a dataclass as JSON has them: paths are text, tuples are lists."""
    fields: Json = json.loads(json.dumps(asdict(record), default=str))
    return fields


@dataclass(frozen=True)
class Row(ABC):
    """One measured line; every suite yields frozen dataclasses of this kind."""

    section: ClassVar[str]
    """List of the report that the row belongs to."""

    def to_json(self) -> Json:
        """Return the row's numbers and names, by the names of its fields."""
        return plain(self)

    @abstractmethod
    def line(self) -> str:
        """Return the row as it is shown while the benchmark goes on."""


@dataclass(frozen=True)
class LeftOut(Row):
    """Something that was not measured here, and why."""

    section: ClassVar[str] = "left_out"
    what: str
    why: str
    failed: bool = False
    """It was asked for, and failed."""

    def line(self) -> str:
        """Return one sentence."""
        return f"{'failed' if self.failed else 'left out'}: {self.what} ({self.why})"


def key_of(parts: Json) -> str:
    """Return 16 hexadecimal digits that change with anything that a row depends on."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class RowStore:
    """Rows by key, each a file of its own.

    Args:
        folder: Where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> Json | None:
        """Return a finished row; None if there is none, or its file is no JSON object."""
        try:
            row = json.loads((self.folder / f"{key}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return None
        return row if isinstance(row, dict) else None

    def put(self, key: str, row: Json) -> None:
        """Keep a finished row.

        Raises:
            MachineError: If it cannot be written.
        """
        text = json.dumps(row, ensure_ascii=False, indent=1)
        atomic_write(self.folder / f"{key}.json", (text + "\n").encode("utf-8", "backslashreplace"))


Suite = Literal["quality", "speed", "ablation", "crops", "repair", "all"]
SAMPLES = Path("sample_photos/clean")
TASKS = ("sr4x", "hallucination", "denoise", "deblur", "jpeg", "full", "small", "historic")
"""The six of the paper, and ours: small faces and old photographs."""
RUNS = Path("runs")
"""Where ``faceren train`` leaves what it has trained."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to measure; a field is an option of the command line, too."""

    clean: Annotated[Path, Argument(help="Folder of aligned clean faces.")] = SAMPLES
    suite: Annotated[Suite, Option(help="What to measure.")] = "all"
    """``all`` is quality and speed; the others must be asked for."""
    tasks: Annotated[
        tuple[str, ...],
        Option(parser=commas, help="Tasks of degrade, split by commas.", metavar="TASKS"),
    ] = TASKS
    model: Model = DEFAULT_MODEL
    models: Annotated[
        tuple[str, ...],
        Option(
            parser=commas,
            help="Others to compare: checkpoints, yours or ours, or TASK=FILE, split by commas; "
            "all: every network that is here.",
            metavar="MODELS",
        ),
    ] = ()
    """Names, checkpoints of ours or that spandrel reads; ``TASK=FILE`` is run on that task only;
    ``all`` are the shipped ones and what the recipes of other papers' networks have trained."""
    results: Annotated[
        tuple[str, ...],
        Option(
            parser=commas,
            help="What other programs made of the same degraded faces: NAME=FOLDER, split by "
            "commas; FOLDER/TASK if there are several tasks.",
            metavar="RESULTS",
        ),
    ] = ()
    """The degraded faces are those of ``faceren degrade`` with the same task, seed and size."""
    metrics: Annotated[
        tuple[str, ...],
        Option(parser=commas, help="Metrics of evaluate, split by commas.", metavar="METRICS"),
    ] = PAPER_METRICS
    protocol: Annotated[
        Protocol, Option(help="standard, or paper, whose own figures are then quoted beside.")
    ] = "standard"
    """How the metrics are computed, as in ``evaluate``. The paper's figures stand beside ours only
    where both are of one protocol: of the same faces NIQE is 5 by one and 14 by the other."""
    size: Annotated[
        int, Bounds(64), Option(help="Shorter side of the faces in pixels; the paper's is 512.")
    ] = 512
    limit: Annotated[int | None, Bounds(1), Option(help="The first so many faces only.")] = None
    output: Annotated[Path, Option("--output", "-o", help="Folder to write to.")] = Path(
        "benchmark"
    )
    """Degraded and restored faces that are there already are not made again."""
    seconds: Annotated[float, Bounds(0), Option(help="Least time for each figure of speed.")] = 3.0
    train: Annotated[Path | None, Option(help="Clean faces to train the ablation on.")] = None
    recipe: Annotated[
        Path,
        Option(
            help="What the ablation trains, by name or file: ablation is small, paper the paper's.",
        ),
    ] = Path("ablation")
    steps: Annotated[int, Bounds(1), Option(help="Training steps of each of its variants.")] = 1000
    """Steps, not minutes: whatever else the machine does, all see the same samples."""
    seeds: Annotated[
        int, Bounds(1), Option(help="How many times each is trained, --seed and those after it.")
    ] = 1
    crops: Annotated[
        Path | None, Option(help="A photo whose small faces are enlarged and restored.")
    ] = None
    """As in section 5.2 of the paper."""
    guides: Annotated[
        Path | None, Option(help="Second images of the faces, for guided methods; same names.")
    ] = None
    """The paper gave GFRNet the clean faces themselves."""
    compare: Annotated[Path | None, Option(help="An earlier benchmark.json.")] = None
    overwrite: Overwrite = False
    """Degrade, restore and score anew what an earlier run into the same folder did."""
    seed: Seed = 0
    device: Device = "auto"
    precision: ComputedIn = "auto"

    def __post_init__(self) -> None:
        from faceren.degradation import check_task  # loads NumPy, which --help does without

        check_fields(self, flag_of)
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
