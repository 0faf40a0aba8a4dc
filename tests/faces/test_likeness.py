import numpy as np
import pytest
from skimage import data

from faceren.faces import tiny
from faceren.faces.closer import COVERS, SIDE, chip, features, likeness
from faceren.faces.detection import detect_faces
from faceren.faces.pyramid import search_levels
from tests.faces.scenes import portraits


@pytest.fixture(scope="module")
def astronaut():
    image = data.astronaut()
    return image, detect_faces(image)[0]


def test_a_chip_shows_the_face_where_the_network_expects_it(astronaut):
    """The template's eyes are 125.92 of 512 apart, its chip covers 394 of them with 150 pixels."""
    image, face = astronaut
    (seen,) = search_levels(chip(image, face), 0.5, tiny.search)
    apart = np.hypot(*(seen.landmarks[1] - seen.landmarks[0]))
    assert apart == pytest.approx(125.92 * SIDE / COVERS, rel=0.15)
    assert seen.landmarks.mean(0) == pytest.approx([75, 83], abs=8)


def test_features_are_maps_of_three_stages_and_the_confidence(astronaut):
    assert features(*astronaut).shape == (10 * 128 + 1,)


def test_portraits_look_like_faces():
    for image, landmarks in portraits():
        (face, *_) = [f for f in detect_faces(image) if np.allclose(f.landmarks, landmarks)]
        assert likeness(image, face) > 0


def test_a_cat_does_not():
    cat = data.cat()
    (face,) = detect_faces(cat)
    assert face.score > 0.9  # though the detector is fairly confident
    assert likeness(cat, face) < 0


def test_what_is_far_from_a_face_does_not_count(astronaut):
    image, face = astronaut
    wide = np.pad(image, ((0, 0), (0, 100), (0, 0)))
    np.testing.assert_array_equal(features(image, face), features(wide, face))
