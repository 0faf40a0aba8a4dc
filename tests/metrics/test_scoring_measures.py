"""The metrics of a pair of tensors under either protocol, recompression, pyiqa's by name."""

import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from faceren.errors import ConfigError, MachineError, ShapeError
from faceren.images import to_tensor
from faceren.metrics.scoring import load_lpips, load_pyiqa, recompressed, tensor_measures

CPU = torch.device("cpu")
ASTRONAUT = data.astronaut()[:128, 160:288]


def test_protocols_differ_in_the_ceiling_of_psnr():
    image = torch.full((1, 3, 16, 16), 0.5)
    found = {
        protocol: tensor_measures(["psnr", "ssim", "fid"], protocol, CPU)
        for protocol in ("standard", "paper")
    }
    assert set(found["standard"]) == {"psnr", "ssim"}  # fid is of sets
    assert found["standard"]["psnr"](image, image) == pytest.approx(100)
    assert found["paper"]["psnr"](image, image) == pytest.approx(80)
    assert found["paper"]["psnr"](image, image + 0.1) == pytest.approx(20, abs=1e-4)
    assert found["paper"]["ssim"](image, image) == 1
    assert all(measure.paired for measure in found["paper"].values())


def test_recompression_is_opencvs_jpeg_95():
    (again,) = recompressed(ASTRONAUT)
    assert again.shape == ASTRONAUT.shape
    error = np.abs(again.astype(int) - ASTRONAUT).mean()
    assert 0.3 < error < 4
    bgr = np.ascontiguousarray(ASTRONAUT[..., ::-1])
    data = cv2.imencode(".jpg", bgr)[1]  # 95 is OpenCV's default, as the paper's code had it
    assert np.array_equal(cv2.imdecode(data, 1)[..., ::-1], again)


def test_panels_share_one_jpeg_as_in_the_paper_s_code():
    panels = [cv2.GaussianBlur(ASTRONAUT, (0, 0), 4), ASTRONAUT, np.rot90(ASTRONAUT)]
    bgr = np.concatenate(panels, axis=1)[..., ::-1]
    decoded = cv2.imdecode(cv2.imencode(".jpg", np.ascontiguousarray(bgr))[1], 1)[..., ::-1]
    found = recompressed(*panels)
    assert np.array_equal(np.concatenate(found, axis=1), decoded)
    (alone,) = recompressed(ASTRONAUT)
    changed = (found[1] != alone).any(axis=(0, 2))
    assert changed[0]  # the chroma of the neighbour
    assert changed[-1]
    assert not changed[1:-1].any()


def test_lpips_grows_with_damage_and_knows_red_from_blue():
    image = to_tensor(ASTRONAUT)
    blurred = [to_tensor(cv2.GaussianBlur(ASTRONAUT, (0, 0), s)) for s in (1, 3)]
    standard, paper = load_lpips(CPU), load_lpips(CPU, bgr=True)
    mild, strong = (standard(other, image) for other in blurred)
    assert standard(image, image) == pytest.approx(0, abs=1e-6)
    assert 0.02 < mild < strong < 1
    assert paper(blurred[1].flip(1), image.flip(1)) == pytest.approx(strong, abs=1e-6)
    assert paper(blurred[1], image) != pytest.approx(strong, abs=1e-4)
    with pytest.raises(ShapeError, match="lpips: expected at least 32 pixels"):
        standard(image[..., :31], image[..., :31])


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
        measure = load_pyiqa(name, CPU)
        assert measure.paired is paired
        assert measure(image, image) == count
    with pytest.raises(ConfigError, match="no metric 'musik'; did you mean 'musiq'"):
        load_pyiqa("pyiqa:musik", CPU)
