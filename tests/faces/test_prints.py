import numpy as np
import pytest
from skimage import data

from faceren.faces.face import Face
from faceren.faces.prints import print_of, prints_on


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
