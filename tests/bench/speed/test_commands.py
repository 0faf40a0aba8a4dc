"""Whole commands in processes of their own, and photos by their size."""

import hashlib
import sys
import time

import pytest

from faceren.assets import model_path
from faceren.bench.request import Request
from faceren.bench.speed import commands as bench
from faceren.bench.speed import commands as module
from faceren.bench.speed.commands import CommandSpeed, PhotoSpeed, command_speed, photo_speed
from faceren.engines import load_engine
from faceren.errors import MachineError
from faceren.inference import load_restorer


def test_the_figures_fit_one_another(monkeypatch):
    monkeypatch.setattr(bench, "BLOCK", 2)
    restorer = load_restorer(model_path("compact"), device="cpu")
    began = time.perf_counter()
    row = bench.folder_speed(restorer, photos=3)
    whole = time.perf_counter() - began
    assert (row.photos, row.workers) == (3, bench.AUTOMATIC_WORKERS)
    assert row.faces == 9
    assert row.seconds + row.seconds_alone < whole
    assert row.photos_per_second > 3 / whole
    assert row.faces_per_second > 9 / whole
    assert 0 < row.network_seconds < row.seconds
    assert 0 < row.network_share < 1
    assert row.peak_mib > 100
    assert row.to_json()["photos"] == 3
    assert "3 photos, 9 faces" in row.line()


def test_the_folder_is_always_the_same(tmp_path):
    def digests(folder):
        folder.mkdir()
        jobs = list(bench.photo_folder(folder / "in", folder / "out", 8))
        return [hashlib.sha256(job.source.read_bytes()).digest() for job in jobs]

    first = digests(tmp_path / "a")
    assert first == digests(tmp_path / "b")
    assert len(set(first)) == 8


def test_each_command_is_timed_and_tells_its_own_memory():
    held = bytes(600_000_000)  # this process has more than any of them needs
    rows = list(command_speed(Request(device="cpu", model="compact"), runs=1))
    assert len(held) == 600_000_000
    page, degrade = rows[1], rows[3]
    assert [row.command.split()[0] for row in rows] == ["restore"] * 3 + ["degrade"]
    assert [row.command.endswith("torch") for row in rows] == [False, False, True, False]
    for row in rows:
        assert row.cpu_seconds > 0.1
        assert row.seconds > 0.1
    if sys.platform == "linux":
        assert 40 < page.peak_mb < 400
        assert 40 < degrade.peak_mb < 400
        assert rows[0].peak_mb < rows[2].peak_mb  # torch is larger


def test_a_command_that_fails_is_an_error(monkeypatch):
    monkeypatch.setattr(module, "PORTRAIT", "gone.jpg")
    with pytest.raises(MachineError, match=r"faceren restore failed: error: .*gone.jpg"):
        next(command_speed(Request(device="cpu"), runs=1))


def test_the_lines_name_seconds_work_and_memory():
    row = CommandSpeed(command="restore a portrait", seconds=1.5, cpu_seconds=2, peak_mb=432.1)
    assert row.line() == "restore a portrait  1.50 s, 2.00 s of work  peak 432 MB"
    photo = PhotoSpeed(megapixels=4, seconds=0.8, network_seconds=0.5)
    assert photo.line() == "a portrait in a PNG of 4 megapixels  0.80 s, of that the network 0.50 s"


def test_a_larger_sheet_has_the_same_network_and_more_of_the_rest():
    used = load_engine(model_path("compact"), device="cpu")
    small, large = photo_speed(used, megapixels=(1, 4), passes=1)
    assert (small.megapixels, large.megapixels) == (1, 4)
    for row in (small, large):
        assert 0 < row.network_seconds < row.seconds
