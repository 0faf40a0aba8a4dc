import numpy as np
import pytest
from PIL import ImageFont

from faceren.errors import ConfigError
from faceren.pages.pictures import (
    GAP,
    TEXT,
    Cell,
    Pictures,
    contact_sheet,
    digest,
    fitted,
    shortened,
    shrunk,
)
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


RED = np.zeros((10, 20, 3), np.uint8) + np.array([255, 0, 0], np.uint8)


def test_pictures_are_scaled_and_centred():
    sheet = contact_sheet([[Cell(RED, "a"), Cell(RED)], [Cell(None, "empty")]], side=64)
    assert sheet.shape == (GAP + 2 * (64 + TEXT + 2 * GAP), GAP + 2 * (64 + GAP), 3)
    red = (sheet == [255, 0, 0]).all(2)
    rows, columns = np.nonzero(red[:, : GAP + 64])
    assert (rows.min(), rows.max()) == (GAP + 16, GAP + 47)  # half as high as wide
    assert (columns.min(), columns.max()) == (GAP, GAP + 63)
    assert red.sum() == 2 * 64 * 32


def test_headers_and_captions_leave_ink():
    bare = contact_sheet([[Cell(RED)]], side=64)
    titled = contact_sheet([[Cell(RED, "name")]], side=64, headers=["input"])
    assert titled.shape[0] == bare.shape[0] + TEXT + GAP
    assert (titled < 100).all(2).sum() > 20
    assert not (bare < 100).all(2).any()


def test_long_captions_lose_their_beginning():
    font = ImageFont.load_default(TEXT)
    short = shortened("a very long path/of folders/to a face.png", 100, font)
    assert short.startswith("…")
    assert short.endswith("face.png")
    assert font.getlength(short) <= 100
    assert shortened("two\nlines\x00", 200, font) == "two?lines?"


def test_fitted_never_vanishes():
    assert fitted(np.zeros((1, 900, 3), np.uint8), 64).shape == (1, 64, 3)


def test_a_sheet_without_pictures_is_refused():
    with pytest.raises(ConfigError, match="at least one picture"):
        contact_sheet([])
