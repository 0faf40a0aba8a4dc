from itertools import pairwise

import cv2
import numpy as np
import pytest
from skimage import data

from faceren.faces import tiny
from faceren.faces.pyramid import OVERLAP, TILE, levels, search_levels, tiles


def test_tiles_cover_everything_with_overlap():
    for length in (500, TILE + OVERLAP, TILE + OVERLAP + 1, 5000, 20001):
        starts = tiles(length)
        covered = np.zeros(length, bool)
        for start in starts:
            covered[start : start + (length if len(starts) == 1 else TILE)] = True
        assert covered.all()
        assert all(b - a <= TILE - OVERLAP for a, b in pairwise(starts))


def test_levels_end_at_the_photo_s_own_size_or_at_the_coarsest():
    assert levels(320) == [2.0]
    assert levels(640) == [1.0]
    assert levels(4000) == pytest.approx([0.16, 0.32, 0.64, 1.0])


def test_a_lower_threshold_adds_hints_and_changes_nothing_else():
    image = data.astronaut()
    (sure,) = search_levels(image, 0.8, tiny.search)
    first, *hints = search_levels(image, 0.05, tiny.search)
    np.testing.assert_array_equal(first.landmarks, sure.landmarks)
    assert all(hint.score < 0.8 for hint in hints)


def test_small_faces_in_a_large_picture_are_found_at_their_place():
    """Six faces of about 50 pixels in 2400 x 1800, where the coarsest level sees 13 pixels."""
    small = cv2.resize(data.astronaut(), (256, 256), interpolation=cv2.INTER_AREA)
    canvas = np.full((1800, 2400, 3), 90, np.uint8)
    corners = [(100, 100), (900, 150), (2000, 80), (300, 1400), (1200, 1300), (2100, 1500)]
    for x, y in corners:
        canvas[y : y + 256, x : x + 256] = small
    found = search_levels(canvas, 0.8, tiny.search)
    (single,) = search_levels(small, 0.8, tiny.search)
    noses = sorted(tuple(face.landmarks[2]) for face in found)
    expected = sorted((x + single.landmarks[2, 0], y + single.landmarks[2, 1]) for x, y in corners)
    np.testing.assert_allclose(noses, expected, atol=6)
