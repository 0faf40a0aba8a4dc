"""Inception features: what the network sees, and that statistics are those of all images."""

import numpy as np
import pytest
import torch

from faceren.errors import ConfigError, ShapeError
from faceren.metrics import inception as module
from faceren.metrics.inception import (
    FeatureCollector,
    FeatureStatistics,
    FeatureStream,
    clean_input,
    load_inception,
    load_statistics,
    paper_input,
    save_statistics,
)

D = 12


def features(count: int, *, shift: float = 0.0, scale: float = 1.0, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (shift + scale * random.normal(size=(count, D))).astype(np.float32)


def collected(rows: np.ndarray, *, batch: int = 7, way: str = "standard") -> FeatureStatistics:
    collector = FeatureCollector(way)
    for start in range(0, len(rows), batch):
        collector.add(rows[start : start + batch])
    return collector.statistics()


def test_statistics_do_not_depend_on_the_batches():
    rows = features(50)
    ours, whole = collected(rows, batch=3), collected(rows, batch=50)
    assert ours.mean == pytest.approx(rows.mean(0), abs=1e-6)
    assert ours.covariance == pytest.approx(np.cov(rows, rowvar=False), abs=1e-6)
    assert ours.mean == pytest.approx(whole.mean, rel=1e-9)
    assert ours.covariance == pytest.approx(whole.covariance, rel=1e-9, abs=1e-12)
    assert np.array_equal(ours.features, rows)


def test_memory_is_bounded_by_a_fair_draw(monkeypatch):
    monkeypatch.setattr(module, "KEPT", 100)
    rows = np.arange(1000, dtype=np.float32)[:, None] * np.ones(D, np.float32)
    kept = collected(rows).features[:, 0]
    assert len(kept) == len(set(kept)) == 100
    assert kept.mean() == pytest.approx(499.5, abs=100)  # 29 is one standard deviation


def test_statistics_survive_a_file(tmp_path):
    ours = collected(features(20))
    save_statistics(tmp_path / "a.npz", ours)
    back = load_statistics(tmp_path / "a.npz")
    assert (back.count, back.way) == (20, "standard")
    for name in ("mean", "covariance", "features"):
        assert np.array_equal(getattr(back, name), getattr(ours, name))


def test_bad_statistics_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.npz: cannot be read"):
        load_statistics(tmp_path / "none.npz")
    np.savez(tmp_path / "b.npz", mu=np.zeros(3), sigma=np.zeros((2, 2)))
    with pytest.raises(ConfigError, match=r"expected the arrays mu .* \(2, 2\)"):
        load_statistics(tmp_path / "b.npz")


def test_inputs_of_inception():
    image = torch.zeros(1, 3, 40, 30)
    image[:, 0] = 1
    clean, paper = clean_input(image), paper_input(image)
    assert clean.shape == paper.shape == (1, 3, 299, 299)
    assert clean[0, :, 9, 9].tolist() == pytest.approx([127 / 128, -1, -1])
    assert paper[0, :, 9, 9].tolist() == pytest.approx([-1, -1, 1])  # BGR
    with pytest.raises(ShapeError, match="expected one image"):
        clean_input(image[0])


def test_clean_resizing_averages_where_the_papers_aliases():
    stripes = torch.zeros(1, 3, 1196, 1196)
    stripes[..., ::4] = 1  # a quarter of the columns
    assert clean_input(stripes)[..., 5:-5].std() < 0.01
    assert paper_input(stripes)[..., 5:-5].mean() == pytest.approx(-1)  # misses them all


def test_inception_features_do_not_depend_on_the_batch():
    network = load_inception(torch.device("cpu"))
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    found = []
    for batch in (1, 3):
        stream = FeatureStream(network, torch.device("cpu"), "standard", batch=batch)
        for image in images:
            stream.add(image[None])
        found.append(stream.statistics())
        assert stream.count == 3
    assert found[0].features.shape == (3, 2048)
    assert found[0].features == pytest.approx(found[1].features, abs=1e-3)
