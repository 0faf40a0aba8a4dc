"""How fast a network is here, and how good: the figures of a machine, each measured."""

import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.utils.benchmark import Timer
from torch.utils.flop_counter import FlopCounterMode

import faceren
from faceren.assets import model_path
from faceren.inference import Restorer, load_restorer

SIZES = (256, 512)
CPU_BATCHES, GPU_BATCHES = (1,), (1, 8, 16)


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Time of the network for one size and batch."""

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
    repeats: int
    """Passes timed."""

    def to_json(self) -> dict[str, Any]:
        """Return the row as numbers and names."""
        return asdict(self)


def machine(restorer: Restorer) -> dict[str, Any]:
    """Return what a figure of speed depends on beside the network."""
    gpu = restorer.device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(restorer.device) if gpu else platform.processor(),
        "kind": restorer.device.type,
        "dtype": str(restorer.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "faceren": faceren.__version__,
        "weights_sha256": restorer.checkpoint.sha256,
    }


def gmacs(restorer: Restorer, size: int) -> float:
    """Return the multiply-accumulate operations of one face of ``size`` pixels, in 10^9."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        restorer.checkpoint.network(
            torch.zeros(1, 3, size, size, device=restorer.device, dtype=restorer.dtype)
        )
    return counter.get_total_flops() / 2e9


def speed(model: str, restorer: Restorer, *, seconds: float = 3.0) -> Iterator[Speed]:
    """Time the network at each size and batch; yield the rows as they are measured.

    Args:
        model: Name for the rows.
        restorer: The loaded network.
        seconds: Least time to spend on a row, after one pass to warm up.
    """
    batches = CPU_BATCHES if restorer.device.type == "cpu" else GPU_BATCHES
    for size in SIZES:
        work = gmacs(restorer, size)
        for batch in batches:
            faces = torch.rand(batch, 3, size, size)
            restorer.restore(faces)
            restorer.batch_size = batch
            timer = Timer(
                "restorer.restore(faces)",
                globals={"restorer": restorer, "faces": faces},
                num_threads=torch.get_num_threads(),
            )
            measured = timer.blocked_autorange(min_run_time=seconds)
            yield Speed(
                model=model,
                size=size,
                batch=batch,
                gmac=work,
                faces_per_second=batch / measured.median,
                iqr_percent=100 * measured.iqr / measured.median,
                repeats=len(measured.times) * measured.number_per_run,
            )


def load_for_benchmark(model: str, *, device: str = "auto", precision: str = "auto") -> Restorer:
    """Return the named model on a device (see ``inference.load_restorer``)."""
    return load_restorer(model_path(model), device=device, precision=precision)
