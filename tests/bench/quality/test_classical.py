"""The filters do what they are for, on damage that is known."""

import importlib.util

import numpy as np
import pytest

from faceren.bench.quality.classical import (
    FILTERS,
    classical,
    mosaic_bicubic,
    mosaic_lanczos,
    noise_level,
    non_local_means,
    quarter_lanczos,
    recompression,
    richardson_lucy,
    total_variation,
    wavelet_shrinkage,
)
from faceren.bench.request import TASKS
from faceren.degradation.resolution import GaussianBlur, Jpeg, Mosaic


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


def noisy(image, sigma):
    noise = np.random.default_rng(0).normal(0, sigma, image.shape)
    return (image + noise).round().clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("sigma", [5, 20])
def test_the_noise_level_is_estimated(sigma):
    gray = np.full((256, 256, 3), 128, np.uint8)
    assert noise_level(noisy(gray, sigma)) == pytest.approx(sigma, rel=0.05)
    assert noise_level(gray) == 0


@pytest.mark.parametrize("denoise", [non_local_means, wavelet_shrinkage])
def test_noise_is_taken_away(photo, denoise):
    damaged = noisy(photo, 25)
    assert psnr(denoise(damaged), photo) > psnr(damaged, photo) + 4


def test_a_known_blur_is_sharpened(photo):
    damaged = GaussianBlur(sigma=3, kernel=19)(photo)
    assert psnr(richardson_lucy(damaged), photo) > psnr(damaged, photo) + 0.3


@pytest.mark.parametrize("deblock", [recompression, total_variation])
def test_blocks_are_smoothed(photo, deblock):
    damaged = Jpeg(quality=20)(photo)

    def seams(image):
        steps = np.abs(np.diff(image.astype(float), axis=1))
        return steps[:, 7::8].mean() / steps[:, 3::8].mean()

    assert seams(deblock(damaged)) < seams(damaged)
    assert psnr(deblock(damaged), photo) > psnr(damaged, photo)


def test_a_mosaic_is_enlarged_from_the_means_of_its_blocks(photo):
    damaged = Mosaic(block=16)(photo)
    for enlarge in (mosaic_bicubic, mosaic_lanczos):
        assert psnr(enlarge(damaged), photo) > psnr(damaged, photo) + 0.5
    flat = np.full((64, 64, 3), 77, np.uint8)
    assert (mosaic_bicubic(flat) == 77).all()


def test_lanczos_needs_only_a_quarter(photo):
    blocks = Mosaic(block=4)(photo)
    apart = np.abs(quarter_lanczos(blocks).astype(int) - quarter_lanczos(photo))
    assert apart.max() <= 2  # levels: the means are all it needs, and they are rounded
    assert psnr(quarter_lanczos(blocks), photo) > psnr(blocks, photo)


@pytest.mark.parametrize("known", FILTERS, ids=lambda known: known.name + known.tasks[0])
def test_shape_and_type_stay(photo, known):
    result = known.function(photo[:96, :80])
    assert result.shape == (96, 80, 3)
    assert result.dtype == np.uint8


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_filter(task):
    methods, absent = classical(task)
    assert methods
    assert absent == []
    assert len({method.name for method in methods}) == len(methods)


def test_a_missing_library_is_said(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pywt" else found(name)
    )
    methods, absent = classical("denoise")
    assert [method.name for method in methods] == ["nlm"]
    assert absent[0].what == "wavelet on denoise"
    assert "faceren[bench]" in absent[0].why
    assert not absent[0].failed
