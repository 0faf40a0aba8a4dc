"""PSNR, SSIM, MS-SSIM against hand computation and other libraries; FED and LLE of faces."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d
from skimage import data
from skimage.filters import gaussian
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from faceren.errors import ShapeError
from faceren.images import read_rgb
from faceren.metrics.fidelity import (
    PAPER_CEILING,
    SeenFace,
    fed,
    know_face,
    lle,
    ms_ssim,
    psnr,
    see_face,
    ssim,
    ssim_maps,
    why_no_fed,
)


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


WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of MS-SSIM as Wang, Simoncelli and Bovik print them (2003)."""


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


CLEAN = Path(__file__).parents[2] / "sample_photos" / "clean"


def small(name: str) -> np.ndarray:
    rgb = read_rgb(CLEAN / f"{name}_selfie.jpg")
    return cv2.resize(rgb, (256, 256), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def person() -> np.ndarray:
    return small("p001")


@pytest.fixture(scope="module")
def seen(person) -> SeenFace:
    face = see_face(person)
    assert face is not None
    return face


def test_the_same_person_is_nearer_than_another(person, seen):
    blurred, other = see_face(cv2.GaussianBlur(person, (0, 0), 1.5)), see_face(small("p004"))
    assert fed(seen, blurred) < 0.5 < fed(seen, other)
    assert fed(seen, seen) == 0


def test_no_face_is_none():
    assert see_face(np.full((128, 128, 3), 128, np.uint8)) is None
    assert see_face(np.zeros((20, 20, 3), np.uint8)) is None


def test_lle_of_a_moved_face_is_the_move_at_512_pixels(seen):
    moved = SeenFace(seen.embedding, seen.landmarks + [3, 4], seen.side)
    assert lle(moved, seen) == pytest.approx(5 * 512 / 256)


def test_lle_counts_the_lip_corners_twice(seen):
    landmarks = seen.landmarks.copy()
    landmarks[48] += [0, 72]
    assert lle(SeenFace(seen.embedding, landmarks, 512), SeenFace(
        seen.embedding, seen.landmarks, 512)) == pytest.approx(2)  # fmt: skip


def test_lle_refuses_other_sizes(seen):
    with pytest.raises(ShapeError, match="sides of 256 and 512"):
        lle(seen, SeenFace(seen.embedding, seen.landmarks, 512))


def test_a_known_face_is_compared_without_looking_for_it(person, seen):
    known = know_face(person)
    assert known is not None
    assert known.fed(person) == 0
    blurred, other = cv2.GaussianBlur(person, (0, 0), 1.5), small("p004")
    assert known.fed(blurred) == pytest.approx(fed(see_face(blurred), seen), abs=0.15)
    assert known.fed(blurred) < 0.5 < known.fed(other)
    assert know_face(np.full((128, 128, 3), 128, np.uint8)) is None


def test_why_there_is_no_fed_is_told(monkeypatch):
    assert why_no_fed() == ""
    monkeypatch.setitem(sys.modules, "dlib", None)
    assert "pip install 'faceren[torch]'" in why_no_fed()
