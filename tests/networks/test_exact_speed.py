"""The paper's network, fast and literal: the same layers and weights, pass by pass in turn."""

import statistics
import time
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from faceren.bench.speed.suite import fresh_process, peak_mb
from faceren.config import GeneratorConfig
from faceren.networks.generator import build_generator
from tests.networks.layer_by_layer import LiteralGenerator
from tests.networks.twins import copy_weights, randomise

PAPER = GeneratorConfig(spectral_norm=False)
"""Width 64 and eq. 2-3, spectral normalisation folded as it is for inference."""
TINY = GeneratorConfig(width=4, depth=2, max_multiplier=2, hidden=4, spectral_norm=False)
CLEAR = Path("/proc/self/clear_refs")

_network: nn.Module
"""In a process of its own: the network that it was started for."""


class Pass(NamedTuple):
    """One pass of a network: its time, the most memory of its process so far, what it gave."""

    seconds: float
    peak_mb: float | None
    output: Tensor


def reset_peak() -> None:
    """Forget the peak of this process's memory so far, where the system can (Linux)."""
    if CLEAR.exists():
        CLEAR.write_text("5")


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
    run(2 * config.stride)  # warms up
    reset_peak()


@torch.inference_mode()
def run(size: int) -> Pass:
    """Time one pass of this process's network."""
    face = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    face = face.contiguous(memory_format=torch.channels_last)
    began = time.perf_counter()
    output = _network(face)
    return Pass(time.perf_counter() - began, peak_mb(), output)


def in_turn(config: GeneratorConfig, size: int, passes: int) -> tuple[list[Pass], list[Pass]]:
    """Run the literal and the fast network in turn, each in a process of its own."""
    threads = torch.get_num_threads()
    with fresh_process() as literal, fresh_process() as fast:
        both = (literal, fast)
        for process, name in zip(both, ("literal", "fast"), strict=True):
            process.submit(prepare, config, name, threads).result()
        runs = [[process.submit(run, size).result() for process in both] for _ in range(passes)]
    written, ours = zip(*runs, strict=True)
    return list(written), list(ours)


def test_the_literal_and_the_fast_network_get_the_same_weights():
    outputs = []
    for name in ("literal", "fast"):
        prepare(TINY, name, 1)
        outputs.append(run(32).output)
    assert outputs[0].std() > 0.01
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-4, atol=1e-5)


@pytest.mark.slow  # two processes, and minutes of the literal network; -s shows the figures
def test_the_paper_s_network_is_faster_than_as_it_is_written():
    literal, fast = in_turn(PAPER, size=512, passes=3)
    seconds = [statistics.median(one.seconds for one in each) for each in (literal, fast)]
    difference = (literal[-1].output - fast[-1].output).abs().max().item()
    print(
        f"\nthe paper's network, width {PAPER.width}, 512 px, CPU: {seconds[1]:.1f} s against "
        f"{seconds[0]:.1f} s as it is written ({seconds[0] / seconds[1]:.2f}x), peak "
        f"{fast[-1].peak_mb} against {literal[-1].peak_mb} MB; they differ by {difference:.1e}"
    )
    assert difference < 1e-3  # outputs lie in [-1, 1]
    assert seconds[1] < seconds[0]
    if literal[-1].peak_mb is not None:
        assert fast[-1].peak_mb < literal[-1].peak_mb
