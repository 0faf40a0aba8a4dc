"""What dlib sees, on faces of synthetic people."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import cv2
import dlib
import numpy as np
import pytest

from faceren.errors import MachineError, ShapeError
from faceren.faces import dlib_networks
from faceren.faces.alignment import TEMPLATE
from faceren.faces.dlib_networks import (
    AVX,
    check,
    check_rgb,
    distance,
    embedding,
    first_face,
    landmarks68,
    rectangle,
)
from faceren.images import read_rgb

CLEAN = Path(__file__).parents[2] / "sample_photos" / "clean"
EYES, NOSE, MOUTH = (range(36, 42), range(42, 48)), 30, (48, 54)
"""Of the 68 landmarks: the outlines of both eyes, the tip of the nose, the corners of the mouth."""


def small(name):
    rgb = read_rgb(CLEAN / f"{name}_selfie.jpg")
    return cv2.resize(rgb, (256, 256), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def person():
    return small("p001")


def test_the_distance_is_euclidean():
    assert distance(np.array([1.0, 2, 3]), np.array([1.0, 5, 7])) == 5


def test_distances_between_faces(person):
    ours = embedding(person, first_face(person))
    assert ours.shape == (128,)
    double = cv2.resize(person, (512, 512), interpolation=cv2.INTER_CUBIC)
    assert distance(ours, embedding(double, first_face(double))) < 0.2
    other = small("p004")
    assert distance(ours, embedding(other, first_face(other))) > 0.5  # 0.6 is another person


def test_landmarks_are_where_aligned_portraits_have_their_features(person):
    points = landmarks68(person, first_face(person))
    assert points.shape == (68, 2)
    eyes = [points[list(eye)].mean(0) for eye in EYES]
    five = np.array([*eyes, points[NOSE], *points[list(MOUTH)]])
    assert np.abs(five - TEMPLATE / 2).max() < 12  # pixels of 256; this one smiles


def test_a_picture_without_a_face_has_none():
    assert first_face(np.full((128, 128, 3), 128, np.uint8)) is None
    assert first_face(np.zeros((20, 20, 3), np.uint8)) is None


def test_a_rectangle_is_a_square_around_its_centre():
    box = rectangle((50, 70), 20)
    assert (box.left(), box.top(), box.right(), box.bottom()) == (40, 60, 60, 80)


def test_wrong_images_are_named(person):
    with pytest.raises(ShapeError, match="uint8, got .* float64"):
        landmarks68(person.astype(float), rectangle((128, 128), 100))
    with pytest.raises(ShapeError, match=r"\(H, W, 3\) uint8, got \(256, 256\)"):
        check_rgb(person[..., 0])


@pytest.mark.parametrize(
    ("machine", "has_avx", "fits"),
    [
        ("x86_64", False, False),
        ("AMD64", False, False),
        ("x86_64", True, True),
        ("arm64", False, True),
    ],
)
def test_a_processor_that_dlib_would_crash_on_is_named(monkeypatch, machine, has_avx, fits):
    monkeypatch.setattr("faceren.faces.dlib_networks.platform.machine", lambda: machine)
    monkeypatch.setattr("faceren.faces.dlib_networks.cv2.checkHardwareSupport", lambda _: has_avx)
    if fits:
        check()
        return
    with pytest.raises(MachineError, match="this processor has no AVX, which dlib"):
        check()


def test_opencv_means_avx_by_that_number():
    assert cv2.getHardwareFeatureName(AVX) == "AVX"


def test_what_several_threads_need_is_loaded_once(monkeypatch):
    """Those that need it meanwhile wait for it, and all get the same."""
    made = []

    def shape_predictor(path):
        made.append(path)
        time.sleep(0.05)
        return dlib.shape_predictor(path)

    slow = SimpleNamespace(shape_predictor=shape_predictor)
    dlib_networks._loaded_predictor.cache_clear()
    monkeypatch.setattr(dlib_networks, "_dlib", lambda: slow)
    with ThreadPoolExecutor(3) as pool:
        got = list(pool.map(dlib_networks._predictor, [5, 5, 5]))
    assert all(one is got[0] for one in got)
    assert len(made) == 1


def test_without_dlib_it_is_said_what_to_install(monkeypatch, person):
    dlib_networks._loaded_predictor.cache_clear()
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(
        MachineError, match=r"dlib cannot be imported .* pip install 'faceren\[torch\]'"
    ):
        landmarks68(person, None)
