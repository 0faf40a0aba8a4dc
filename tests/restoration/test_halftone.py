import dataclasses

import cv2
import imagecodecs
import numpy as np
import pytest

from faceren.faces.detection import detect_faces
from faceren.restoration.crops import whole
from faceren.restoration.edit import edit_face
from faceren.restoration.halftone import halftone_dots, pattern
from faceren.restoration.options import RestoreOptions
from faceren.restoration.stream import NetworkResult
from tests.restoration.pages import cut_face, photo_of


@pytest.fixture(scope="module")
def portrait(astronaut):
    """An aligned face, (512, 512, 3) in [0, 1]."""
    (face,) = detect_faces(astronaut)
    crop = cut_face(photo_of(astronaut.astype(np.float32) / 255), 0, face)
    return cv2.resize(crop.pixels, (512, 512), interpolation=cv2.INTER_CUBIC).clip(0, 1)


def printed(portrait, dots, degrees=30.0):
    """The picture as a halftone of so many dots a side: ink where it is darker than a wave."""
    side = len(portrait)
    y, x = np.mgrid[:side, :side] * (2 * np.pi * dots / side)
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    waves = np.cos(cosine * x + sine * y) + np.cos(cosine * y - sine * x)
    paper = np.clip(0.5 + 2 * (portrait.mean(2) - 0.5 + waves / 4), 0, 1)
    return np.repeat(paper[..., None], 3, 2).astype(np.float32)


@pytest.mark.parametrize("dots", [40, 80, 150])
def test_the_dots_of_a_halftone_are_counted(portrait, dots):
    assert halftone_dots(printed(portrait, dots)) == pytest.approx(dots, abs=512 / 64 + 1)


def test_lines_count_as_dots(portrait):
    wave = np.cos(np.mgrid[:512, :512].sum(0) * (2 * np.pi * 70 / 512))
    ruled = np.clip(portrait + 0.2 * wave[..., None], 0, 1).astype(np.float32)
    assert halftone_dots(ruled) == pytest.approx(70 * np.sqrt(2), abs=9)


def test_a_photo_its_grain_and_its_jpeg_blocks_are_no_halftone(portrait):
    grain = np.random.default_rng(0).normal(0, 20 / 255, (512, 512, 1))
    coded = imagecodecs.jpeg_encode(np.uint8(np.rint(portrait * 255)), level=15)
    blocky = np.float32(imagecodecs.jpeg_decode(coded)) / 255
    for photo in (portrait, np.float32((portrait + grain).clip(0, 1)), blocky):
        assert halftone_dots(photo) == 0


def test_a_woven_curtain_beside_the_face_is_no_halftone(portrait):
    woven = portrait.copy()
    weave = printed(np.full_like(portrait, 0.5), 128, 0)
    woven[:, :100], woven[:, 412:] = weave[:, :100], weave[:, 412:]
    assert halftone_dots(woven) == 0


def test_a_picture_smaller_than_a_tile_and_a_flat_one_have_none(portrait):
    assert halftone_dots(printed(portrait, 40)[:80, :80]) == 0
    assert pattern(np.full((64, 64), 99, np.float32)).height == 0
    slope = np.mgrid[:256, :256].sum(0) / 510  # its spectrum has no peak but the slowest waves
    assert halftone_dots(np.repeat(np.float32(slope)[..., None], 3, 2)) == 0


def test_a_wave_has_its_strength_and_its_frequency():
    y, x = np.mgrid[:256, :256]
    rng = np.random.default_rng(1)
    wave = 12 * np.sqrt(2) * np.cos(2 * np.pi * (16 * x + 12 * y) / 64)
    found = pattern((128 + wave + rng.normal(0, 1, wave.shape)).astype(np.float32))
    assert found.frequency == pytest.approx(20 / 64)
    assert found.levels == pytest.approx(12, rel=0.05)


def test_the_network_sees_two_pixels_a_dot(portrait):
    crop = whole(photo_of(printed(portrait, 100)), 0)
    assert abs(crop.halftone_dots - 100) < 9
    assert crop.seen.shape[0] == round(2 * crop.halftone_dots / 32) * 32
    asked = whole(photo_of(printed(portrait, 100)), 0, RestoreOptions(working_size=320))
    assert asked.seen.shape[0] == 320


def test_dots_go_whole_and_no_grain_is_made_of_them(portrait):
    crop = whole(photo_of(printed(portrait, 100)), 0)
    clean = cv2.GaussianBlur(crop.seen, (0, 0), 2)
    difference, edit = edit_face(crop, NetworkResult(clean, 1.0), RestoreOptions())
    assert halftone_dots(np.float32(crop.pixels + difference)) == 0
    assert edit.to_json()["halftone_dots"] == round(crop.halftone_dots)
    plain = dataclasses.replace(crop, halftone_dots=0.0)
    kept, told = edit_face(plain, NetworkResult(clean, 1.0), RestoreOptions(grain="off"))
    assert halftone_dots(np.float32(crop.pixels + kept)) > 0
    assert "halftone_dots" not in told.to_json()
