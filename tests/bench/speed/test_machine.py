"""The machine, and fresh processes on it."""

import os

import pytest
import torch

from faceren.bench.speed.machine import fresh_process, machine, peak_mb


def test_the_machine_is_described(restorer):
    described = machine(restorer)
    assert described["kind"] == "cpu"
    assert described["dtype"] == "float32"
    assert described["threads"] == torch.get_num_threads()
    assert described["torch"] == torch.__version__
    assert described["weights_sha256"] == restorer.checkpoint.sha256
    assert described["device"]
    assert described["commit"] is None or len(described["commit"]) == 12


def test_a_fresh_process_is_another():
    with fresh_process() as process:
        assert process.submit(os.getpid).result() != os.getpid()


def test_the_peak_of_memory_sees_what_was_freed():
    if peak_mb() is None:
        pytest.skip("this system does not tell the peak")
    with fresh_process() as process:
        low = process.submit(peak_mb).result()
        assert process.submit(eval, "len(bytes([1]) * 200_000_000)").result() == 200_000_000
        assert process.submit(peak_mb).result() > low + 150
