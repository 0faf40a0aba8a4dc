import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from faceren.images.colour import changed, to_srgb, to_srgb8, usable_profile
from tests.images.samples import ADOBE_RGB, GAMMA_GRAY, ink_profile, noise

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PROFILES = {"rgb": ADOBE_RGB, "gray": GAMMA_GRAY}


def test_a_profile_is_applied_as_pillow_applies_it():
    raster = noise((20, 30, 3))
    source = ImageCms.ImageCmsProfile(io.BytesIO(ADOBE_RGB))
    target = ImageCms.createProfile("sRGB")
    expected = ImageCms.profileToProfile(Image.fromarray(raster), source, target)
    difference = to_srgb8(raster, "rgb", ADOBE_RGB).astype(int) - np.asarray(expected)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("space", ["rgb", "gray"])
def test_floating_point_and_bytes_agree(space):
    raster = noise((20, 30, 3 if space == "rgb" else 1))
    whole = to_srgb8(raster, space, PROFILES[space])
    fine = to_srgb(raster.astype(np.float32) / 255, space, PROFILES[space])
    assert np.abs(whole / 255 - fine).max() < 1.1 / 255


@pytest.mark.parametrize("top", [255, 65535])
def test_grays_of_a_whole_picture_are_those_of_its_rows(top):
    levels = np.random.default_rng(0).integers(0, top + 1, (20, 30, 1))
    values = levels.astype(np.float32) / np.float32(top)
    whole = to_srgb(values, "gray", GAMMA_GRAY)  # those of 8 bits go through a table
    rows = [to_srgb(row[None], "gray", GAMMA_GRAY)[0] for row in values]  # too few for one
    np.testing.assert_array_equal(whole, np.stack(rows))


def test_gamma_is_undone_as_the_formula_says():
    values = np.linspace(0.1, 1, 10, dtype=np.float32).reshape(1, 10, 1)
    linear = values.astype(np.float64) ** 1.8
    expected = 1.055 * linear ** (1 / 2.4) - 0.055
    assert np.abs(to_srgb(values, "gray", GAMMA_GRAY)[..., :1] - expected).max() < 1e-3


@pytest.mark.parametrize("space", ["rgb", "gray"])
def test_a_change_there_and_back_is_within_one_level(space):
    rng = np.random.default_rng(0)  # colours that sRGB can show, before and after
    levels = rng.integers(80, 150, (20, 30, 1)) + rng.integers(0, 20, (20, 30, 3))
    values = (levels[..., : 3 if space == "rgb" else 1] / 255).astype(np.float32)
    add = np.full((20, 30, 3), 0.15, np.float32)
    there = changed(values, add, space, PROFILES[space])
    back = changed(there, -add, space, PROFILES[space])
    assert np.abs(there - values).min() > 0.02
    assert np.abs(back - values).max() <= 1 / 255


def test_inks_without_a_profile_mix_by_multiplication():
    inks = np.array([[[0.0, 0.5, 1.0, 0.5]]], np.float32)
    assert to_srgb(inks, "cmyk", b"")[0, 0].tolist() == [0.5, 0.25, 0.0]


@pytest.mark.parametrize("profile", [b"", b"x" * 200, SRGB, GAMMA_GRAY, ADOBE_RGB[:200]])
def test_missing_broken_unneeded_and_foreign_profiles_are_ignored(profile):
    assert usable_profile(profile, "rgb") == b""


def test_linear_light_under_the_name_of_srgb_is_not_ignored():
    primaries = [0.64, 0.33, 1, 0.30, 0.60, 1, 0.15, 0.06, 1]
    linear = bytes(
        imagecodecs.cms_profile(
            "rgb", whitepoint=[0.3127, 0.3290, 1], primaries=primaries, gamma=1.0
        )
    )
    assert usable_profile(linear, "rgb") == linear


def test_rgb_without_a_profile_is_not_even_copied():
    raster = noise((4, 4, 3))
    assert np.shares_memory(to_srgb8(raster, "rgb", b""), raster)


def test_an_ink_profile_is_used():
    assert usable_profile(ink_profile(), "cmyk") == ink_profile()


@pytest.mark.parametrize("amount", [0.1, -0.1])
def test_inks_with_a_profile_become_what_was_asked(amount):
    inks = np.random.default_rng(0).uniform(0.15, 0.45, (12, 12, 4)).astype(np.float32)
    profile = ink_profile()
    seen = to_srgb(inks, "cmyk", profile)
    add = np.full(seen.shape, amount, np.float32)
    after = to_srgb(changed(inks, add, "cmyk", profile), "cmyk", profile)
    assert np.abs(after - seen - add).mean() < 1.5 / 255
    assert np.abs(after - seen - add).max() < 8 / 255
