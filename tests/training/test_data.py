import errno

import cv2
import numpy as np
import pytest

from faceren.errors import ConfigError, ImageError
from faceren.training import data as data_module
from faceren.training.data import Images, evenly, read_images, split_validation
from faceren.training.events import Reading
from tests.training.tiny import write_images


def read(*folders, min_side=32, max_side=1024, cache_gib=1.0) -> Images:
    names = [str(folder) for folder in folders]
    steps = read_images("k", names, min_side=min_side, max_side=max_side, cache_gib=cache_gib)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_reads_all_folders_in_order_with_keys(tmp_path):
    write_images(tmp_path / "a" / "deep", 2)
    write_images(tmp_path / "b", 1, side=80)
    images = read(tmp_path / "a", tmp_path / "b")
    assert [entry.key for entry in images.entries] == ["deep/000.png", "deep/001.png", "000.png"]
    assert [entry.folder for entry in images.entries] == [0, 0, 1]
    assert [entry.short for entry in images.entries] == [64, 64, 80]
    expected = cv2.imread(str(tmp_path / "b" / "000.png"))[..., ::-1]
    np.testing.assert_array_equal(images.read(2), expected)


def test_tells_how_far_it_is(tmp_path):
    names = [str(write_images(tmp_path / "a", 3))]
    events = read_images("k", names, min_side=32, max_side=64, cache_gib=1)
    assert list(events) == [Reading(done=3, total=3)]


def test_unusable_files_are_skipped_and_listed(tmp_path):
    write_images(tmp_path, 2)
    (tmp_path / "broken.png").write_bytes((tmp_path / "000.png").read_bytes()[:200])
    (tmp_path / "empty.jpg").touch()
    write_images(tmp_path / "small", 1, side=20)
    images = read(tmp_path)
    assert len(images) == 2
    assert len(images.skipped) == 3
    assert "broken.png: " in images.skipped[0]
    assert images.skipped[2].endswith("small/000.png: shorter side 20 px, below 32")


def test_large_images_are_shrunk_by_area(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.kron(np.eye(2), np.full((40, 80), 255)))
    pixels = read(tmp_path, max_side=40).read(0)
    assert pixels.shape == (40, 80, 3)
    assert sorted(set(pixels.ravel().tolist())) == [0, 255]


def test_what_does_not_fit_into_memory_is_decoded_at_each_use(tmp_path):
    write_images(tmp_path, 3)
    cached, lazy = read(tmp_path), read(tmp_path, cache_gib=2 * 64 * 64 * 3 / 2**30)
    assert len(cached.pixels) == 3
    assert lazy.pixels == ()
    np.testing.assert_array_equal(lazy.read(1), cached.read(1))
    (tmp_path / "001.png").unlink()
    assert cached.read(1).shape == (64, 64, 3)
    with pytest.raises(ImageError, match=r"001\.png"):
        lazy.read(1)


def test_missing_and_empty_folders_are_errors(tmp_path):
    with pytest.raises(
        ConfigError, match=r"k: expected a folder of images, or .tar files, but .*nowhere is none"
    ):
        read(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="k: expected images, found no usable one in"):
        read(tmp_path)
    (tmp_path / "a.jpg").write_text("no image")
    with pytest.raises(ConfigError, match=r"1 files are unusable, the first: .*a\.jpg"):
        read(tmp_path)


@pytest.mark.parametrize(("total", "count"), [(10, 3), (3, 10), (1, 1), (100, 7), (16, 16)])
def test_evenly_gives_different_numbers_in_range(total, count):
    numbers = evenly(total, count)
    assert len(set(numbers)) == min(total, count)
    assert min(numbers) >= 0
    assert max(numbers) < total
    gaps = np.diff(numbers)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


def test_validation_images_are_kept_apart(tmp_path):
    images = read(write_images(tmp_path, 12))
    training, validation = split_validation(images, 16)
    assert len(validation) == 1  # at most a tenth
    keys = [entry.key for entry in (*training.entries, *validation.entries)]
    assert sorted(keys) == [entry.key for entry in images.entries]
    np.testing.assert_array_equal(validation.read(0), images.read(6))
    with pytest.raises(ConfigError, match="expected at least 2 images"):
        split_validation(images.choose([0]), 1)


def test_an_image_that_the_disk_gives_at_the_second_try_is_there(tmp_path, monkeypatch):
    write_images(tmp_path / "in", 3, side=64)
    failing = [OSError(errno.EIO, "Input/output error")]
    honest = data_module.read_limited

    def reading(path, side, files):
        if path.name == "001.png" and failing:
            raise ImageError(f"{path}: cannot be read") from failing.pop()
        return honest(path, side, files)

    monkeypatch.setattr(data_module, "read_limited", reading)
    images = read(tmp_path / "in")
    assert [entry.key for entry in images.entries] == ["000.png", "001.png", "002.png"]
    assert images.skipped == ()
    assert failing == []
