"""What users can ask of the commands beside the pixels: how, where, which files.

A field is the one place of an option, see ``cli.parameters``; a field without ``Option`` is for
callers in Python alone.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Annotated, Literal

from typer import Option

from faceren.assets import DEFAULT_MODEL, shipped_models
from faceren.checks import Bounds, check_fields, whole_number
from faceren.config import Engine, Precision
from faceren.errors import ConfigError
from faceren.metrics.names import METRICS, Protocol
from faceren.restoration.options import EVERYDAY, FACES, OUTPUT, flag_of
from faceren.runs.storage import STORED

MACHINE = "Machine"
REDO = "Undo and redo"
"""Groups of the help, beside those of ``restoration.options``."""


def starting_with(words: Iterable[str]) -> Callable[[str], list[str]]:
    """Return what a shell asks to complete a word: those of ``words`` that begin with it."""
    known = list(words)
    return lambda incomplete: [word for word in known if word.startswith(incomplete)]


def _tasks(incomplete: str) -> list[str]:
    from faceren.degradation import TASKS  # loads NumPy, which --help does without

    return starting_with(TASKS)(incomplete)


def _metrics(incomplete: str) -> list[str]:
    done, comma, last = incomplete.rpartition(",")
    return [done + comma + name for name in starting_with(METRICS)(last)]


Device = Annotated[
    str,
    Option(
        help="auto, cpu, cuda, cuda:N or mps.",
        metavar="DEVICE",
        rich_help_panel=MACHINE,
        autocompletion=starting_with(("auto", "cpu", "cuda", "mps")),
    ),
]
Model = Annotated[
    str,
    Option(
        "--model",
        "-m",
        help="Shipped model (faceren models lists them) or a checkpoint.",
        metavar="MODEL",
        rich_help_panel=EVERYDAY,
        autocompletion=starting_with(shipped_models()),
    ),
]
ComputedIn = Annotated[
    Precision, Option(help="What the network computes in.", rich_help_panel=MACHINE)
]
Seed = Annotated[int, Bounds(0), Option(help="Seed of what is drawn at random.")]
Workers = Annotated[
    int,
    Bounds(0),
    Option(
        help="Threads or processes that prepare and write; 0: automatic.", rich_help_panel=MACHINE
    ),
]
MaxPixels = Annotated[
    int | None,
    Bounds(1),
    Option(help="Refuse images of more pixels.", rich_help_panel=MACHINE),
]
Exclude = Annotated[
    tuple[str, ...],
    Option(help="Glob of paths to leave out.", metavar="GLOB", rich_help_panel=OUTPUT),
]
Overwrite = Annotated[bool, Option(help="Do everything anew.", rich_help_panel=REDO)]
Part = Annotated[
    str,
    Option(
        help="Do one part of N, I from 0 to N - 1; the others are for other machines.",
        metavar="I/N",
        rich_help_panel=MACHINE,
    ),
]
"""See ``runs.shards``; ``commands.merge`` joins what the parts have recorded."""

PIPE = Path("-")
"""Stands for stdin among the inputs of a restoration, and for stdout as its output."""
UNITS = {"M": 2**20, "G": 2**30}


def check_patterns(exclude: Iterable[str]) -> None:
    """Check what ``--exclude`` leaves out.

    Raises:
        ConfigError: If a pattern is empty, as ``/`` is: there is no path that it could fit.
    """
    for pattern in exclude:
        if not PurePath(pattern.rstrip("/")).parts:
            raise ConfigError(f"--exclude: expected a pattern, as drafts or *.gif, got {pattern!r}")


def commas(names: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return names that are given in one text, split at commas."""
    return tuple(filter(None, names.split(","))) if isinstance(names, str) else names


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """With what a restoration is done.

    Model, engine, device and precision decide pixels, and ``weights_dir`` what an automatic mask
    is; the rest does not.
    """

    model: Model = DEFAULT_MODEL
    """A shipped model's name or the path of a checkpoint."""
    device: Device = "auto"
    precision: ComputedIn = "auto"
    engine: Annotated[
        Engine,
        Option(
            help="What computes: ONNX Runtime (on a CPU in fp32), or torch.",
            rich_help_panel=MACHINE,
        ),
    ] = "auto"
    """See ``faceren.engines``."""
    batch_size: Annotated[
        Literal["auto"] | Annotated[int, Bounds(1)],
        Option(help="Faces a pass.", metavar="auto|N", rich_help_panel=MACHINE),
    ] = "auto"
    workers: Workers = 0
    max_pixels: MaxPixels = None
    """Larger outputs are refused, too; default DEFAULT_MAX_PIXELS."""
    max_memory: Annotated[
        str,
        Option(
            help="For photos being worked on, as 500M or 3G.",
            metavar="SIZE",
            rich_help_panel=MACHINE,
        ),
    ] = "2G"
    """Beside the program itself; one photo always may be worked on."""
    weights_dir: Annotated[
        Path | None,
        Option(help="Folder of facexlib's weights.", metavar="DIR", rich_help_panel=MACHINE),
    ] = None
    """Default ``faces.tools.default_folder()``."""
    offline: Annotated[bool, Option(help="Download nothing.", rich_help_panel=MACHINE)] = False
    cluster: Annotated[
        Literal["off", "ray"],
        Option(help="Restore photos on the nodes of a Ray cluster.", rich_help_panel=MACHINE),
    ] = "off"
    """See ``commands.cluster``."""
    cluster_workers: Annotated[
        int,
        Bounds(0),
        Option(help="Workers of the Ray cluster; 0: as many as fit.", rich_help_panel=MACHINE),
    ] = 0
    cluster_cpus: Annotated[
        float,
        Bounds(0.01),
        Option(help="CPUs of a worker of the Ray cluster.", rich_help_panel=MACHINE),
    ] = 1.0
    cluster_gpus: Annotated[
        float,
        Bounds(0),
        Option(help="GPUs of a worker of the Ray cluster, fractions too.", rich_help_panel=MACHINE),
    ] = 0.0

    def __post_init__(self) -> None:
        check_fields(self, flag_of)
        _ = self.memory

    @property
    def memory(self) -> int:
        """``max_memory`` in bytes."""
        number, unit = self.max_memory[:-1], self.max_memory[-1:].upper()
        if unit in UNITS and (count := whole_number(number)):
            return count * UNITS[unit]
        raise ConfigError(
            f"--max-memory: expected a size such as 500M or 3G, got {self.max_memory!r:.80}"
        )


@dataclass(frozen=True, kw_only=True)
class FolderOptions:
    """Which photos of a folder are restored, and what is written beside them."""

    boxes: Annotated[
        Path | None,
        Option(
            help="Faces that were missed: JSON Lines or CSV.",
            metavar="FILE",
            rich_help_panel=FACES,
        ),
    ] = None
    """See ``runs.lists``."""
    save_faces: Annotated[
        bool, Option(help="Keep the crops as well, in OUT/faces.", rich_help_panel=OUTPUT)
    ] = False
    """Before and after."""
    suffix: Annotated[
        str,
        Option(
            help="Added to the names of outputs: _restored makes a_restored.jpg of a.jpg.",
            rich_help_panel=OUTPUT,
        ),
    ] = ""
    exclude: Exclude = ()
    shard: Part = ""
    only: Annotated[
        Path | None,
        Option(
            help="File that lists the photos to restore; - reads it from stdin.",
            metavar="LIST",
            rich_help_panel=REDO,
        ),
    ] = None
    """By output or input; see ``runs.lists``."""
    repair_mask: Annotated[
        Path | None,
        Option(
            help="Folder of masks to fill by, named as in OUT/masks.",
            metavar="DIR",
            rich_help_panel=REDO,
        ),
    ] = None
    """What is not black in them is filled, whatever ``--repair`` says."""
    repair_keep: Annotated[
        Path | None,
        Option(
            help="File that lists marks that are to stay as they are, as the page exports it.",
            metavar="LIST",
            rich_help_panel=REDO,
        ),
    ] = None
    """See ``runs.lists``; those of photos that are not in it are filled as ``--repair`` says."""
    keep_times: Annotated[
        bool, Option(help="Give outputs the times of their originals.", rich_help_panel=OUTPUT)
    ] = False
    overwrite: Overwrite = False
    retry_failed: Annotated[bool, Option(help="Retry what failed.", rich_help_panel=REDO)] = False
    dry_run: Annotated[
        bool, Option(help="Say what would be done, do nothing.", rich_help_panel=EVERYDAY)
    ] = False

    def __post_init__(self) -> None:
        check_fields(self, flag_of)
        check_patterns(self.exclude)
        if not self.suffix.isprintable() or set(self.suffix) & set("/\\"):
            raise ConfigError(
                f"--suffix: expected a piece of a name, as _restored, got {self.suffix!r:.60}"
            )


@dataclass(frozen=True, kw_only=True)
class PageOptions:
    """What is done with the results of a restoration, or with those of an earlier one instead."""

    report: Annotated[
        bool,
        Option("--report/--no-report", help="Write OUT/report.html.", rich_help_panel=OUTPUT),
    ] = True
    open_page: Annotated[
        bool,
        Option(
            "--open",
            help="Open the page in the browser afterwards, as faceren open does.",
            rich_help_panel=EVERYDAY,
        ),
    ] = False
    report_only: Annotated[
        Path | None,
        Option(
            help="Write the report page of OUT anew, do nothing else.",
            metavar="OUT",
            rich_help_panel=OUTPUT,
        ),
        STORED,
    ] = None
    merge: Annotated[
        bool,
        Option(
            help="Join what all parts of a --shard run have made; the inputs are their folders.",
            rich_help_panel=MACHINE,
        ),
    ] = False
    """Into the output folder, or the only one that is named."""
    revert: Annotated[
        Path | None,
        Option(
            help="File that lists photos and faces to take back; - reads it from stdin.",
            metavar="LIST",
            rich_help_panel=REDO,
        ),
    ] = None
    verify: Annotated[
        Path | None,
        Option(
            help="Compare all files with the hashes recorded in OUT; write nothing.",
            metavar="OUT",
            rich_help_panel=REDO,
        ),
        STORED,
    ] = None


@dataclass(frozen=True, kw_only=True)
class DegradeOptions:
    """What is done to clean photos."""

    task: Annotated[
        str | None,
        Option(
            help="full, historic, sr4x, …; list shows them all.",
            metavar="TASK",
            autocompletion=_tasks,
        ),
    ] = None
    """One of ``faceren.degradation.TASKS``; not with ``replay``."""
    size: Annotated[
        Literal["keep"] | Annotated[int, Bounds(64)],
        Option(help="Shorter side in pixels, or keep.", metavar="N"),
    ] = 512
    copies: Annotated[int, Bounds(1), Option(help="Outputs a photo.")] = 1
    """Numbered ``_1``, ``_2``… if more than one."""
    replay: Annotated[Path | None, Option(help="Manifest to repeat, byte for byte."), STORED] = None
    compat: Annotated[
        tuple[str, ...],
        Option(
            help="What other simulators do otherwise: swapped-jpeg, area, offline-once, physical."
        ),
    ] = ()
    """Any of ``faceren.degradation.COMPAT``."""
    exclude: Exclude = ()
    limit: Annotated[int | None, Bounds(1)] = None
    """The first so many photos only."""
    shard: Part = ""
    overwrite: Overwrite = False
    max_pixels: MaxPixels = None
    workers: Workers = 0
    """Processes; automatic is fewer for a few photos, 1 works in this process."""
    seed: Seed = 0
    """Of the run; each copy of each photo has its own (``item_seed``)."""

    def __post_init__(self) -> None:
        check_fields(self, flag_of)
        check_patterns(self.exclude)


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What results are compared with, and by what."""

    reference: Annotated[
        Path | None, Option(help="Clean images, or FID statistics (.npz)."), STORED
    ] = None
    """Folder of clean images with the results' relative paths, whatever the suffix; or an image, if
    the results are one; or saved statistics, for FID alone. If only fid, kid, niqe or identity are
    asked for, the folder is a set without pairs."""
    metrics: Annotated[
        tuple[str, ...],
        Option(
            help="psnr,ssim,ms-ssim,fed,lle,fid,lpips,niqe,kid,…; list shows them all.",
            metavar="NAMES",
            autocompletion=_metrics,
        ),
    ] = ()
    """Names (see ``METRICS``); default: the paper's eight, or niqe and identity if there are no
    references."""
    protocol: Annotated[Protocol, Option(help="standard, or paper for its Table 1.")] = "standard"
    limit: Annotated[int | None, Bounds(1), Option(help="The first so many only.")] = None
    with_input: Annotated[
        bool, Option(help="Score the damaged inputs, too, and show their figures beside.")
    ] = False
    """Takes twice the time; metrics of pairs only, and inputs that a manifest names."""
    save_stats: Annotated[Path | None, Option(help="Save FID statistics (.npz)."), STORED] = None
    max_pixels: MaxPixels = None
    device: Device = "auto"

    def __post_init__(self) -> None:
        check_fields(self, flag_of)
