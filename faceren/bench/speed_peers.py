"""Our networks against what a user would pick instead, in turn and in one process."""

import importlib
import importlib.util
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from faceren.bench.rows import LeftOut, Row
from faceren.inference import Restorer

SIZE, BATCHES, PASSES = 512, (1, 8), 3
PEER = "GFPGANv1Clean"
Pass = Callable[[Tensor], object]


@dataclass(frozen=True, kw_only=True)
class PeerSpeed:
    """How many times faster a network of ours is than another's, both with weights loaded."""

    section: ClassVar[str] = "peers"
    model: str
    peer: str
    size: int
    """Side of the faces in pixels."""
    batch: int
    seconds: float
    """Median for one face."""
    peer_seconds: float
    times_faster: float

    def to_json(self) -> dict[str, Any]:
        """Return the row as numbers and names."""
        return asdict(self)

    def line(self) -> str:
        """Return the row as it is shown."""
        return (
            f"{self.model}  {self.size} px  batch {self.batch}  {self.seconds:.3f} s a face, "
            f"{self.peer} {self.peer_seconds:.2f} s: {self.times_faster:.1f}x"
        )


def peer_speed(model: str, restorer: Restorer) -> Iterator[Row]:
    """Time the model, and the peer with random weights.

    Args:
        model: Name of the loaded model for the rows.
        restorer: The loaded model; its device and number type are everyone's.
    """
    if importlib.util.find_spec("spandrel") is None:
        yield LeftOut(f"speed against {PEER}", "pip install 'faceren[peers]'")
        return
    peer = _peer(restorer)
    ours = {model: _restoring(restorer)}
    yield from compare(ours, peer, restorer.device)


def compare(
    ours: Mapping[str, Pass], peer: Pass, device: torch.device, *, size: int = SIZE
) -> Iterator[PeerSpeed]:
    """Time everyone's passes in turn; yield a row for each of ours and each batch."""
    for batch in BATCHES:
        faces = torch.rand(batch, 3, size, size)
        everyone = {PEER: peer, **ours}
        if batch == BATCHES[0]:
            for run in everyone.values():  # warms up
                run(faces)
        times: dict[str, list[float]] = {name: [] for name in everyone}
        for _ in range(PASSES):
            for name, run in everyone.items():
                times[name].append(_seconds(run, faces, device))
        medians = {name: statistics.median(each) / batch for name, each in times.items()}
        for name in ours:
            yield PeerSpeed(
                model=name,
                peer=PEER,
                size=size,
                batch=batch,
                seconds=medians[name],
                peer_seconds=medians[PEER],
                times_faster=medians[PEER] / medians[name],
            )


def _seconds(run: Pass, faces: Tensor, device: torch.device) -> float:
    began = time.perf_counter()
    run(faces)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def _restoring(restorer: Restorer) -> Pass:
    """Return a pass as ``Restorer`` makes it: on a CPU, face by face."""

    def run(faces: Tensor) -> None:
        each = len(faces) if restorer.device.type != "cpu" else 1
        with torch.inference_mode():
            for part in torch.split(faces, each):
                placed = part.to(restorer.device, memory_format=torch.channels_last)
                restorer.generate(placed).float().cpu()

    return run


def _peer(restorer: Restorer) -> Pass:
    """Return a pass of GFPGAN's clean network, its published shape and random weights."""
    network = importlib.import_module("spandrel.architectures.GFPGAN").GFPGAN(
        out_size=SIZE,
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

    def run(faces: Tensor) -> None:
        with torch.inference_mode(), restorer.autocast():
            network(faces.to(restorer.device))[0].float().cpu()

    return run
