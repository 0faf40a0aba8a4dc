"""The paper's network, fast and literal: the same layers and weights, pass by pass in turn."""

import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from faceren.bench.speed_literal import LiteralGenerator
from faceren.bench.speed_process import fresh_process, peak_mb, reset_peak
from faceren.bench.speed_twins import copy_weights, randomise
from faceren.config import GeneratorConfig
from faceren.networks.generator import build_generator

PAPER = GeneratorConfig(spectral_norm=False)
"""Width 64 and eq. 2-3, spectral normalisation folded as it is for inference."""
SIZE, PASSES = 512, 3

_network: nn.Module
"""In a process of its own: the network that it was started for."""


@dataclass(frozen=True, kw_only=True)
class Exact:
    """One pass of the paper's network, written in two ways, on a CPU in float32."""

    section: ClassVar[str] = "exact_network"
    width: int
    size: int
    """Side of the face in pixels."""
    literal_seconds: float
    """Median."""
    fast_seconds: float
    """Median."""
    times_faster: float
    literal_peak_mb: float | None
    """Most memory of the process, weights among it, 10^6 bytes."""
    fast_peak_mb: float | None
    largest_difference: float
    """Between their outputs, which lie in [-1, 1]."""

    def to_json(self) -> dict[str, Any]:
        """Return the row as numbers."""
        return asdict(self)

    def line(self) -> str:
        """Return the row as it is shown."""
        peaks = [f"{peak:.0f}" for peak in (self.fast_peak_mb, self.literal_peak_mb) if peak]
        memory = f", peak {' against '.join(peaks)} MB" if len(peaks) == 2 else ""
        return (
            f"the paper's network, width {self.width}, {self.size} px, CPU: "
            f"{self.fast_seconds:.1f} s against {self.literal_seconds:.1f} s as it is written "
            f"({self.times_faster:.2f}x){memory}; they differ by {self.largest_difference:.1e}"
        )


def exact_speed(
    config: GeneratorConfig = PAPER, *, size: int = SIZE, passes: int = PASSES
) -> Iterator[Exact]:
    """Run both networks in turn, each in a process of its own.

    Args:
        config: Shape of the networks.
        size: Side of the face in pixels.
        passes: Timed passes of each, after one of a smaller face to warm up.
    """
    threads = torch.get_num_threads()
    with fresh_process() as literal, fresh_process() as fast:
        both = (literal, fast)
        for process, name in zip(both, ("literal", "fast"), strict=True):
            process.submit(prepare, config, name, threads).result()
        runs = [[process.submit(run, size).result() for process in both] for _ in range(passes)]
    written, ours = zip(*runs, strict=True)
    times = [statistics.median(one.seconds for one in each) for each in (written, ours)]
    yield Exact(
        width=config.width,
        size=size,
        literal_seconds=times[0],
        fast_seconds=times[1],
        times_faster=times[0] / times[1],
        literal_peak_mb=written[-1].peak_mb,
        fast_peak_mb=ours[-1].peak_mb,
        largest_difference=float((written[-1].output - ours[-1].output).abs().max()),
    )


@dataclass(frozen=True)
class Run:
    """One pass."""

    seconds: float
    peak_mb: float | None
    output: Tensor


def prepare(config: GeneratorConfig, name: str, threads: int) -> None:
    """Build the ``literal`` or the ``fast`` network in this process, with weights of one seed."""
    global _network
    torch.set_num_threads(threads)
    literal = LiteralGenerator(config)
    randomise(literal)
    _network = literal
    if name == "fast":
        _network = build_generator(config).to(memory_format=torch.channels_last)
        copy_weights(literal, _network)
        del literal
    _network.eval()
    run(2 * config.stride)
    reset_peak()


@torch.inference_mode()
def run(size: int) -> Run:
    """Time one pass of this process's network."""
    face = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    face = face.contiguous(memory_format=torch.channels_last)
    began = time.perf_counter()
    output = _network(face)
    return Run(time.perf_counter() - began, peak_mb(), output)
