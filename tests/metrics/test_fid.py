"""FID and KID: closed forms, brute force, invariants."""

import numpy as np
import pytest

from faceren.errors import ConfigError
from faceren.metrics import fid as fid_module
from faceren.metrics.fid import compare_sets, fid, kid
from faceren.metrics.inception import FeatureCollector, FeatureStatistics, load_statistics

D = 12


def features(count: int, *, shift: float = 0.0, scale: float = 1.0, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (shift + scale * random.normal(size=(count, D))).astype(np.float32)


def collected(rows: np.ndarray, *, batch: int = 7, way: str = "standard") -> FeatureStatistics:
    collector = FeatureCollector(way)
    for start in range(0, len(rows), batch):
        collector.add(rows[start : start + batch])
    return collector.statistics()


def moments(mean: np.ndarray, covariance: np.ndarray) -> FeatureStatistics:
    """Return statistics as other tools save them."""
    return FeatureStatistics(mean, covariance, 0, "", np.zeros((0, len(mean)), np.float32))


def test_fid_of_axis_aligned_gaussians_has_a_closed_form():
    a, b = np.array([1.0, 4.0, 9.0]), np.array([4.0, 4.0, 1.0])
    expected = 3 * 0.5**2 + np.square(np.sqrt(a) - np.sqrt(b)).sum()
    value, _ = fid(moments(np.zeros(3), np.diag(a)), moments(np.full(3, 0.5), np.diag(b)))
    assert value == pytest.approx(expected)


def test_fid_of_drawn_features_nears_that_of_their_gaussians():
    x, y = features(4000, seed=1), features(4000, shift=0.5, scale=3, seed=2)
    value, interval = fid(collected(x, batch=500), collected(y, batch=500))
    assert interval is not None
    assert value == pytest.approx(D * (0.5**2 + (3 - 1) ** 2), rel=0.02)
    assert interval[0] < D * 4.25 < interval[1]


def test_fid_of_full_covariances_agrees_with_the_matrix_root():
    linalg = pytest.importorskip("scipy.linalg")
    x, y = collected(features(99, seed=1)), collected(features(88, scale=2, seed=2))
    root = linalg.sqrtm(x.covariance @ y.covariance).real
    means = np.square(x.mean - y.mean).sum()
    expected = means + np.trace(x.covariance + y.covariance - 2 * root)
    assert fid(x, y)[0] == pytest.approx(expected)


def test_a_set_has_no_distance_to_itself_even_without_full_rank():
    few = collected(features(5))
    assert fid(few, few, paired=True) == (
        pytest.approx(0, abs=1e-3),
        pytest.approx((0, 1e-3), abs=1e-3),
    )
    assert fid(few, moments(few.mean, few.covariance))[0] < 1e-3


def test_statistics_of_other_tools_give_fid_but_no_kid(tmp_path):
    ours = collected(features(20))
    np.savez(tmp_path / "a.npz", mu=ours.mean, sigma=ours.covariance)
    scores = compare_sets(
        ours, load_statistics(tmp_path / "a.npz"), ("fid", "kid"), "standard", paired=False
    )
    assert scores.metrics["fid"].mean < 1e-6
    assert scores.metrics["fid"].ci95 is not None
    assert "at least two images" in scores.not_computed["kid"]


def test_ways_of_feeding_do_not_mix():
    with pytest.raises(ConfigError, match="made with protocol 'paper', expected 'standard'"):
        fid(collected(features(9)), collected(features(9), way="paper"))
    with pytest.raises(ConfigError, match="at least two images in a set, got 1"):
        collected(features(1))


def test_few_images_take_a_shorter_way_to_the_same_figures():
    for n, paired in ((40, True), (40, False), (9, False)):  # 9: fewer than features
        x, y = collected(features(n)), collected(features(40, shift=1, scale=2, seed=1))
        short = fid_module._of_images(x, y)
        long = fid_module._of_moments(x, y)
        assert short.value == pytest.approx(long.value, rel=1e-5)
        assert short.ours == pytest.approx(long.ours, rel=1e-3, abs=1e-3)
        if n > D:
            assert short.theirs == pytest.approx(long.theirs, rel=1e-3, abs=1e-3)
        value, interval = fid(x, y, paired=paired)
        assert value == short.value
        assert interval[0] < value < interval[1]


@pytest.mark.parametrize(("paired", "count"), [(True, 30), (False, 30), (False, 600)])
def test_the_interval_is_as_wide_as_fid_scatters(paired, count):
    values, halves = [], []
    for seed in range(40):
        x = features(count, seed=2 * seed)
        y = (
            1.5 * x + 0.5 * features(count, seed=9000 + seed)
            if paired
            else (features(count, shift=0.5, scale=1.5, seed=2 * seed + 1))
        )
        value, interval = fid(collected(x, batch=count), collected(y, batch=count), paired=paired)
        values.append(value)
        halves.append((interval[1] - value) / 1.96)
    assert np.mean(halves) == pytest.approx(np.std(values), rel=0.3)  # 0.11 is the scatter of 40


def test_known_references_are_taken_as_given():
    x, y = collected(features(60)), collected(features(60, shift=0.5, seed=1))
    both, given = fid(x, y)[1], fid(x, moments(y.mean, y.covariance))[1]
    assert both is not None
    assert given is not None
    assert both[0] < given[0] < given[1] < both[1]


def test_kid_agrees_with_the_double_sum():
    x, y = features(7).astype(float), features(6, shift=1, seed=1).astype(float)

    def kernel(a, b):
        return (a @ b / D + 1) ** 3

    within = [
        np.mean([kernel(a, b) for i, a in enumerate(s) for j, b in enumerate(s) if i != j])
        for s in (x, y)
    ]
    expected = sum(within) - 2 * np.mean([kernel(a, b) for a in x for b in y])
    value, interval = kid(x.astype(np.float32), y.astype(np.float32))
    assert value == pytest.approx(expected, rel=1e-5)
    assert interval is not None


def test_kid_of_one_distribution_is_around_zero():
    value, interval = kid(features(200), features(200, seed=1))
    assert interval is not None
    assert interval[0] < 0 < interval[1] or abs(value) < 0.1
    far, _ = kid(features(200), features(200, shift=2, seed=1))
    assert far > 10 * abs(value)


def test_few_images_are_warned_of_and_get_a_kid():
    scores = compare_sets(
        collected(features(9)), collected(features(9, seed=1)), ("fid",), "standard", paired=True
    )
    assert set(scores.metrics) == {"fid", "kid"}
    assert "9 images are fewer than the 2048" in scores.warnings[0]
