import hashlib

import pytest

from faceren.assets import model_path
from faceren.bench import folder_speed as bench
from faceren.inference import load_restorer


def test_the_figures_fit_one_another(monkeypatch):
    monkeypatch.setattr(bench, "BLOCK", 2)
    restorer = load_restorer(model_path("compact"), device="cpu")
    row = bench.folder_speed(restorer, photos=3)
    assert (row.photos, row.workers) == (3, bench.AUTOMATIC_WORKERS)
    assert row.faces == 9
    assert row.photos_per_second * row.seconds == pytest.approx(3)
    assert row.faces_per_second * row.seconds == pytest.approx(9)
    assert row.speedup == pytest.approx(row.seconds_alone / row.seconds)
    assert 0 < row.network_share == row.network_seconds / row.seconds <= 1
    assert row.peak_mib > 100
    assert row.to_json()["photos"] == 3
    assert "3 photos, 9 faces" in row.line()


def test_the_folder_is_always_the_same(tmp_path):
    def digests(folder):
        folder.mkdir()
        jobs = list(bench._generated(folder / "in", folder / "out", 8))
        return [hashlib.sha256(job.source.read_bytes()).digest() for job in jobs]

    first = digests(tmp_path / "a")
    assert first == digests(tmp_path / "b")
    assert len(set(first)) == 8
