"""The loaded network in torch against the same network in ONNX Runtime, on a CPU."""

import importlib
import importlib.util
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from faceren.bench.rows import LeftOut, Row
from faceren.inference import Restorer

SIZE = 512
OPSET = 17


@dataclass(frozen=True, kw_only=True)
class OnnxSpeed:
    """One face of 512 pixels, passes in turn, both with torch's number of threads."""

    section: ClassVar[str] = "onnx_runtime"
    model: str
    torch_seconds: float
    """Median."""
    onnx_seconds: float
    """Median."""
    times_faster: float
    """Torch, compared with ONNX Runtime."""
    largest_difference: float
    """Between their outputs."""

    def to_json(self) -> dict[str, Any]:
        """Return the row as numbers and names."""
        return asdict(self)

    def line(self) -> str:
        """Return the row as it is shown."""
        return (
            f"{self.model}  {SIZE} px  torch {self.torch_seconds:.3f} s, ONNX Runtime "
            f"{self.onnx_seconds:.3f} s ({self.times_faster:.2f}x); "
            f"they differ by {self.largest_difference:.1e}"
        )


def onnx_speed(model: str, restorer: Restorer, *, seconds: float = 3.0) -> Iterator[Row]:
    """Time both in turn for at least so many seconds; or say what is missing."""
    what = "ONNX Runtime against torch"
    if restorer.device.type != "cpu":
        yield LeftOut(what, "it is compared on a CPU: --device cpu")
        return
    if importlib.util.find_spec("onnx") is None:
        yield LeftOut(what, "pip install 'faceren[peers]'")
        return
    face = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    network = restorer.checkpoint.network
    session = build_session(network, face)
    placed, values = face.contiguous(memory_format=torch.channels_last), {"faces": face.numpy()}
    times: tuple[list[float], list[float]] = ([], [])
    began = time.perf_counter()
    with torch.inference_mode():
        ours, theirs = network(placed), session.run(None, values)[0]  # warms up
        while time.perf_counter() - began < seconds or len(times[0]) < 3:
            starts = [time.perf_counter()]
            network(placed)
            starts.append(time.perf_counter())
            session.run(None, values)
            starts.append(time.perf_counter())
            times[0].append(starts[1] - starts[0])
            times[1].append(starts[2] - starts[1])
    medians = [statistics.median(each) for each in times]
    yield OnnxSpeed(
        model=model,
        torch_seconds=medians[0],
        onnx_seconds=medians[1],
        times_faster=medians[1] / medians[0],
        largest_difference=float((ours - torch.from_numpy(theirs)).abs().max()),
    )


def build_session(network: nn.Module, face: Tensor) -> Any:
    """Return an ONNX Runtime session of a network, exported for the shape of ``face``."""
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        file = Path(folder) / "network.onnx"
        warnings.simplefilter("ignore")  # the exporter warns of itself and of fixed shapes
        torch.onnx.export(
            _Plain(network),
            (face,),
            file,
            dynamo=False,
            opset_version=OPSET,
            input_names=["faces"],
            output_names=["restored"],
        )
        return runtime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


class _Plain(nn.Module):
    """A network of one argument, whose layers are done as a whole, as an exporter needs it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, faces: Tensor) -> Tensor:
        """Return the network's output."""
        with torch.enable_grad():
            restored: Tensor = self.network(faces)
        return restored
