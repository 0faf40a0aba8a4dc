import numpy as np
import pytest

from faceren.faces.alignment import TEMPLATE
from faceren.faces.face import Face, is_human, proportions, quarter, tilt


def face(landmarks):
    low, high = landmarks.min(0), landmarks.max(0)
    return Face((*low, *high), landmarks, 1.0)


def turned(landmarks, degrees):
    """Return landmarks turned clockwise, as the picture shows it."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return landmarks @ np.array([[cosine, sine], [-sine, cosine]])


@pytest.mark.parametrize(("degrees", "turns"), [(0, 0), (30, 0), (90, 1), (-90, 3), (170, 2)])
def test_the_eyes_say_how_a_face_is_turned(degrees, turns):
    found = face(turned(np.array([[0.0, 0], [10, 0], [5, 6], [1, 10], [9, 10]]), degrees))
    assert tilt(found) == pytest.approx(degrees)
    assert quarter(found) == turns


def test_proportions_are_those_of_the_face_however_it_is_turned():
    """Eyes 8 apart and 10 above a mouth that is 6 wide; the nose 5 down and 1 to the right."""
    points = np.array([[0.0, 0], [8, 0], [5, 5], [1, 10], [7, 10]])
    for degrees in (0, 45, 180, 300):
        expected = (0.8, 0.6, 0.5, 0.1)
        np.testing.assert_allclose(proportions(face(turned(points, degrees))), expected, atol=1e-9)


def test_the_template_is_a_face_and_its_wrong_readings_are_not():
    assert is_human(face(TEMPLATE))
    assert not is_human(face(TEMPLATE * [-1, 1]))  # left and right changed
    assert not is_human(face(TEMPLATE[[3, 4, 2, 0, 1]]))  # the mouth read as the eyes
    assert not is_human(face(TEMPLATE * [1, 0.3]))  # eyes thrice as far apart as from the mouth
    assert not is_human(face(np.ones((5, 2))))


def test_a_nose_below_the_mouth_is_none():
    points = TEMPLATE.copy()
    points[2, 1] = 500
    assert not is_human(face(points))
