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


def test_half_its_size_is_a_level_of_a_large_picture():
    assert levels(4000, large=True) == pytest.approx([0.16, 0.32, 0.5, 1.0])
    assert levels(2560, large=True) == pytest.approx([0.25, 0.5, 1.0])


def counted(image, **options):
    """The sides of all that the detector was shown, in thousands of pixels."""
    shown = []

    def search(part, threshold):
        shown.append(part.shape[0] * part.shape[1] // 1000)
        return tiny.search(part, threshold)

    return search_levels(image, 0.05, search, **options), shown


def album(side, count):
    """A picture of five megapixels with portraits whose faces are a fifth of ``side`` wide."""
    portrait = cv2.resize(data.astronaut(), (side, side), interpolation=cv2.INTER_AREA)
    page = np.full((2000, 2500, 3), 90, np.uint8)
    for index in range(count):
        y, x = 40 + index // 10 * 190, 40 + index % 10 * 240
        page[y : y + side, x : x + side] = portrait
    return page


def test_the_finest_level_of_a_large_picture_is_for_crowds():
    found, shown = counted(album(130, 8))
    assert sum(shown) < 2000
    assert len(found) >= 8
    found, shown = counted(album(130, 40))
    assert sum(shown) > 5000
    assert len([face for face in found if face.score > 0.8]) == 40


def test_levels_that_only_smaller_faces_need_can_be_left_out():
    page = album(640, 3)
    assert counted(page, smallest=100)[1] == [640 * 512 // 1000]
    known = [tiny_face.moved(1.0, 0, 0) for tiny_face in counted(page)[0]]
    _, shown = counted(page, coarse=known, smallest=100)
    assert shown == []


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
