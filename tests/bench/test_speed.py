import dataclasses
import time

import pytest
import torch

from faceren.bench import speed_cold, speed_onnx, speed_peers, speed_training
from faceren.bench.request import Request
from faceren.bench.rows import LeftOut
from faceren.bench.speed import speed_suite
from faceren.bench.speed_exact import exact_speed, prepare, run
from faceren.bench.speed_network import Roofline, roofline, speed
from faceren.bench.speed_process import peak_mb, reset_peak
from faceren.checkpoint import CheckpointInfo, save_checkpoint
from faceren.config import GeneratorConfig
from faceren.inference import load_restorer
from faceren.networks.generator import build_generator

TINY = GeneratorConfig(width=4, depth=2, max_multiplier=2, hidden=4, spectral_norm=False)


@pytest.fixture(scope="module")
def restorer(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    torch.manual_seed(0)
    network = build_generator(TINY)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    save_checkpoint(path, network, info=CheckpointInfo(name="tiny"), half=False)
    return load_restorer(path, device="cpu")


def test_share_of_a_matrix_product_is_the_ratio_of_the_rates(restorer):
    best = Roofline(side=1024, gmac_per_second=50.0, iqr_percent=0.0)
    for row in speed("tiny", restorer, best, seconds=0.01):
        expected = 100 * row.faces_per_second * row.gmac / 50
        assert row.matmul_share_percent == pytest.approx(expected)
        assert f"{expected:.0f} % of a matrix product" in row.line()


def test_a_self_ensemble_does_the_work_twice(restorer):
    best = Roofline(side=1024, gmac_per_second=50.0, iqr_percent=0.0)
    once = [row.gmac for row in speed("tiny", restorer, best, seconds=0.01)]
    both = dataclasses.replace(restorer, self_ensemble=True)
    twice = [row.gmac for row in speed("tiny", both, best, seconds=0.01)]
    assert twice == [2 * work for work in once]


def test_roofline_is_measured(restorer):
    row = roofline(restorer, seconds=0.01)
    assert row.gmac_per_second > 0
    assert "1024 x 1024" in row.line()


def test_a_quick_look_says_what_it_leaves_out(restorer):
    rows = list(speed_suite(Request(device="cpu", seconds=0.001), restorer))
    assert isinstance(rows[-1], LeftOut)
    assert "other networks" in rows[-1].what


def test_fast_and_literal_networks_run_in_turn_and_agree():
    (row,) = exact_speed(TINY, size=32, passes=1)
    assert row.largest_difference < 1e-4
    assert row.times_faster == pytest.approx(row.literal_seconds / row.fast_seconds)
    assert "as it is written" in row.line()


def test_the_literal_and_the_fast_network_get_the_same_weights():
    outputs = []
    for name in ("literal", "fast"):
        prepare(TINY, name, torch.get_num_threads())
        outputs.append(run(32).output)
    assert outputs[0].std() > 0.01
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-4, atol=1e-5)


def test_the_peak_of_memory_sees_what_was_freed():
    before = peak_mb()
    if before is None:
        pytest.skip("this system does not tell the peak")
    reset_peak()
    low = peak_mb()
    torch.ones(50_000_000)  # 200 MB
    assert peak_mb() > low + 150


def test_a_cold_start_counts_loading_and_two_faces(monkeypatch, tmp_path, restorer):
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(path, restorer.checkpoint.network, info=CheckpointInfo(), half=False)
    monkeypatch.setattr(speed_cold, "SIZE", 64)
    began = time.time()
    loaded, first, following, memory = speed_cold.first_faces(path, "cpu", "auto")
    assert began + loaded < first <= time.time() - following
    assert memory is None or memory > 50
    row = speed_cold.Cold(
        model="tiny", first_seconds=2.0, load_seconds=0.5, next_seconds=0.1, peak_mb=memory
    )
    assert row.line().startswith("tiny  64 px  first face 2.0 s after the start")


def test_peers_run_in_turn_and_each_batch_has_a_row(monkeypatch):
    calls = []
    ours, peer = (lambda faces: calls.append("ours")), (lambda faces: calls.append("peer"))
    monkeypatch.setattr(speed_peers, "PASSES", 2)
    rows = list(speed_peers.compare({"tiny": ours}, peer, torch.device("cpu"), size=8))
    assert [row.batch for row in rows] == [1, 8]
    assert calls == ["peer", "ours"] * 5  # once to warm up, twice for each batch
    assert all(row.times_faster == row.peer_seconds / row.seconds for row in rows)


def test_without_spandrel_the_peers_are_left_out_with_the_command(monkeypatch, restorer):
    monkeypatch.setattr(speed_peers.importlib.util, "find_spec", lambda name: None)
    (row,) = speed_peers.peer_speed("tiny", restorer)
    assert row.line() == ("left out: speed against GFPGANv1Clean (pip install 'faceren[peers]')")


def test_onnx_runtime_computes_the_same(monkeypatch, restorer):
    pytest.importorskip("onnx")
    monkeypatch.setattr(speed_onnx, "SIZE", 64)
    (row,) = speed_onnx.onnx_speed("tiny", restorer, seconds=0.01)
    assert row.largest_difference < 1e-4
    assert row.times_faster == pytest.approx(row.onnx_seconds / row.torch_seconds)


def test_without_onnx_the_comparison_is_left_out(monkeypatch, restorer):
    monkeypatch.setattr(speed_onnx.importlib.util, "find_spec", lambda name: None)
    (row,) = speed_onnx.onnx_speed("tiny", restorer)
    assert isinstance(row, LeftOut)


def test_training_is_timed_after_the_first_steps(monkeypatch):
    monkeypatch.setattr(speed_training, "BATCH", 1)
    monkeypatch.setattr(speed_training, "SIZE", 64)
    (row,) = speed_training.training_speed(Request(device="cpu"), steps=4)
    assert (row.recipe, row.steps, row.batch) == ("compact", 2, 1)
    assert row.images_per_second > 0
