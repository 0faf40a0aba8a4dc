import numpy as np
import pytest
from PIL import Image

from faceren.errors import FaceError
from faceren.images import read_photo
from faceren.pages.comparison import (
    CARD,
    FACE,
    FULL_CHANGE,
    change_map,
    draw,
    face_tile,
    keys_of,
    look_at,
    overview,
    place_tile,
)
from faceren.pages.pictures import Pictures, shrunk
from tests.runs import add_photo, face_at, picture


def saved(path, pixels):
    Image.fromarray(pixels).save(path)
    return read_photo(path)


def test_the_map_of_changes_is_black_where_nothing_and_brightest_where_much_changed():
    before = np.full((2, 3, 3), 100, np.uint8)
    after = before.copy()
    after[0, 1] += round(FULL_CHANGE * 255) + 1
    after[0, 2] -= round(FULL_CHANGE * 255) + 1
    after[1, 1] += round(FULL_CHANGE * 255 / 2)
    shown = change_map(before, after).astype(int)
    assert shown[0, 0].sum() < 10
    np.testing.assert_array_equal(shown[0, 1], shown[0, 2])  # lighter or darker alike
    assert shown[0, 1].sum() > 600
    assert shown[0, 0].sum() < shown[1, 1].sum() < shown[0, 1].sum()


def test_a_face_tile_is_the_aligned_crop(tmp_path):
    pixels = np.zeros((400, 500, 3), np.uint8)
    pixels[50:274, 100:324] = picture(0, (FACE, FACE))
    photo = saved(tmp_path / "p.png", pixels)
    tile = face_tile(photo, face_at(100, 50, FACE), 1)
    np.testing.assert_allclose(tile, picture(0, (FACE, FACE)), atol=2)


def test_a_face_of_an_enlarged_output_shows_the_same_spot(tmp_path):
    smooth = np.asarray(Image.fromarray(picture(0, (30, 30))).resize((300, 300)))
    before = saved(tmp_path / "b.png", smooth)
    after = saved(tmp_path / "a.png", np.asarray(Image.fromarray(smooth).resize((600, 600))))
    face = face_at(60, 40, 180)
    one, two = face_tile(before, face, 1), face_tile(after, face, 2)
    assert np.abs(one.astype(int) - two).mean() < 1.5


def test_a_face_outside_the_photo_is_refused(tmp_path):
    with pytest.raises(FaceError, match="outside the photo"):
        face_tile(saved(tmp_path / "p.png", picture(0)), face_at(900, 900, 96), 1)


def test_an_overview_is_small_and_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(0, (900, 1500))).save(tmp_path / "p.png", exif=exif)
    assert overview(read_photo(tmp_path / "p.png")).shape == (CARD, 384, 3)
    small = saved(tmp_path / "s.png", picture(0))
    np.testing.assert_array_equal(overview(small), picture(0))


def test_what_is_transparent_is_white_as_paper(tmp_path):
    pixels = np.dstack([picture(0), np.full((120, 200), 255, np.uint8)])
    pixels[:60, :, 3] = 0
    pixels[60:, :50, 3] = 51
    seen = overview(saved(tmp_path / "p.png", pixels)).astype(int)
    np.testing.assert_array_equal(seen[:60], 255)
    np.testing.assert_array_equal(seen[60:, 50:], picture(0)[60:, 50:])
    np.testing.assert_allclose(seen[60:, :50], 204 + picture(0)[60:, :50] / 5, atol=1)


def test_a_large_photo_is_thinned_and_looks_the_same(tmp_path):
    smooth = np.asarray(Image.fromarray(picture(0, (20, 30))).resize((6000, 40)))
    thinned, exact = overview(saved(tmp_path / "p.png", smooth)), shrunk(smooth, CARD)
    assert thinned.shape == exact.shape
    assert np.abs(thinned.astype(int) - exact).mean() < 2


def test_pictures_are_made_once_and_named_by_content(tmp_path):
    line = add_photo(tmp_path, "p.png", [face_at(20, 10, 96)])
    before, after = (
        look_at(read_photo(tmp_path / place / "p.png"), line["faces"], (), 1)
        for place in ("photos", "out")
    )
    folder = tmp_path / "report"
    draw(Pictures(folder), line, before, after)
    stamps = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert len(stamps) == 3
    again = Pictures(folder)
    draw(again, line, before, after)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == stamps
    strip = again.get(keys_of(line).faces[0])
    assert (strip.width, strip.height) == (3 * FACE, FACE)
    changed = keys_of(line | {"output_sha256": "1" * 64})
    assert changed.before == keys_of(line).before
    assert changed.after not in again
    assert changed.faces[0] not in again


@pytest.mark.parametrize(
    ("box", "shown"),
    [
        ([60, 40, 80, 50], (54, 29, 86, 61)),  # 1.6 times its longer side
        ([0, 0, 20, 20], (0, 0, 26, 26)),  # no further than the photo
        ([190, 110, 230, 150], (178, 98, 200, 120)),
    ],
)
def test_of_a_face_left_alone_its_surroundings_are_shown(box, shown, tmp_path):
    pixels = picture(1)
    photo = saved(tmp_path / "p.png", pixels)
    x0, y0, x1, y1 = shown
    assert np.array_equal(place_tile(photo, {"box": box}, 1), pixels[y0:y1, x0:x1])


def test_a_face_left_alone_outside_the_photo_is_refused(tmp_path):
    photo = saved(tmp_path / "p.png", picture(1))
    with pytest.raises(FaceError, match="lies outside the photo"):
        place_tile(photo, {"box": [900, 10, 920, 30]}, 1)
