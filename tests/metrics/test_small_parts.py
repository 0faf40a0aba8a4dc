"""Intervals, names, recompression, LPIPS, and pyiqa's metrics by name."""

import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from faceren.errors import ConfigError, MachineError
from faceren.images import to_tensor
from faceren.metrics.installed_iqa import load_pyiqa
from faceren.metrics.intervals import mean_interval
from faceren.metrics.measures import tensor_measures
from faceren.metrics.names import METRICS, check_protocol, parse_metrics
from faceren.metrics.provenance import computed_by
from faceren.metrics.recompression import recompressed

CPU = torch.device("cpu")
ASTRONAUT = data.astronaut()[:128, 160:288]


def test_the_interval_is_that_of_the_normal_law_for_many_values():
    values = np.random.default_rng(0).normal(10, 2, 400)
    low, high = mean_interval(values.tolist()) or (0, 0)
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.03)
    assert high == pytest.approx(values.mean() + half, abs=0.03)
    assert mean_interval(values.tolist()) == (low, high)


def test_one_value_has_no_interval():
    assert mean_interval([3.0]) is None
    assert mean_interval([3.0, 3.0]) == (3, 3)


def test_names_are_split_and_forgiven():
    assert parse_metrics(["psnr,MS_SSIM", "psnr", " fid "]) == ("psnr", "ms-ssim", "fid")
    assert parse_metrics(["pyiqa:musiq_ava"]) == ("pyiqa:musiq_ava",)


def test_an_unknown_name_is_met_with_the_nearest():
    with pytest.raises(ConfigError, match="unknown metric 'lpisp'; did you mean 'lpips'"):
        parse_metrics(["lpisp"])
    with pytest.raises(ConfigError, match="got none"):
        parse_metrics([","])
    with pytest.raises(ConfigError, match="unknown protocol 'papers'; did you mean 'paper'"):
        check_protocol("papers")


def test_every_metric_says_what_computed_it():
    for protocol in ("standard", "paper"):
        for metric in METRICS:
            assert computed_by(metric, protocol).startswith("faceren ")
    assert "dlib" in computed_by("fed", "standard")
    assert "a3de90e3303f" in computed_by("lpips", "standard")
    assert "BGR" in computed_by("lpips", "paper")


def test_recompression_is_opencvs_jpeg_95():
    again = recompressed(ASTRONAUT)
    assert again.shape == ASTRONAUT.shape
    error = np.abs(again.astype(int) - ASTRONAUT).mean()
    assert 0.3 < error < 4
    bgr = np.ascontiguousarray(ASTRONAUT[..., ::-1])
    data = cv2.imencode(".jpg", bgr)[1]  # 95 is OpenCV's default, as the paper's code had it
    assert np.array_equal(cv2.imdecode(data, 1)[..., ::-1], again)


def test_lpips_grows_with_damage_and_knows_red_from_blue():
    image = to_tensor(ASTRONAUT)
    blurred = [to_tensor(cv2.GaussianBlur(ASTRONAUT, (0, 0), s)) for s in (1, 3)]
    standard = tensor_measures(["lpips"], "standard", CPU)["lpips"].function
    paper = tensor_measures(["lpips"], "paper", CPU)["lpips"].function
    mild, strong = (standard(other, image) for other in blurred)
    assert standard(image, image) == pytest.approx(0, abs=1e-6)
    assert 0.02 < mild < strong < 1
    assert paper(blurred[1].flip(1), image.flip(1)) == pytest.approx(strong, abs=1e-6)
    assert paper(blurred[1], image) != pytest.approx(strong, abs=1e-4)


def test_pyiqa_is_optional(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    with pytest.raises(MachineError, match="pyiqa is not installed; pip install pyiqa"):
        load_pyiqa("pyiqa:musiq", CPU)


def test_pyiqa_metrics_are_called_as_they_want(monkeypatch):
    class Metric:
        def __init__(self, name):
            self.metric_mode = "FR" if name == "dists" else "NR"

        def __call__(self, *images):
            return torch.tensor([float(len(images))])

    fake = SimpleNamespace(
        list_models=lambda: ["dists", "musiq"], create_metric=lambda name, device: Metric(name)
    )
    monkeypatch.setitem(sys.modules, "pyiqa", fake)
    image = torch.zeros(1, 3, 4, 4)
    for name, paired, count in (("pyiqa:dists", True, 2), ("pyiqa:musiq", False, 1)):
        function, needs = load_pyiqa(name, CPU)
        assert needs is paired
        assert function(image, image) == count
    with pytest.raises(ConfigError, match="no metric 'musik'; did you mean 'musiq'"):
        load_pyiqa("pyiqa:musik", CPU)
