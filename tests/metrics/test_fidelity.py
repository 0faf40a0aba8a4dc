"""PSNR, SSIM and MS-SSIM against hand computation, scikit-image, scipy and torchmetrics."""

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d
from skimage import data
from skimage.filters import gaussian
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from faceren.errors import ShapeError
from faceren.metrics.fidelity import PAPER_CEILING, WEIGHTS, ms_ssim, psnr, ssim, ssim_maps


def tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[None])).float()


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    return data.astronaut()[:256, 100:356] / 255


@pytest.fixture(scope="module")
def damaged(clean: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 0.05, clean.shape)
    return np.clip(gaussian(clean, 1.5, channel_axis=2) + noise, 0, 1)


def test_psnr_of_a_tenth_is_twenty_decibels():
    image = torch.full((2, 3, 4, 4), 0.5)
    assert psnr(image, image + 0.1).tolist() == pytest.approx([20, 20], abs=1e-4)


def test_psnr_agrees_with_scikit_image(clean, damaged):
    expected = peak_signal_noise_ratio(clean, damaged, data_range=1)
    assert psnr(tensor(damaged), tensor(clean)).item() == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("ceiling", [100.0, PAPER_CEILING])
def test_identical_images_have_the_ceiling(ceiling):
    image = torch.rand(1, 3, 8, 8)
    assert psnr(image, image, ceiling=ceiling).item() == pytest.approx(ceiling)


def test_ssim_agrees_with_scikit_image_in_every_channel(clean, damaged):
    _, expected = structural_similarity(
        clean, damaged, data_range=1, gaussian_weights=True, use_sample_covariance=False,
        channel_axis=2, full=True,
    )  # fmt: skip
    x, y = tensor(damaged), tensor(clean)
    theirs = expected[5:-5, 5:-5].transpose(2, 0, 1)
    exact = ssim_maps(x.double(), y.double())[0][0].numpy()
    assert np.abs(exact - theirs).max() < 1e-5  # x and y were rounded to float32
    assert ssim(x, y).item() == pytest.approx(theirs.mean(), abs=5e-5)


def means(image: np.ndarray) -> np.ndarray:
    taps = np.exp(-np.square(np.arange(-5, 6)) / 4.5)
    taps /= taps.sum()
    return convolve1d(convolve1d(image, taps, 0), taps, 1)[5:-5, 5:-5]


def slow_ms_ssim(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return the standard figure and the coarsest similarity, in float64."""
    result = 1.0
    for scale, weight in enumerate(WEIGHTS):
        if scale > 0:
            x, y = ((i[::2, ::2] + i[1::2, ::2] + i[::2, 1::2] + i[1::2, 1::2]) / 4 for i in (x, y))
        mx, my = means(x), means(y)
        cs = (2 * (means(x * y) - mx * my) + 0.0009) / (
            means(x * x) - mx**2 + means(y * y) - my**2 + 0.0009
        )
        term = cs.mean()
        if scale == 4:
            term = (cs * (2 * mx * my + 0.0001) / (mx**2 + my**2 + 0.0001)).mean()
        result *= term**weight
    return result, term


def test_ms_ssim_agrees_with_its_definition(clean, damaged):
    expected, _ = slow_ms_ssim(damaged, clean)
    assert ms_ssim(tensor(damaged), tensor(clean)).item() == pytest.approx(expected, abs=5e-5)


def test_the_slip_counts_the_coarsest_scale_four_times(clean, damaged):
    standard, coarsest = slow_ms_ssim(damaged, clean)
    slipped = ms_ssim(tensor(damaged), tensor(clean), slip=True).item()
    assert slipped == pytest.approx(standard * coarsest ** (3 * WEIGHTS[-1]), abs=5e-5)
    assert slipped < standard


def test_anticorrelated_images_have_zero_not_nan():
    image = torch.rand(1, 1, 176, 176, generator=torch.Generator().manual_seed(0))
    assert ms_ssim(image, 1 - image).item() == 0


def test_a_batch_gives_each_pair_its_own_figure(clean, damaged):
    x, y = tensor(damaged), tensor(clean)
    both = torch.cat([x, y]), torch.cat([y, y])
    for metric in (psnr, ssim, ms_ssim):
        assert metric(*both)[0].item() == pytest.approx(metric(x, y).item(), abs=1e-5)
    assert ssim(*both)[1].item() == pytest.approx(1)


def test_ssim_has_gradients():
    image = torch.rand(1, 3, 16, 16, requires_grad=True)
    ssim(image, torch.rand(1, 3, 16, 16)).sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0


def test_wrong_shapes_are_named():
    image = torch.rand(1, 3, 16, 16)
    with pytest.raises(ShapeError, match=r"psnr: expected two .* got \(1, 3, 16, 16\) and \(1, 3"):
        psnr(image, image[..., :8])
    with pytest.raises(ShapeError, match="at least 11x11 pixels, got 8x16"):
        ssim(image[..., :8], image[..., :8])
    with pytest.raises(ShapeError, match="at least 176x176 pixels, got 16x16"):
        ms_ssim(image, image)


def test_torchmetrics_agrees(clean, damaged):
    functional = pytest.importorskip("torchmetrics.functional.image")
    x, y = tensor(damaged), tensor(clean)
    theirs = functional.peak_signal_noise_ratio(x, y, data_range=1.0)
    assert psnr(x, y).item() == pytest.approx(theirs.item(), abs=1e-4)
    _, full = functional.structural_similarity_index_measure(
        x, y, data_range=1.0, return_full_image=True
    )
    inside = full[..., 5:-5, 5:-5].mean()  # its own mean counts places where the window leaves
    assert ssim(x, y).item() == pytest.approx(inside.item(), abs=5e-5)
