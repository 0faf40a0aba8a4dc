import numpy as np
import pytest

from faceren.pages.pictures import Pictures, digest, shrunk
from tests.runs import picture


def test_pictures_that_no_photo_has_are_removed_and_nothing_else(tmp_path):
    pictures = Pictures(tmp_path)
    keys = [letter * 24 for letter in "abc"]
    for key in keys:
        pictures.add(key, picture(0))
    (tmp_path / "mine.jpg").write_bytes(b"x")
    pictures.keep_only(keys[:1], protected=[pictures.get(keys[1]).name])
    assert sorted(path.name[0] for path in tmp_path.iterdir()) == ["a", "b", "m"]


def test_an_empty_picture_is_made_again(tmp_path):
    (tmp_path / f"{'a' * 24}_200x120.jpg").touch()
    pictures = Pictures(tmp_path)
    pictures.add("a" * 24, picture(0))
    assert next(tmp_path.iterdir()).stat().st_size > 0


def test_a_name_tells_everything_that_a_picture_is_made_from():
    assert digest("a", 640) == digest("a", "640")
    assert len({digest("a", 640), digest("a", 224), digest("b", 640), digest("a", 6, 40)}) == 4
    assert len(digest()) == 24


@pytest.mark.parametrize(
    ("shape", "side", "small"),
    [((40, 80), 20, (10, 20)), ((90, 30), 30, (30, 10)), ((3, 900), 100, (1, 100))],
)
def test_a_picture_is_shrunk_to_its_longer_side(shape, side, small):
    level = np.full((*shape, 3), 77, np.uint8)
    assert shrunk(level, side).shape == (*small, 3)
    assert (shrunk(level, side) == 77).all()
    assert shrunk(level, max(shape)) is level
