import numpy as np
import pytest
from skimage import data

from faceren.errors import FaceError
from faceren.faces import tiny
from faceren.faces.detection import detect_faces
from faceren.faces.given import TYPICAL, GivenFace, locate


@pytest.fixture(scope="module")
def astronaut():
    return data.astronaut()


def test_landmarks_are_found_in_a_rough_box(astronaut):
    (face,) = detect_faces(astronaut)
    x0, y0, x1, y1 = face.box
    rough = (x0 - 15, y0 - 10, x1 + 10, y1 + 15)
    found = locate(GivenFace(rough), astronaut, tiny.search)
    assert found.box == rough
    np.testing.assert_allclose(found.landmarks, face.landmarks, atol=4)


def test_a_face_too_small_for_the_detector_is_found_with_help(astronaut):
    import cv2

    canvas = np.full((400, 400, 3), 90, np.uint8)
    canvas[100:140, 200:240] = cv2.resize(astronaut, (40, 40), interpolation=cv2.INTER_AREA)
    (face,) = detect_faces(astronaut)
    box = tuple(np.array(face.box) * 40 / 512 + [200, 100, 200, 100])
    found = locate(GivenFace(box), canvas, tiny.search)
    expected = (face.landmarks + 0.5) * 40 / 512 - 0.5 + [200, 100]
    np.testing.assert_allclose(found.landmarks, expected, atol=1.0)


def test_where_nothing_looks_like_a_face_the_landmarks_are_the_usual_ones():
    gray = np.full((200, 200, 3), 127, np.uint8)
    found = locate(GivenFace((50, 40, 150, 160)), gray, tiny.search)
    assert found.score == 0
    np.testing.assert_allclose(found.landmarks, [50, 40] + TYPICAL * [100, 120])


def test_given_landmarks_are_taken_as_they_are():
    points = ((30.0, 40.0), (60.0, 40.0), (45.0, 60.0), (33.0, 80.0), (57.0, 80.0))

    def never(image, threshold):
        raise AssertionError

    found = locate(GivenFace((10, 20, 90, 120), points), np.zeros((200, 200, 3), np.uint8), never)
    assert found.score == 1
    np.testing.assert_array_equal(found.landmarks, points)


def test_a_box_outside_the_photo_is_refused():
    with pytest.raises(FaceError, match="lies outside the photo of 200×100 pixels"):
        locate(GivenFace((250, 10, 300, 60)), np.zeros((100, 200, 3), np.uint8), tiny.search)


def test_a_box_for_the_photo_as_it_is_stored_gets_a_hint():
    with pytest.raises(FaceError, match="counted as the photo is seen upright"):
        locate(GivenFace((120, 10, 160, 60)), np.zeros((200, 100, 3), np.uint8), tiny.search)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (((130.0, 40.0), (160.0, 40.0), (145.0, 60.0), (133.0, 80.0), (157.0, 80.0)), "outside"),
        (((60.0, 40.0), (30.0, 40.0), (45.0, 60.0), (57.0, 80.0), (33.0, 80.0)), "of no face"),
    ],
)
def test_landmarks_of_another_place_or_of_no_face_are_refused(points, message):
    with pytest.raises(FaceError, match=message):
        locate(GivenFace((10, 20, 90, 120), points), np.zeros((200, 200, 3), np.uint8), tiny.search)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_face_lying_in_its_box_is_read_the_right_way_up(astronaut, turns):
    (face,) = detect_faces(astronaut)
    lying = np.ascontiguousarray(np.rot90(astronaut, -turns))
    (expected,) = detect_faces(lying)
    found = locate(GivenFace(expected.box), lying, tiny.search)
    eyes = np.hypot(*(face.landmarks[1] - face.landmarks[0]))
    assert np.hypot(*(found.landmarks - expected.landmarks).T).mean() < 0.08 * eyes
