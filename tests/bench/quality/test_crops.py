"""Small faces of a photograph, as in section 5.2."""

import numpy as np
import pytest

from faceren.bench.benchmark import load
from faceren.bench.quality.crops import crops_suite, patches
from faceren.bench.request import Request
from faceren.errors import ImageError, NothingToDoError
from faceren.images import read_rgb, write_png


@pytest.fixture
def astronaut(tmp_path, astronaut):
    write_png(tmp_path / "astronaut.png", astronaut)
    return tmp_path / "astronaut.png"


def test_a_face_is_cut_to_64_pixels(astronaut):
    ((native, patch),) = patches(astronaut)
    assert patch.shape == (64, 64, 3)
    assert 100 < native < 300
    # the template puts the eyes at 0.47 of the height: skin there, not the dark of space
    assert patch[30:40, 24:40].mean() > 90


def test_it_is_enlarged_and_restored(astronaut, tmp_path):
    request = Request(suite="crops", crops=astronaut, output=tmp_path / "b", device="cpu")
    (row,) = crops_suite(request, load(request))
    enlarged, restored = read_rgb(row.enlarged), read_rgb(row.restored)
    assert enlarged.shape == restored.shape == (512, 512, 3)
    assert not np.array_equal(enlarged, restored)
    assert row.niqe_restored < row.niqe_input  # bicubic enlargement is not natural
    assert row.to_json()["face"] == 1


def test_a_photo_without_a_face_or_that_is_none_is_said(tmp_path):
    write_png(tmp_path / "gray.png", np.full((128, 128, 3), 99, np.uint8))
    with pytest.raises(NothingToDoError, match="no face found"):
        patches(tmp_path / "gray.png")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ImageError, match=r"text\.png"):
        patches(tmp_path / "text.png")
