from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from faceren.faces.alignment import native_side
from faceren.faces.detection import Face, _levels, _merge, _tiles, detect_faces


@pytest.fixture(scope="module")
def astronaut():
    return data.astronaut()


def test_finds_one_face_and_its_landmarks_in_order(astronaut):
    (face,) = detect_faces(astronaut)
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_eye[1] < nose[1] < left_mouth[1]
    assert left_mouth[0] < right_mouth[0]
    assert face.score > 0.9
    assert 150 < native_side(face.landmarks) < 350


def test_three_hundred_faces_are_found_nearly_all():
    folder = Path(__file__).parents[2] / "sample_photos" / "clean"
    tiles = []
    for path in sorted(folder.iterdir()):
        rgb = cv2.imread(str(path))[..., ::-1]
        tiles.append(cv2.resize(rgb, (64, 64), interpolation=cv2.INTER_AREA))
    rows = [np.hstack([tiles[(20 * y + x) % len(tiles)] for x in range(20)]) for y in range(15)]
    group = np.pad(np.vstack(rows), ((20, 20), (20, 20), (0, 0)), constant_values=120)
    found = detect_faces(np.ascontiguousarray(group))
    cells = {tuple((face.landmarks[2] - 20) // 64) for face in found}
    assert len(cells) == len(found)
    assert len(found) >= 285


def test_no_ghosts_where_the_threshold_is_low():
    for image in (data.rocket(), data.coffee(), data.coins(), data.brick(), data.grass()):
        rgb = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
        assert detect_faces(np.ascontiguousarray(rgb), threshold=0.3) == []


def test_nothing_in_a_picture_without_people():
    assert detect_faces(np.full((300, 400, 3), 127, np.uint8)) == []
    assert detect_faces(data.rocket()) == []


def test_small_faces_in_a_large_picture_are_found_at_their_place(astronaut):
    """Six faces of about 50 pixels in 2400 x 1800, where the coarsest level sees 13 pixels."""
    small = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    canvas = np.full((1800, 2400, 3), 90, np.uint8)
    corners = [(100, 100), (900, 150), (2000, 80), (300, 1400), (1200, 1300), (2100, 1500)]
    for x, y in corners:
        canvas[y : y + 256, x : x + 256] = small
    found = detect_faces(canvas)
    (single,) = detect_faces(small)
    assert len(found) == 6
    noses = sorted(tuple(face.landmarks[2]) for face in found)
    expected = sorted((x + single.landmarks[2, 0], y + single.landmarks[2, 1]) for x, y in corners)
    np.testing.assert_allclose(noses, expected, atol=6)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_landmarks_of_a_turned_photo_map_back(astronaut, turns):
    turned = np.ascontiguousarray(np.rot90(astronaut, -turns))
    (upright,) = detect_faces(astronaut)
    found = detect_faces(turned)
    assert found
    x, y = upright.landmarks[2]
    expected = {1: (512 - y, x), 2: (512 - x, 512 - y), 3: (y, 512 - x)}[turns]
    distance = min(np.hypot(*(face.landmarks[2] - expected)) for face in found)
    assert distance < 25


def test_rotation_can_be_switched_off():
    turned = np.ascontiguousarray(np.rot90(data.astronaut(), 2))
    assert len(detect_faces(turned, rotate=False)) <= len(detect_faces(turned))


def test_tiles_cover_everything_with_overlap():
    for length in (500, 1792, 1793, 5000, 20001):
        starts = _tiles(length)
        covered = np.zeros(length, bool)
        for start in starts:
            covered[start : start + 1792 if len(starts) == 1 else start + 1536] = True
        assert covered.all()
        assert all(b - a <= 1536 - 256 for a, b in pairwise(starts))


def test_levels_end_at_the_photo_s_own_size_or_at_the_coarsest():
    assert _levels(320) == [2.0]
    assert _levels(640) == [1.0]
    assert _levels(4000) == pytest.approx([0.16, 0.32, 0.64, 1.0])


def test_overlapping_detections_are_one_face():
    points = np.array([[2.0, 2], [8, 2], [5, 5], [2, 8], [8, 8]])
    strong = Face((0, 0, 10, 10), points, 0.9)
    weak = Face((1, 1, 11, 11), points + 1, 0.8)
    apart = Face((30, 0, 40, 10), points + [30, 0], 0.7)
    assert _merge([weak, strong, apart]) == [strong, apart]
