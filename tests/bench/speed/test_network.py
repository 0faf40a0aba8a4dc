"""Figures of the network's speed, from times that are known."""

import dataclasses
import importlib.util
from types import SimpleNamespace

import pytest
import torch

from faceren.bench.speed import network as module
from faceren.bench.speed.network import (
    Roofline,
    engine_speed,
    gmacs,
    in_turn,
    peer_speed,
    roofline,
    speed,
)
from faceren.engines import load_engine

BEST = Roofline(side=1024, gmac_per_second=50.0, iqr_percent=0.0)


@pytest.fixture
def half_a_second(monkeypatch):
    """Every statement is said to take half a second, give or take a tenth of it."""
    passes = SimpleNamespace(median=0.5, iqr=0.05, times=[0.5] * 3, number_per_run=2)
    monkeypatch.setattr(module, "measure", lambda *_: passes)


def test_rates_and_shares_follow_from_the_time(restorer, half_a_second, monkeypatch):
    monkeypatch.setattr(module, "gmacs", lambda config, size: size / 32)
    rows = list(speed("tiny", restorer, BEST, seconds=0.01))
    assert [(row.size, row.batch, row.gmac) for row in rows] == [(256, 1, 8.0), (512, 1, 16.0)]
    for row, share in zip(rows, (32, 64), strict=True):  # 2 faces a second of 8 or 16, of 50
        assert row.faces_per_second == 2
        assert row.iqr_percent == pytest.approx(10)
        assert row.matmul_share_percent == pytest.approx(share)
        assert row.repeats == 6
        assert f"2.00 faces/s  ± 10 %  {share} % of a matrix product" in row.line()


def test_a_self_ensemble_does_the_work_twice(restorer, half_a_second):
    once = [row.gmac for row in speed("tiny", restorer, BEST, seconds=0.01)]
    both = dataclasses.replace(restorer, self_ensemble=True)
    twice = [row.gmac for row in speed("tiny", both, BEST, seconds=0.01)]
    assert twice == [2 * work for work in once]


def test_a_matrix_product_is_the_cube_of_its_side(restorer, half_a_second):
    row = roofline(restorer)
    assert row.gmac_per_second == pytest.approx(1024**3 / 0.5 / 1e9)
    assert row.line() == "matrix product  1024 x 1024  2.1 GMAC/s  ± 10 %"


def test_a_statement_is_really_timed():
    from faceren.bench.speed.network import measure

    slow = measure("sum(range(20000))", {}, 0.01)
    quick = measure("sum(range(20))", {}, 0.01)
    assert slow.median > 20 * quick.median


def test_gmacs_of_the_shipped_network_fit_its_budget(shipped):
    config = shipped.checkpoint.config
    assert 10 < gmacs(config, 512) < 20
    assert gmacs(config, 512) == pytest.approx(4 * gmacs(config, 256), rel=1e-3)


def test_peers_run_in_turn_and_each_batch_has_a_row(monkeypatch):
    calls, clock = [], SimpleNamespace(now=0.0)

    def taking(name, seconds):
        def run(faces):
            calls.append(name)
            clock.now += seconds

        return run

    ours, peer = taking("ours", 0.5), taking("peer", 2.0)
    monkeypatch.setattr(module, "PASSES", 2)
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock.now)
    rows = list(in_turn({"tiny": ours}, peer, torch.device("cpu"), size=8))
    assert calls == ["peer", "ours"] * 5  # once to warm up, twice for each batch
    assert [(row.batch, row.seconds, row.peer_seconds) for row in rows] == [
        (1, 0.5, 2.0),
        (8, 0.0625, 0.25),  # of one face
    ]
    assert [row.times_faster for row in rows] == [4, 4]
    assert rows[0].line() == "tiny  8 px  batch 1  0.500 s a face, GFPGANv1Clean 2.00 s: 4.0x"


def test_one_engine_is_timed_against_the_other(monkeypatch, restorer, tiny_weights):
    monkeypatch.setattr(module, "PASSES", 1)
    monkeypatch.setattr(module, "PEER_BATCHES", (2,))
    (row,) = engine_speed("tiny", restorer, load_engine(tiny_weights, device="cpu"))
    assert (row.model, row.peer) == ("tiny in ONNX Runtime", "tiny in torch")
    assert row.times_faster == row.peer_seconds / row.seconds > 0


def test_without_spandrel_the_peers_are_left_out_with_the_command(monkeypatch, restorer):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (row,) = peer_speed("tiny", restorer)
    assert row.line() == ("left out: speed against GFPGANv1Clean (pip install 'faceren[peers]')")
