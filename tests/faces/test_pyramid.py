from itertools import pairwise

import cv2
import numpy as np
import pytest
from skimage import data

from faceren.faces import tiny
from faceren.faces.face import Face
from faceren.faces.pyramid import (
    COARSEST,
    OVERLAP,
    TILE,
    levels,
    print_of,
    prints_on,
    search_coarsest,
    search_levels,
    tiles,
)


def test_tiles_cover_everything_with_overlap_and_little_twice():
    for length in (500, TILE + OVERLAP, TILE + OVERLAP + 1, 5000, 20001):
        parts = tiles(length)
        assert (parts[0][0], parts[-1][1]) == (0, length)
        assert all(end - start <= max(TILE, parts[0][1]) for start, end in parts)
        common = [before[1] - after[0] for before, after in pairwise(parts)]
        assert all(OVERLAP <= pixels <= OVERLAP + len(parts) for pixels in common)


def test_levels_end_at_half_the_photo_s_size_and_at_its_own():
    assert levels(320) == [2.0]
    assert levels(640) == [1.0]
    assert levels(1000) == [0.64, 1.0]
    assert levels(1600) == [0.5, 1.0]
    assert levels(2560) == [0.25, 0.5, 1.0]
    assert levels(4000) == pytest.approx([0.16, 0.32, 0.5, 1.0])
    assert levels(5126) == pytest.approx([640 / 5126, 1280 / 5126, 0.5, 1.0])


@pytest.mark.parametrize("long_side", range(600, 6000, 37))
def test_no_level_is_missing_and_none_is_there_twice(long_side):
    scales = levels(long_side)
    assert scales[0] * long_side <= 1.3 * COARSEST
    assert all(1.2 < after / before <= 2.6 for before, after in pairwise(scales))
    assert any(scale >= 0.5 for scale in scales)


def test_halving_first_brings_a_picture_to_the_size_and_place_that_it_would_get_at_once():
    """A square of 32 x 32 pixels in 1001 x 2003, of which a level of a third has 10 x 10."""
    image = np.zeros((1001, 2003, 3), np.uint8)
    image[400:432, 800:832] = 200
    seen = []
    search_coarsest(image, 0.5, lambda part, _: seen.append(part) or [])
    (part,) = seen
    assert part.shape == (320, 640, 3)
    y, x = np.argwhere(part[..., 0] > 100).mean(0) + 0.5
    assert (x, y) == pytest.approx((816 * 640 / 2003, 416 * 640 / 2003), abs=0.5)


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


def test_the_finest_level_is_for_crowds_of_small_faces():
    found, shown = counted(album(300, 8))
    assert sum(shown) < 2000
    assert len(found) >= 8
    found, shown = counted(album(130, 40))
    assert sum(shown) > 5000
    assert len([face for face in found if face.score > 0.8]) == 40


def test_levels_that_only_smaller_faces_need_can_be_left_out():
    page = album(640, 3)
    large = Face((0, 0, 100, 120), np.zeros((5, 2)), 1.0)
    assert counted(page, known=[large])[1] == [640 * 512 // 1000]
    coarse = [face.moved(1.0, 0, 0) for face in counted(page)[0]]
    _, shown = counted(page, coarse=coarse, known=[large])
    assert shown == []


def test_narrow_faces_that_another_turn_has_shown_are_a_crowd():
    """Nothing is seen in this one, so the finest level would be left out."""
    page = np.full((2000, 2500, 3), 90, np.uint8)
    narrow = Face((0, 0, 28, 32), np.zeros((5, 2)), 1.0)
    assert sum(counted(page)[1]) < 2000
    assert sum(counted(page, known=[narrow] * 2)[1]) < 2000
    assert sum(counted(page, known=[narrow] * 3)[1]) > 5000


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


def page(*boxes):
    """Return paper of 600 x 800 with parts of a photo laid on it."""
    image = np.full((600, 800, 3), (220, 210, 190), np.uint8)
    photo = data.astronaut()
    for x0, y0, x1, y1 in boxes:
        image[y0:y1, x0:x1] = photo[: y1 - y0, : x1 - x0] // 2
    return image


def face_at(x, y):
    return Face((x - 5, y - 5, x + 5, y + 5), np.full((5, 2), (x, y), float), 1.0)


def test_prints_are_found_where_they_lie():
    boxes = [(50, 60, 300, 400), (400, 100, 700, 320)]
    found = sorted(prints_on(page(*boxes)))
    np.testing.assert_allclose(found, boxes, atol=4)


def test_a_single_photo_has_no_prints():
    assert prints_on(data.astronaut()) == []
    assert prints_on(page((50, 60, 300, 400))) == []
    assert prints_on(np.full((300, 300, 3), 200, np.uint8)) == []


@pytest.mark.parametrize(("at", "expected"), [((100, 100), (340, 250)), ((350, 500), (600, 800))])
def test_a_face_is_on_the_print_around_it_or_on_the_page(at, expected):
    boxes = [(50, 60, 300, 400), (400, 100, 700, 320)]
    assert print_of(face_at(*at), boxes, page(*boxes)).shape[:2] == expected
