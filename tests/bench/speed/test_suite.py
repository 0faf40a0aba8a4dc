"""The suite of speed, and its smaller measurements."""

import os
import time

import pytest
import torch

from faceren.bench.request import LeftOut, Request
from faceren.bench.speed import suite as module
from faceren.bench.speed.suite import (
    Cold,
    degradation_speed,
    first_faces,
    fresh_process,
    machine,
    peak_mb,
    speed_suite,
    training_speed,
)


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


def test_a_quick_look_says_what_it_leaves_out(restorer):
    rows = list(speed_suite(Request(device="cpu", seconds=0.001), restorer))
    assert isinstance(rows[-1], LeftOut)
    assert "other networks" in rows[-1].what
    sections = [row.section for row in rows]
    assert sections == ["matrix_product", *["speed"] * 2, *["degradation"] * 4, "left_out"]


def test_a_cold_start_counts_loading_and_two_faces(monkeypatch, tiny_weights):
    monkeypatch.setattr(module, "COLD_SIZE", 64)
    began = time.time()
    loaded, first, following, memory = first_faces(tiny_weights, "cpu", "auto")
    assert began + loaded < first <= time.time() - following
    assert memory is None or memory > 50
    row = Cold(model="tiny", first_seconds=2.0, load_seconds=0.5, next_seconds=0.1, peak_mb=None)
    assert row.line() == (
        "tiny in torch  64 px  first face 2.0 s after the start (weights 0.50 s), next 0.10 s"
    )


def test_the_rate_of_the_simulator_is_images_by_time(monkeypatch):
    clock = iter(range(1000))  # every look at the clock finds it a second on
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(module, "apply", lambda image, plan: image)
    rows = list(degradation_speed(seconds=3))
    # looked at: at the start, after each of three images, and at the end
    assert [row.repeats for row in rows] == [3] * 4
    assert [row.images_per_second for row in rows] == [3 / 4] * 4
    assert rows[0].line() == "degrade full  512 px  one process  0.8 images/s"


def test_training_is_timed_after_the_first_steps(monkeypatch):
    monkeypatch.setattr(module, "BATCH", 1)
    monkeypatch.setattr(module, "SIZE", 64)
    (row,) = training_speed(Request(device="cpu"), steps=4)
    assert (row.recipe, row.steps, row.batch) == ("compact", 2, 1)
    assert row.images_per_second > 0
