"""The picture of the README is what ``restore`` makes of a sample photo today."""

from pathlib import Path

import cv2
import numpy as np

from faceren.pages.page import jpeg
from tests.before_after import PICTURE, QUALITY, before_after

ROOT = Path(__file__).parents[1]


def test_the_picture_is_small_and_shown_first():
    assert PICTURE.stat().st_size < 150_000
    start = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## ")[0]
    assert f"]({PICTURE.relative_to(ROOT)})" in start


def test_it_shows_what_is_made_now():
    made = cv2.imdecode(np.frombuffer(jpeg(before_after(), QUALITY), np.uint8), cv2.IMREAD_COLOR)
    change = abs(cv2.imread(str(PICTURE)).astype(np.float32) - made)
    assert change.mean() < 0.5  # other weights, options or faces change it by more than a level
