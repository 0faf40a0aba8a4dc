"""Published figures of five image pairs that travel with the package pyiqa, where it is installed.

The pairs are of TID2013, by other people's codes: PSNR and LPIPS of the colour image, SSIM and
MS-SSIM of the gray one, NIQE by the authors' MATLAB.
"""

import sysconfig
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from faceren.images import read_rgb, to_tensor
from faceren.metrics.fidelity import WEIGHTS, ms_ssim, psnr, scale_terms, ssim
from faceren.metrics.niqe import niqe
from faceren.metrics.scoring import load_lpips

FOLDER = Path(sysconfig.get_path("purelib")) / "ResultsCalibra"
NAMES = ("I03", "I04", "I06", "I08", "I19")
PSNR = (21.11, 20.99, 27.01, 23.30, 21.62)
SSIM = (0.6993, 0.9978, 0.9989, 0.9669, 0.6519)
MS_SSIM = (0.6733, 0.9996, 0.9998, 0.9566, 0.8462)
LPIPS = (0.7237, 0.2572, 0.0508, 0.0521, 0.4253)
NIQE = (15.754, 3.655, 3.236, 3.184, 8.635)

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the image pairs of the package pyiqa are not installed"
)


def pair(name: str) -> tuple[np.ndarray, np.ndarray]:
    return read_rgb(FOLDER / "dist_dir" / f"{name}.bmp"), read_rgb(
        FOLDER / "ref_dir" / f"{name}.bmp"
    )


def gray(rgb: np.ndarray) -> Tensor:
    """Return the luma of video, in whole levels."""
    return torch.from_numpy(np.round(rgb @ [0.299, 0.587, 0.114]) / 255)[None, None]


@pytest.mark.parametrize("number", range(5))
def test_psnr_and_lpips(number):
    image, reference = (to_tensor(rgb) for rgb in pair(NAMES[number]))
    assert psnr(image, reference).item() == pytest.approx(PSNR[number], rel=0.005)
    lpips = load_lpips(torch.device("cpu"))
    assert lpips(image, reference) == pytest.approx(LPIPS[number], rel=0.005)


@pytest.mark.parametrize("number", range(5))
def test_ssim_of_the_gray_image(number):
    image, reference = (gray(rgb) for rgb in pair(NAMES[number]))
    assert ssim(image, reference).item() == pytest.approx(SSIM[number], rel=1e-4)


@pytest.mark.parametrize("number", range(5))
def test_ms_ssim_of_the_gray_image(number):
    """The published figures add the terms of the scales; the definition multiplies them."""
    image, reference = (gray(rgb) for rgb in pair(NAMES[number]))
    terms, weights = scale_terms(image, reference)[0], torch.tensor(WEIGHTS).double()
    added = (terms * weights).sum() / weights.sum()
    assert added.item() == pytest.approx(MS_SSIM[number], rel=1e-4)
    multiplied = ms_ssim(image, reference).item()
    assert 0.99 * added < multiplied < added  # a geometric mean is below the arithmetic one
    assert multiplied == pytest.approx((terms**weights).prod().item(), rel=1e-6)


@pytest.mark.parametrize("number", range(5))
def test_niqe_by_matlab(number):
    """Three agree within 0.1 %; the other two have flat areas, where MATLAB's rounding counts."""
    damaged, _ = pair(NAMES[number])
    assert niqe(damaged) == pytest.approx(NIQE[number], rel=0.006)
