"""Time of the network: the work that it does, what the machine could do, and what others take."""

import importlib
import importlib.util
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from faceren.bench.request import LeftOut, Row
from faceren.config import BaselineConfig, GeneratorConfig
from faceren.engines import OnnxRestorer
from faceren.inference import TorchRestorer
from faceren.networks.baselines.baseline import build_network

if TYPE_CHECKING:
    from torch.utils.benchmark import Measurement

SIZES = (256, 512)
CPU_BATCHES, GPU_BATCHES = (1,), (1, 8, 16)
SIDE_CPU, SIDE_GPU = 1024, 8192
"""Sides of matrices that are large for the device."""
PEER = "GFPGANv1Clean"
PEER_SIZE, PEER_BATCHES, PASSES = 512, (1, 8), 3
"""Side of the faces in pixels, faces a pass, and passes timed, when others are compared with."""
Pass = Callable[[Tensor], object]
"""Restores a batch, (N, 3, H, W)."""


@dataclass(frozen=True, kw_only=True)
class Speed(Row):
    """Time of the network for one size and batch."""

    section: ClassVar[str] = "speed"
    model: str
    size: int
    """Side of the faces in pixels."""
    batch: int
    """Number of faces a pass."""
    gmac: float
    """Multiply-accumulate operations of one face, in thousands of millions."""
    faces_per_second: float
    """Rate at the median time."""
    iqr_percent: float
    """Interquartile range of the time, in percent of its median."""
    matmul_share_percent: float
    """Multiply-accumulates a second, in percent of those of a large matrix product here."""
    repeats: int
    """Number of passes timed."""

    def line(self) -> str:
        """Return the row as it is shown."""
        return (
            f"{self.model}  {self.size} px  batch {self.batch}  {self.gmac:.1f} GMAC  "
            f"{self.faces_per_second:.2f} faces/s  ± {self.iqr_percent:.0f} %  "
            f"{self.matmul_share_percent:.0f} % of a matrix product"
        )


@dataclass(frozen=True, kw_only=True)
class Roofline(Row):
    """What this machine multiplies at best, in the type that the network computes in."""

    section: ClassVar[str] = "matrix_product"
    side: int
    """Side of the square matrices."""
    gmac_per_second: float
    """Multiply-accumulates a second, in 10^9, at the median time."""
    iqr_percent: float

    def line(self) -> str:
        """Return the row as it is shown."""
        return (
            f"matrix product  {self.side} x {self.side}  {self.gmac_per_second:.1f} GMAC/s  "
            f"± {self.iqr_percent:.0f} %"
        )


def gmacs(config: GeneratorConfig | BaselineConfig, size: int) -> float:
    """Return the multiply-accumulate operations of one face of ``size`` pixels, in 10^9.

    They are those of the layers as they are defined; inference on wide maps does with fewer.
    """
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        network, face = build_network(config), torch.empty(1, 3, size, size)
    with FlopCounterMode(display=False) as counter:
        network(face)
    return counter.get_total_flops() / 2e9


def roofline(restorer: TorchRestorer, *, seconds: float = 1.0) -> Roofline:
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
    model: str, restorer: TorchRestorer, best: Roofline, *, seconds: float = 3.0
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


@dataclass(frozen=True, kw_only=True)
class PeerSpeed(Row):
    """How many times faster a network of ours is than another's, both with weights loaded."""

    section: ClassVar[str] = "peers"
    model: str
    peer: str
    size: int
    """Side of the faces in pixels."""
    batch: int
    seconds: float
    """Median time of a pass, divided by the faces in it."""
    peer_seconds: float
    times_faster: float

    def line(self) -> str:
        """Return the row as it is shown."""
        return (
            f"{self.model}  {self.size} px  batch {self.batch}  {self.seconds:.3f} s a face, "
            f"{self.peer} {self.peer_seconds:.2f} s: {self.times_faster:.1f}x"
        )


def engine_speed(model: str, restorer: TorchRestorer, onnx: OnnxRestorer) -> Iterator[Row]:
    """Time a model in ONNX Runtime against the same in torch.

    Args:
        model: Its name for the rows.
        restorer: In torch, on the CPU.
        onnx: In ONNX Runtime.
    """
    ours = {f"{model} in ONNX Runtime": _in_onnx(onnx)}
    theirs = restoring(restorer)
    yield from in_turn(ours, theirs, restorer.device, name=f"{model} in torch")


def peer_speed(
    model: str, restorer: TorchRestorer, onnx: OnnxRestorer | None = None
) -> Iterator[Row]:
    """Time the model, and the peer with random weights.

    Args:
        model: Name of the loaded model for the rows.
        restorer: The loaded model; its device and number type are everyone's.
        onnx: The same in ONNX Runtime, if that is what restores here: it stands for the model.
    """
    if importlib.util.find_spec("spandrel") is None:
        yield LeftOut(f"speed against {PEER}", "pip install 'faceren[peers]'")
        return
    ours = {model: restoring(restorer) if onnx is None else _in_onnx(onnx)}
    yield from in_turn(ours, peer_pass(restorer), restorer.device)


def peer_pass(restorer: TorchRestorer) -> Pass:
    """Return a pass of the peer's network, with random weights; it needs spandrel.

    Args:
        restorer: On whose device and in whose number type it computes.
    """
    network = importlib.import_module("spandrel.architectures.GFPGAN").GFPGAN(
        out_size=PEER_SIZE,
        num_style_feat=512,
        channel_multiplier=2,
        decoder_load_path=None,
        fix_decoder=False,
        num_mlp=8,
        input_is_latent=True,
        different_w=True,
        narrow=1,
        sft_half=True,
    )
    network.eval().to(restorer.device)

    def peer(faces: Tensor) -> None:
        with torch.inference_mode(), restorer.autocast():
            network(faces.to(restorer.device))[0].float().cpu()

    return peer


def in_turn(
    ours: Mapping[str, Pass],
    peer: Pass,
    device: torch.device,
    *,
    size: int = PEER_SIZE,
    name: str = PEER,
) -> Iterator[PeerSpeed]:
    """Time everyone's passes in turn; yield a row for each of ours and each batch.

    Args:
        ours: By their names.
        peer: What they are compared with.
        device: Everyone's.
        size: Side of the faces in pixels.
        name: The peer's.
    """
    for batch in PEER_BATCHES:
        faces = torch.rand(batch, 3, size, size)
        everyone = {name: peer, **ours}
        if batch == PEER_BATCHES[0]:
            for run in everyone.values():  # warms up
                run(faces)
        times: dict[str, list[float]] = {each: [] for each in everyone}
        for _ in range(PASSES):
            for each, run in everyone.items():
                began = time.perf_counter()
                run(faces)
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                times[each].append(time.perf_counter() - began)
        medians = {each: statistics.median(all_) / batch for each, all_ in times.items()}
        for each in ours:
            yield PeerSpeed(
                model=each,
                peer=name,
                size=size,
                batch=batch,
                seconds=medians[each],
                peer_seconds=medians[name],
                times_faster=medians[name] / medians[each],
            )


def _in_onnx(restorer: OnnxRestorer) -> Pass:
    """Return a pass in ONNX Runtime, face by face."""

    def run(faces: Tensor) -> None:
        for face in faces.numpy():
            restorer.generate(face[None])

    return run


def restoring(restorer: TorchRestorer) -> Pass:
    """Return a pass as ``TorchRestorer`` makes it: on a CPU, face by face."""

    def run(faces: Tensor) -> None:
        each = len(faces) if restorer.device.type != "cpu" else 1
        with torch.inference_mode():
            for part in torch.split(faces, each):
                placed = part.to(restorer.device, memory_format=torch.channels_last)
                restorer.generate(placed).float().cpu()

    return run
