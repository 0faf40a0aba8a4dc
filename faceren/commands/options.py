"""What users can ask of the commands beside the pixels: how, where, which files.

A field is the one place of an option, see ``cli.parameters``; a field without ``Option`` is for
callers in Python alone.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from typer import Option

from faceren.assets import DEFAULT_MODEL
from faceren.checks import Bounds, check_fields
from faceren.config import Engine, Precision
from faceren.errors import ConfigError
from faceren.metrics.names import Protocol
from faceren.restoration.options import flag_of

Device = Annotated[str, Option(help="auto, cpu, cuda, cuda:N or mps.", metavar="DEVICE")]
Model = Annotated[str, Option("--model", "-m", help="Shipped model or a checkpoint.")]
ComputedIn = Annotated[Precision, Option(help="What the network computes in.")]
Seed = Annotated[int, Bounds(0), Option(help="Seed of what is drawn at random.")]
Workers = Annotated[
    int, Bounds(0), Option(help="Threads or processes beside the network; 0: automatic.")
]
MaxPixels = Annotated[int | None, Bounds(1), Option(help="Refuse images of more pixels.")]
Exclude = Annotated[tuple[str, ...], Option(help="Glob of paths to leave out.", metavar="GLOB")]
Overwrite = Annotated[bool, Option(help="Do everything anew.")]

PIPE = Path("-")
"""Stands for stdin among the inputs of a restoration, and for stdout as its output."""
UNITS = {"M": 2**20, "G": 2**30}


def commas(names: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return names that are given in one text, split at commas."""
    return tuple(filter(None, names.split(","))) if isinstance(names, str) else names


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """With what a restoration is done: of this no output's pixels depend but on the model."""

    model: Model = DEFAULT_MODEL
    """A shipped model's name or the path of a checkpoint."""
    device: Device = "auto"
    precision: ComputedIn = "auto"
    engine: Annotated[
        Engine, Option(help="What computes: ONNX Runtime (on a CPU in fp32), or torch.")
    ] = "auto"
    """See ``faceren.engines``."""
    batch_size: Annotated[
        Literal["auto"] | Annotated[int, Bounds(1)],
        Option(help="Faces a pass, or auto.", metavar="N"),
    ] = "auto"
    workers: Workers = 0
    max_pixels: MaxPixels = None
    """Larger outputs are refused, too; default DEFAULT_MAX_PIXELS."""
    max_memory: Annotated[
        str, Option(help="For photos being worked on, as 500M or 3G.", metavar="SIZE")
    ] = "2G"
    """Beside the program itself; one photo always may be worked on."""
    weights_dir: Annotated[
        Path | None, Option(help="Folder of facexlib's weights.", metavar="DIR")
    ] = None
    """Default ``faces.weights.default_folder()``."""
    offline: Annotated[bool, Option(help="Download nothing.")] = False

    def __post_init__(self) -> None:
        check_fields(self, flag_of)
        _ = self.memory

    @property
    def memory(self) -> int:
        """``max_memory`` in bytes."""
        number, unit = self.max_memory[:-1], self.max_memory[-1:].upper()
        if unit in UNITS and number.isdigit() and int(number) > 0:
            return int(number) * UNITS[unit]
        raise ConfigError(
            f"--max-memory: expected a size such as 500M or 3G, got {self.max_memory!r}"
        )


@dataclass(frozen=True, kw_only=True)
class FolderOptions:
    """Which photos of a folder are restored, and what is written beside them."""

    boxes: Annotated[
        Path | None,
        Option(help="Faces that were missed: JSON Lines or CSV.", metavar="FILE"),
    ] = None
    """See ``restoration.boxes``."""
    save_faces: Annotated[bool, Option(help="Keep the crops as well.")] = False
    """Before and after, in ``faces`` in the output folder."""
    exclude: Exclude = ()
    only: Annotated[
        Path | None, Option(help="File that lists the photos to restore.", metavar="LIST")
    ] = None
    """By output or input; see ``restoration.lists``."""
    repair_mask: Annotated[
        Path | None,
        Option(help="Folder of masks to fill by, as OUT/masks names them.", metavar="DIR"),
    ] = None
    """What is not black in them is filled, whatever ``--repair`` says."""
    keep_times: Annotated[bool, Option(help="Give outputs the times of their originals.")] = False
    overwrite: Overwrite = False
    retry_failed: Annotated[bool, Option(help="Retry what failed.")] = False
    dry_run: Annotated[bool, Option(help="Say what would be done.")] = False

    def __post_init__(self) -> None:
        check_fields(self, flag_of)


@dataclass(frozen=True, kw_only=True)
class DegradeOptions:
    """What is done to clean photos."""

    task: Annotated[str | None, Option(help="full, historic, sr4x, hallucination, …")] = None
    """One of ``faceren.degradation.TASKS``; not with ``replay``."""
    size: Annotated[
        Literal["keep"] | Annotated[int, Bounds(64)],
        Option(help="Shorter side in pixels, or keep.", metavar="N"),
    ] = 512
    copies: Annotated[int, Bounds(1), Option(help="Outputs a photo.")] = 1
    """Numbered ``_1``, ``_2``… if more than one."""
    replay: Annotated[Path | None, Option(help="Manifest to repeat, byte for byte.")] = None
    compat: Annotated[tuple[str, ...], Option(help="Behave like other simulators.")] = ()
    """Any of ``faceren.degradation.COMPAT``."""
    exclude: Exclude = ()
    limit: Annotated[int | None, Bounds(1)] = None
    """The first so many photos only."""
    overwrite: Overwrite = False
    max_pixels: MaxPixels = None
    workers: Workers = 0
    """Processes; automatic is fewer for a few photos, 1 works in this process."""
    seed: Seed = 0
    """Of the run; each copy of each photo has its own (``item_seed``)."""

    def __post_init__(self) -> None:
        check_fields(self, flag_of)


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What results are compared with, and by what."""

    reference: Annotated[Path | None, Option(help="Clean images, or FID statistics (.npz).")] = None
    """Folder of clean images with the results' relative paths, whatever the suffix; or an image, if
    the results are one; or saved statistics, for FID alone. If only fid, kid, niqe or identity are
    asked for, the folder is a set without pairs."""
    metrics: Annotated[
        tuple[str, ...], Option(help="psnr,ssim,ms-ssim,fed,lle,fid,lpips,niqe,kid,…")
    ] = ()
    """Names (see ``METRICS``); default: the paper's eight, or niqe and identity if there are no
    references."""
    protocol: Annotated[Protocol, Option(help="standard, or paper for its Table 1.")] = "standard"
    limit: Annotated[int | None, Bounds(1), Option(help="The first so many only.")] = None
    save_stats: Annotated[Path | None, Option(help="Save FID statistics (.npz).")] = None
    max_pixels: MaxPixels = None
    device: Device = "auto"

    def __post_init__(self) -> None:
        check_fields(self, flag_of)
