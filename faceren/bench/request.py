"""What a benchmark is asked to measure, the rows that it yields, and the paper's beside them.

A request is frozen, and checked when it is made. Each row is of one section of the report; a row on
disk is how an interrupted benchmark goes on where it stopped.

The paper's are quoted, never re-run: Yang et al., HiFaceGAN, ACM MM 2020 (arXiv 2005.05005), tables
1 and 2, 5,000 faces of FFHQ at 512 x 512, measured by the paper's own code (``evaluate --protocol
paper``).
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


MARK = "quoted from the paper, not re-run"
NEEDS_PROTOCOL = "they were measured by the paper's protocol: give --protocol paper"

TABLE_1 = """
sr4x          EDSR            30.188 0.824 0.961 0.0843 2.003 20.605 0.2475 13.636
sr4x          SRGAN           27.494 0.735 0.935 0.1097 2.269 4.396 0.1313 7.378
sr4x          ESRGAN          27.134 0.741 0.935 0.1107 2.261 3.503 0.1221 6.984
sr4x          SRFBN           29.577 0.827 0.953 0.0984 2.066 20.032 0.2406 13.901
sr4x          Super-FAN       25.463 0.729 0.913 0.1416 2.333 14.811 0.2357 8.719
sr4x          WaveletCNN      28.750 0.806 0.952 0.0964 2.072 16.472 0.2443 12.217
sr4x          HiFaceGAN       30.824 0.838 0.971 0.0716 2.071 1.898 0.0723 6.961
hallucination Super-FAN       20.536 0.540 0.744 0.4297 4.834 63.693 0.4411 7.444
hallucination ESRGAN          21.001 0.576 0.697 0.5138 5.902 50.901 0.3928 15.383
hallucination WaveletCNN      23.810 0.675 0.837 0.3713 3.729 60.916 0.4909 11.450
hallucination HiFaceGAN       23.705 0.619 0.819 0.3182 3.137 11.389 0.2449 6.767
denoise       RIDNet          25.432 0.731 0.891 0.2128 2.465 36.515 0.3864 13.002
denoise       WaveletCNN      26.530 0.754 0.895 0.2441 2.728 26.731 0.3119 11.395
denoise       VDNet           27.718 0.797 0.928 0.1551 2.297 15.826 0.2458 14.262
denoise       HiFaceGAN       31.828 0.845 0.957 0.1109 2.090 3.926 0.0868 7.341
deblur        DeblurGAN       25.304 0.718 0.894 0.1786 3.219 14.331 0.2574 12.697
deblur        DeblurGANv2     26.908 0.773 0.913 0.1043 3.036 10.285 0.2178 13.729
deblur        HiFaceGAN       28.928 0.793 0.954 0.0913 2.156 2.580 0.0874 7.426
jpeg          ARCNN           33.021 0.879 0.972 0.0845 1.959 9.761 0.1551 14.827
jpeg          EPGAN           32.780 0.882 0.976 0.0814 1.979 10.250 0.1638 13.729
jpeg          HiFaceGAN       31.611 0.850 0.970 0.0842 2.057 1.880 0.0541 6.911
full          Degraded-Input  22.905 0.465 0.756 0.2875 3.936 63.670 0.6828 21.955
full          Super-FAN       24.818 0.549 0.818 0.2495 3.705 32.800 0.4283 12.154
full          ESRGAN          24.197 0.564 0.816 0.2761 3.771 28.053 0.4141 11.382
full          WaveletCNN      24.404 0.648 0.817 0.2821 3.690 58.901 0.3102 15.530
full          DeblurGANv2     23.704 0.494 0.776 0.2403 4.412 49.329 0.6496 21.983
full          ARCNN           24.187 0.539 0.787 0.2580 3.833 60.864 0.6424 18.880
full          GFRNet          25.227 0.686 0.854 0.2524 3.371 48.229 0.4591 20.777
full          HiFaceGAN       25.837 0.674 0.881 0.2055 2.701 8.013 0.2093 7.272
"""
"""Task, method, and the eight metrics in the paper's order."""

REAL_NIQE = 7.796
"""What the paper's NIQE gives real faces; their other figures are perfect."""

TABLE_2 = """
SPADE     20.968 0.596 0.718 0.4595 4.143 52.701 0.3967 10.367
16xFace   23.541 0.610 0.811 0.3296 3.227 14.365 0.2609 7.446
FixConv   23.651 0.615 0.818 0.3236 3.157 13.154 0.2467 7.011
Default   23.705 0.619 0.819 0.3182 3.137 11.389 0.2449 6.767
L1        23.937 0.628 0.823 0.3197 3.085 11.910 0.2462 6.938
"""
"""Variant, and the eight metrics, on the hallucination task."""


@dataclass(frozen=True)
class Quoted(Row):
    """A line of a table in the paper."""

    section: ClassVar[str] = "quoted"
    table: int
    """1 compares methods, 2 is the ablation."""
    task: str
    method: str
    source: str
    metrics: dict[str, float]

    def line(self) -> str:
        """Return the line as text."""
        figures = "  ".join(f"{name} {value:g}" for name, value in self.metrics.items())
        return f"{self.task}  {self.method}  {figures}  ({MARK})"


def table_1(task: str) -> list[Quoted]:
    """Return the paper's lines for one of its six tasks; none for another task."""
    lines = (line.split() for line in TABLE_1.split("\n") if line)
    return [_quoted(1, *line) for line in lines if line[0] == task]


def table_2() -> list[Quoted]:
    """Return the paper's ablation."""
    lines = (line.split() for line in TABLE_2.split("\n") if line)
    return [_quoted(2, "hallucination", *line) for line in lines]


def _quoted(table: int, task: str, method: str, *figures: str) -> Quoted:
    values = dict(zip(PAPER_METRICS, map(float, figures), strict=True))
    return Quoted(table, task, method.replace("-Input", " input"), MARK, values)
