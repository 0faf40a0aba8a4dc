import cv2
import numpy as np
import pytest
from skimage import data

from faceren.faces import tiny
from faceren.faces.closer import best_turn, glance, measured, rivals_of
from faceren.faces.face import Face, quarter, tilt
from faceren.faces.pyramid import search_levels


@pytest.fixture(scope="module")
def astronaut():
    image = data.astronaut()
    (face,) = search_levels(image, 0.8, tiny.search)
    return image, face


def rotated(image, landmarks, degrees):
    """Return a picture turned clockwise about its middle, and where its landmarks are then."""
    matrix = cv2.getRotationMatrix2D((255.5, 255.5), -degrees, 1)
    turned = cv2.warpAffine(image, matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE)
    return turned, landmarks @ matrix[:, :2].T + matrix[:, 2]


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_the_surest_turn_is_the_one_that_brings_the_face_upright(astronaut, turn):
    image, face = astronaut
    lying = np.ascontiguousarray(np.rot90(image, -turn))
    (box,) = [f.box for f in search_levels(lying, 0.5, tiny.search)][:1]
    seen = best_turn(lying, Face(box, face.landmarks, 0.5), tiny.search, (0, 1, 2, 3))
    assert quarter(seen) == turn
    assert seen.score > 0.97


@pytest.mark.parametrize("degrees", [-50, 40, 130])
def test_a_leaning_face_is_measured_as_well_as_an_upright_one(astronaut, degrees):
    image, face = astronaut
    lying, expected = rotated(image, face.landmarks, degrees)
    x, y = expected.mean(0)
    rough = Face((x - 55, y - 70, x + 55, y + 70), expected, 0.5)
    seen = measured(lying, rough, tiny.search)
    eyes = np.hypot(*(expected[1] - expected[0]))
    assert np.hypot(*(seen.landmarks - expected).T).mean() < 0.08 * eyes
    assert tilt(seen) == pytest.approx(tilt(face) + degrees, abs=5)


@pytest.mark.parametrize("width", [24, 60])
def test_poor_landmarks_of_a_small_face_become_those_of_the_large_one(astronaut, width):
    """They are off by a tenth of the eyes' distance, and turned by ten degrees."""
    image, face = astronaut
    expected = measured(image, face, tiny.search).landmarks
    scale = width / face.width
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    factor = small.shape[1] / 512
    eyes = np.hypot(*(expected[1] - expected[0]))
    rng, middle = np.random.default_rng(0), expected.mean(0)
    lying = (expected - middle) @ np.array([1, 1j]) * np.exp(1j * np.radians(10))
    points = middle + np.column_stack([lying.real, lying.imag])
    points += rng.normal(0, 0.05 * eyes, (5, 2))
    place = Face(face.box, (points + 0.5) * factor - 0.5, 0.9)
    found = (measured(small, place, tiny.search).landmarks + 0.5) / factor - 0.5
    assert np.hypot(*(points - expected).T).mean() > 0.09 * eyes
    assert np.hypot(*(found - expected).T).mean() < 0.07 * eyes


def test_nothing_is_seen_where_nothing_is():
    gray = np.full((300, 300, 3), 120, np.uint8)
    place = Face((100, 100, 160, 180), np.array([[0.0, 0], [1, 0], [0, 1], [0, 2], [1, 2]]), 0.5)
    assert best_turn(gray, place, tiny.search, (0, 1, 2, 3)) is None
    assert measured(gray, place, tiny.search) is None


def test_a_place_at_the_picture_s_edge_can_be_looked_at(astronaut):
    image, face = astronaut
    x0, y0 = (round(value) for value in face.landmarks.min(0) - 30)
    cut = np.ascontiguousarray(image[y0:, x0:])
    moved = face.moved(1.0, -x0, -y0)
    seen = glance(cut, moved, tiny.search, 0)
    assert np.hypot(*(seen.landmarks - moved.landmarks).T).mean() < 12  # of 60 between the eyes


def reading(degrees, score):
    """A reading of a place by which its eyes are so many degrees from level."""
    turn = np.exp(1j * np.radians(degrees))
    points = turn * np.array([-10 - 8j, 10 - 8j, 0, -8 + 10j, 8 + 10j])
    return Face((0, 0, 40, 40), np.column_stack([points.real, points.imag]) + 20, score)


def test_readings_that_agree_about_which_way_is_up_are_no_rivals():
    upright, alike, other, weak = (
        reading(44, 0.99), reading(48, 0.98), reading(-135, 0.93), reading(130, 0.9),
    )  # fmt: skip
    assert rivals_of([upright, alike, other, weak]) == [upright, other]
    assert rivals_of([]) == []


@pytest.mark.parametrize("degrees", [30, 40, 135])
def test_a_leaning_face_is_compared_with_itself_upside_down_alone(astronaut, degrees):
    image, face = astronaut
    lying, expected = rotated(image, face.landmarks, degrees)
    x, y = expected.mean(0)
    place = Face((x - 60, y - 60, x + 60, y + 60), expected, 0.9)
    looks = []

    def search(part, threshold):
        looks.append(part.shape)
        return tiny.search(part, threshold)

    surest = best_turn(lying, place, search, (0, 1, 2, 3))
    assert len(looks) == 2
    assert surest.score > 0.97
    assert tilt(surest) == pytest.approx(tilt(face) + degrees, abs=10)


def test_a_sure_face_that_looks_better_upside_down_is_looked_at_again(astronaut):
    """Its landmarks are those of a face the other way up, whatever the detector's confidence."""
    image, face = astronaut
    lying = np.ascontiguousarray(image[::-1, ::-1])
    box = (512 - face.box[2], 512 - face.box[3], 512 - face.box[0], 512 - face.box[1])
    middle = np.array([box[0] + box[2], box[1] + box[3]]) / 2
    wrong = face.landmarks - face.landmarks.mean(0) + middle
    surest = best_turn(lying, Face(box, wrong, 0.995), tiny.search, (0, 1, 2, 3))
    assert quarter(surest) == 2
