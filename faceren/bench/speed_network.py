"""Time of the network by size and batch, the work that it does, and what the machine could do."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from faceren.config import GeneratorConfig
from faceren.inference import Restorer
from faceren.networks.generator import build_generator

if TYPE_CHECKING:
    from torch.utils.benchmark import Measurement

SIZES = (256, 512)
CPU_BATCHES, GPU_BATCHES = (1,), (1, 8, 16)
SIDE_CPU, SIDE_GPU = 1024, 8192
"""Sides of matrices that are large for the device."""


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Time of the network for one size and batch."""

    section: ClassVar[str] = "speed"
    model: str
    size: int
    """Side of the faces in pixels."""
    batch: int
    """Faces a pass."""
    gmac: float
    """Multiply-accumulate operations of one face, in thousands of millions."""
    faces_per_second: float
    """From the median time."""
    iqr_percent: float
    """Interquartile range of the time, in percent of its median."""
    matmul_share_percent: float
    """Multiply-accumulates a second, in percent of those of a large matrix product here."""
    repeats: int
    """Passes timed."""

    def to_json(self) -> dict[str, Any]:
        """Return the row as numbers and names."""
        return asdict(self)

    def line(self) -> str:
        """Return the row as it is shown."""
        return (
            f"{self.model}  {self.size} px  batch {self.batch}  {self.gmac:.1f} GMAC  "
            f"{self.faces_per_second:.2f} faces/s  ± {self.iqr_percent:.0f} %  "
            f"{self.matmul_share_percent:.0f} % of a matrix product"
        )


@dataclass(frozen=True, kw_only=True)
class Roofline:
    """What this machine multiplies at best, in the type that the network computes in."""

    section: ClassVar[str] = "matrix_product"
    side: int
    """Of the square matrices."""
    gmac_per_second: float
    """From the median time."""
    iqr_percent: float

    def to_json(self) -> dict[str, Any]:
        """Return the row as numbers."""
        return asdict(self)

    def line(self) -> str:
        """Return the row as it is shown."""
        return (
            f"matrix product  {self.side} x {self.side}  {self.gmac_per_second:.1f} GMAC/s  "
            f"± {self.iqr_percent:.0f} %"
        )


def gmacs(config: GeneratorConfig, size: int) -> float:
    """Return the multiply-accumulate operations of one face of ``size`` pixels, in 10^9.

    They are those of the layers as they are defined; inference on wide maps does with fewer.
    """
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        network, face = build_generator(config), torch.empty(1, 3, size, size)
    with FlopCounterMode(display=False) as counter:
        network(face)
    return counter.get_total_flops() / 2e9


def roofline(restorer: Restorer, *, seconds: float = 1.0) -> Roofline:
    """Time a large matrix product on the device and in the type of a restorer."""
    side = SIDE_CPU if restorer.device.type == "cpu" else SIDE_GPU
    matrix = torch.ones(side, side, device=restorer.device, dtype=restorer.dtype)
    with torch.inference_mode():
        measured = measure("matrix @ matrix", {"matrix": matrix}, seconds)
    return Roofline(
        side=side,
        gmac_per_second=side**3 / measured.median / 1e9,
        iqr_percent=100 * measured.iqr / measured.median,
    )


def measure(statement: str, names: dict[str, Any], seconds: float) -> "Measurement":
    """Time a statement for at least so many seconds, with all of torch's threads."""
    from torch.utils.benchmark import Timer  # imports compilers, which log

    timer = Timer(statement, globals=names, num_threads=torch.get_num_threads())
    return timer.blocked_autorange(min_run_time=seconds)


def speed(
    model: str, restorer: Restorer, best: Roofline, *, seconds: float = 3.0
) -> Iterator[Speed]:
    """Time the network at each size and batch; yield the rows as they are measured.

    Args:
        model: Name for the rows.
        restorer: The loaded network.
        best: What the machine could do.
        seconds: Least time to spend on a row, after one pass to warm up.
    """
    batches = CPU_BATCHES if restorer.device.type == "cpu" else GPU_BATCHES
    for size in SIZES:
        work = gmacs(restorer.checkpoint.config, size) * (2 if restorer.self_ensemble else 1)
        for batch in batches:
            faces = torch.rand(batch, 3, size, size)
            restorer.restore(faces)
            restorer.batch_size = batch
            names = {"restorer": restorer, "faces": faces}
            measured = measure("restorer.restore(faces)", names, seconds)
            rate = batch / measured.median
            yield Speed(
                model=model,
                size=size,
                batch=batch,
                gmac=work,
                faces_per_second=rate,
                iqr_percent=100 * measured.iqr / measured.median,
                matmul_share_percent=100 * rate * work / best.gmac_per_second,
                repeats=len(measured.times) * measured.number_per_run,
            )
