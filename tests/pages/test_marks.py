import cv2
import numpy as np
import pytest

from faceren.config import Mark
from faceren.pages.comparison import keys_of
from faceren.pages.marks import COLOURS, kept_marks, mark_at, marks_of, marks_picture
from faceren.restoration.repair.mask import write_mask


def part(x: int, left: str = "", pixels: int = 9) -> dict:
    return {"box": [x, 2, x + 3, 5], "mark": "dark_dust", "pixels": pixels, "left": left}


def page(*parts: dict, **more) -> dict:
    counted = {"dark_dust": sum(not part["left"] for part in parts)}
    left = sum(bool(part["left"]) for part in parts)
    return {
        "filled": True,
        "share": 0.1,
        "marks": counted,
        "left": left,
        "components": parts,
    } | more


LINE = {
    "key": "a/b.png",
    "input_sha256": "1",
    "repair": [
        page(part(1), part(11, "kept: a person wants it so", 30), part(21, "faint: 3 levels")),
        page(part(31)),
    ],
}


def test_the_page_lists_what_is_filled_or_kept_and_counts_the_rest() -> None:
    told = marks_of(LINE)
    assert [(one["index"], one["page"], one["kept"]) for one in told["parts"]] == [
        (1, 1, True),
        (0, 1, False),
        (3, 2, False),
    ]
    assert (told["count"], told["left"], told["filled"]) == (3, 1, True)
    assert told["parts"][0]["mark"] == "dark dust"
    assert kept_marks(LINE) == {1}
    assert mark_at(LINE, 3) == (1, [31, 2, 34, 5])
    assert mark_at(LINE, 4) is None
    assert mark_at(LINE, -1) is None


def test_without_marks_or_with_a_given_mask_there_is_nothing_to_tick() -> None:
    assert marks_of({"key": "a.png"}) is None
    given = {"key": "a.png", "repair": [page(part(1), given=True)]}
    assert marks_of(given) is None
    assert keys_of(given).marks == ""


def test_the_picture_is_another_when_other_marks_are_kept() -> None:
    other = LINE | {"repair": [page(part(1), part(11)), page(part(31))]}
    assert keys_of(LINE).marks != keys_of(other).marks
    assert keys_of(LINE).marks in set(keys_of(LINE))


@pytest.mark.parametrize("mark", COLOURS)
def test_even_a_mark_of_one_pixel_is_seen_in_its_colour(tmp_path, mark: Mark) -> None:
    kinds = np.zeros((400, 600), np.uint8)
    kinds[100, 200] = mark
    write_mask(tmp_path / "masks/a/b.png.png", kinds)
    gray = np.full((40, 60, 3), 90, np.uint8)
    seen = marks_picture(LINE, tmp_path, gray)
    assert seen is not None
    assert tuple(seen[10, 20]) == COLOURS[mark]
    seen[10, 20] = 90
    assert np.array_equal(seen, gray)


def test_a_mask_that_is_gone_or_broken_is_not_shown(tmp_path) -> None:
    gray = np.zeros((4, 6, 3), np.uint8)
    assert marks_picture(LINE, tmp_path, gray) is None
    place = tmp_path / "masks/a/b.png.png"
    place.parent.mkdir(parents=True)
    place.write_bytes(cv2.imencode(".png", gray)[1].tobytes()[:40])
    assert marks_picture(LINE, tmp_path, gray) is None
