"""Sheets: where pictures go, and captions that fit."""

import numpy as np
import pytest
from PIL import ImageFont

from faceren.errors import ConfigError
from faceren.pages.contact_sheet import GAP, TEXT, Cell, contact_sheet, fitted, shortened

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
