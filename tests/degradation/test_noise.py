import numpy as np
import pytest

from faceren.arrays import Rgb8
from faceren.degradation.noise import (
    GaussianNoise,
    Grain,
    LaplacianNoise,
    PhotonNoise,
    PoissonNoise,
)

from .conftest import flat


def added(noise: object, image: Rgb8) -> np.ndarray:
    assert callable(noise)
    return noise(image).astype(float) - image


def kurtosis(values: np.ndarray) -> float:
    return float(((values - values.mean()) ** 4).mean() / values.var() ** 2)


def test_gaussian_noise_has_the_moments_of_a_normal_distribution(gray: Rgb8) -> None:
    e = added(GaussianNoise(sigma=25.0, seed=1), gray)
    assert abs(e.mean()) < 0.25
    assert e.std() == pytest.approx(25, rel=0.01)
    assert kurtosis(e) == pytest.approx(3, abs=0.1)


def test_laplacian_noise_has_deviation_root_two_times_its_scale(gray: Rgb8) -> None:
    e = added(LaplacianNoise(scale=20.0, seed=1), gray)
    assert np.abs(e).mean() == pytest.approx(20, rel=0.02)
    assert e.std() == pytest.approx(20 * 2**0.5, rel=0.02)
    assert kurtosis(e) == pytest.approx(6, abs=0.8)  # some is clipped


def test_poisson_noise_is_a_poisson_number_with_a_random_sign(gray: Rgb8) -> None:
    e = added(PoissonNoise(level=20.0, seed=1), gray)
    assert abs(e.mean()) < 0.25
    assert np.abs(e).mean() == pytest.approx(20, rel=0.01)
    assert np.abs(e).var() == pytest.approx(20, rel=0.03)  # the mark of Poisson: variance = mean
    assert (e > 0).mean() == pytest.approx(0.5, abs=0.01)
    assert (np.abs(e) < 5).mean() < 0.001  # two humps, nothing between


def test_noise_does_not_depend_on_the_signal_and_clips() -> None:
    noise = PoissonNoise(level=20.0, seed=1)
    assert np.array_equal(added(noise, flat(100)), added(noise, flat(150)))
    assert noise(flat(0)).min() == 0
    assert noise(flat(255)).max() == 255


def test_photon_noise_keeps_the_mean_and_grows_with_the_root() -> None:
    dark = PhotonNoise(photons=200.0, seed=1)(flat(40)).astype(float)
    light = PhotonNoise(photons=200.0, seed=1)(flat(160)).astype(float)
    assert dark.mean() == pytest.approx(40, abs=0.2)
    assert light.mean() == pytest.approx(160, abs=0.3)
    assert light.std() / dark.std() == pytest.approx(2, rel=0.03)
    assert light.std() == pytest.approx((160 * 255 / 200) ** 0.5, rel=0.02)


@pytest.mark.parametrize("kind", [GaussianNoise, LaplacianNoise, PoissonNoise])
def test_channels_are_independent_unless_gray(kind: type, gray: Rgb8) -> None:
    strength = {GaussianNoise: "sigma", LaplacianNoise: "scale", PoissonNoise: "level"}[kind]
    e = added(kind(**{strength: 20.0}, seed=3), gray).reshape(-1, 3)
    assert abs(np.corrcoef(e.T)[0, 1]) < 0.02
    same = added(kind(**{strength: 20.0}, seed=3, gray=True), gray)
    assert np.array_equal(same[..., 0], same[..., 2])


def test_pixels_are_independent_and_the_spectrum_is_white(gray: Rgb8) -> None:
    e = added(GaussianNoise(sigma=20.0, seed=5), gray)[..., 0]
    power = np.abs(np.fft.fft2(e)) ** 2
    low, high = power[:64, :64].mean(), power[64:128, 64:128].mean()
    assert low / high == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    "noise", [GaussianNoise(sigma=9.0, seed=7), Grain(strength=9.0, size=0.8, seed=7)]
)
def test_the_same_seed_gives_the_same_noise_and_another_another(
    noise: GaussianNoise | Grain, face: Rgb8
) -> None:
    import dataclasses

    assert np.array_equal(noise(face), noise(face))
    assert not np.array_equal(noise(face), dataclasses.replace(noise, seed=8)(face))


def test_zero_noise_is_the_identity(face: Rgb8) -> None:
    for noise in (
        GaussianNoise(sigma=0.0, seed=1),
        LaplacianNoise(scale=0.0, seed=1),
        PoissonNoise(level=0.0, seed=1),
        Grain(strength=0.0, size=0.0, seed=1),
    ):
        assert np.array_equal(noise(face), face)


def test_grain_is_strongest_in_the_darker_middle_and_nothing_in_black_and_white() -> None:
    grain = Grain(strength=10.0, size=0.0, seed=1)
    deviation = {level: added(grain, flat(level)).std() for level in (0, 30, 94, 200, 255)}
    assert deviation[0] == deviation[255] == 0
    assert deviation[94] == pytest.approx(10, rel=0.02)
    assert deviation[94] > deviation[30] > 0
    assert deviation[94] > deviation[200] > 0


def test_grain_keeps_its_strength_when_it_clumps(gray: Rgb8) -> None:
    fine = added(Grain(strength=12.0, size=0.0, seed=2), gray)[..., 0]
    clumped = added(Grain(strength=12.0, size=1.5, seed=2), gray)[..., 0]
    assert clumped.std() == pytest.approx(fine.std(), rel=0.02)
    neighbour = np.corrcoef(clumped[:, 1:].ravel(), clumped[:, :-1].ravel())[0, 1]
    assert neighbour > 0.8  # exp(-1 / (4 * 1.5^2)) = 0.89 for a Gaussian clump


def test_known_noise() -> None:
    """Fixed for all platforms."""
    noisy = PoissonNoise(level=20.0, seed=1)(flat(128, height=2, width=2))
    assert noisy.ravel().tolist() == [152, 101, 148, 140, 146, 148, 144, 154, 112, 114, 145, 111]
