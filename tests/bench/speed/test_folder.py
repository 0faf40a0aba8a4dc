import hashlib
import time

from faceren.assets import model_path
from faceren.bench.speed import folder as bench
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
