"""FED and LLE on faces of synthetic people."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceren.errors import ShapeError
from faceren.images import read_rgb
from faceren.metrics.fed import SeenFace, fed, know_face, lle, see_face, why_no_fed

CLEAN = Path(__file__).parents[2] / "sample_photos" / "clean"


def small(name: str) -> np.ndarray:
    rgb = read_rgb(CLEAN / f"{name}_selfie.jpg")
    return cv2.resize(rgb, (256, 256), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def person() -> np.ndarray:
    return small("p001")


@pytest.fixture(scope="module")
def seen(person) -> SeenFace:
    face = see_face(person)
    assert face is not None
    return face


def test_the_same_person_is_nearer_than_another(person, seen):
    blurred, other = see_face(cv2.GaussianBlur(person, (0, 0), 1.5)), see_face(small("p004"))
    assert fed(seen, blurred) < 0.5 < fed(seen, other)
    assert fed(seen, seen) == 0


def test_no_face_is_none():
    assert see_face(np.full((128, 128, 3), 128, np.uint8)) is None
    assert see_face(np.zeros((20, 20, 3), np.uint8)) is None


def test_lle_of_a_moved_face_is_the_move_at_512_pixels(seen):
    moved = SeenFace(seen.embedding, seen.landmarks + [3, 4], seen.side)
    assert lle(moved, seen) == pytest.approx(5 * 512 / 256)


def test_lle_counts_the_lip_corners_twice(seen):
    landmarks = seen.landmarks.copy()
    landmarks[48] += [0, 72]
    assert lle(SeenFace(seen.embedding, landmarks, 512), SeenFace(
        seen.embedding, seen.landmarks, 512)) == pytest.approx(2)  # fmt: skip


def test_lle_refuses_other_sizes(seen):
    with pytest.raises(ShapeError, match="sides of 256 and 512"):
        lle(seen, SeenFace(seen.embedding, seen.landmarks, 512))


def test_a_known_face_is_compared_without_looking_for_it(person, seen):
    known = know_face(person)
    assert known is not None
    assert known.fed(person) == 0
    blurred, other = cv2.GaussianBlur(person, (0, 0), 1.5), small("p004")
    assert known.fed(blurred) == pytest.approx(fed(see_face(blurred), seen), abs=0.15)
    assert known.fed(blurred) < 0.5 < known.fed(other)
    assert know_face(np.full((128, 128, 3), 128, np.uint8)) is None


def test_why_there_is_no_fed_is_told(monkeypatch):
    assert why_no_fed() == ""
    monkeypatch.setitem(sys.modules, "dlib", None)
    assert "install the package dlib-bin" in why_no_fed()
