import numpy as np
import pytest
import tifffile
from faceren.restoration.budget import COPIES, MemoryBudget
from PIL import Image

from faceren.images import decoded_bytes, read_photo


def test_a_photo_is_admitted_when_others_have_left_room():
    budget = MemoryBudget(100, photos=9)
    assert budget.admit(60)
    assert not budget.admit(50)
    assert budget.admit(40)
    budget.release(60)
    assert budget.admit(50)


def test_one_photo_is_always_admitted_and_then_alone():
    budget = MemoryBudget(100, photos=9)
    assert budget.admit(1000)
    assert not budget.admit(1)
    budget.release(1000)
    assert budget.admit(1)


def test_the_number_of_photos_is_bounded_too():
    budget = MemoryBudget(100, photos=2)
    assert [budget.admit(1) for _ in range(3)] == [True, True, False]


def test_the_cost_counts_copies_and_enlargement(tmp_path):
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    assert MemoryBudget(1, 1, scale=2).cost(tmp_path / "a.png") == COPIES * 4 * 40 * 30 * 3


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_a_header_tells_at_least_what_the_raster_takes(tmp_path, mode, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.new(mode, (40, 30)).save(path)
    assert decoded_bytes(path) >= read_photo(path).pages[0].raster.nbytes


def test_sixteen_bits_and_every_page_are_counted(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(np.zeros((30, 40, 3), np.uint16))
        file.write(np.zeros((30, 40), np.uint8))
    assert decoded_bytes(tmp_path / "a.tif") == 30 * 40 * 7


def test_what_is_no_photo_weighs_nothing(tmp_path):
    (tmp_path / "a.jpg").write_text("no photo")
    assert decoded_bytes(tmp_path / "a.jpg") == 0
    assert decoded_bytes(tmp_path / "gone.jpg") == 0
