import cv2
import numpy as np
import pytest
import skimage.data

from faceren.faces.face import Face
from faceren.images.page import TURNS, Page, stored_raster, upright_view
from faceren.restoration.repair.gates import AUTO
from faceren.restoration.repair.repair import Repairer
from faceren.restoration.repair.sighting import sighted, way_of
from faceren.restoration.repair.texture import no_photo
from tests.restoration.repair.test_repair import Named, nobody, photo


def slope(height: int, width: int) -> np.ndarray:
    """A plane that is lightest at the lower right, more so downwards."""
    down, across = np.mgrid[0:height, 0:width]
    return np.repeat((2 * down + across)[..., None] // 4, 3, 2).astype(np.uint8)


@pytest.mark.parametrize("shape", [(90, 60), (60, 60), (91, 47)])
@pytest.mark.parametrize("way", TURNS)
def test_however_a_picture_lies_it_is_turned_the_same_way(way: int, shape) -> None:
    straight = slope(*shape)
    assert way_of(straight) == 1
    turned = stored_raster(straight, way)
    assert np.array_equal(upright_view(turned, way_of(np.ascontiguousarray(turned))), straight)


@pytest.mark.parametrize("way", TURNS)
def test_faces_and_marks_keep_their_places_whichever_way_the_page_is_looked_at(way: int) -> None:
    upright = np.ascontiguousarray(stored_raster(slope(150, 100), way))
    upright[20:23, 30:60] = 255
    height, width = upright.shape[:2]
    points = np.array([[40.0, 50], [60, 50], [50, 60], [42, 70], [58, 70]])
    face = Face((30, 40, 70, 80), points, 0.9)
    seen = sighted(Page(upright, "rgb"), Named(), upright, [face])  # type: ignore[arg-type]
    assert seen.shape == (height, width)
    for (x, y), (turned_x, turned_y) in zip(points, seen.faces[0].landmarks, strict=True):
        place = upright[int(y), int(x)]
        assert np.array_equal(seen.image[int(turned_y), int(turned_x)], place)
    (part,) = seen.components(AUTO)
    assert part.box == (30, 20, 60, 23)
    assert part.pixels.shape == (3, 30)


def text_page() -> np.ndarray:
    page = np.full((700, 560, 3), 228, np.uint8)
    for row in range(30, 690, 22):
        cv2.putText(page, "It is a truth universally known,", (14, row), 2, 0.9, (30,) * 3, 1)
    return page


def drawing() -> np.ndarray:
    page = np.full((600, 500, 3), 240, np.uint8)
    for step in range(0, 560, 45):
        cv2.ellipse(page, (250, 300), (20 + step // 3, step), 20, 0, 360, (20,) * 3, 2)
        cv2.line(page, (0, step), (499, 560 - step), (20,) * 3, 2)
    return page


def lace() -> np.ndarray:
    page = np.full((500, 500, 3), 60, np.uint8)
    for y in range(0, 500, 14):
        for x in range(0, 500, 14):
            cv2.circle(page, (x, y), 6, (220,) * 3, 1)
    return page


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (text_page, "a page of text"),
        (drawing, "a drawing"),
        (lace, "lace"),
        (lambda: np.repeat(skimage.data.gravel()[..., None], 3, 2), "gravel"),
    ],
)
def test_from_what_is_no_photo_nothing_is_taken_but_when_asked_for(make, words: str) -> None:
    picture = np.ascontiguousarray(make())
    assert words in no_photo(picture)
    larger = cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    assert no_photo(np.asarray(larger, np.uint8))
    for mode in ("auto", "suggest"):
        same, (found,) = Repairer(mode).repaired(before := photo(picture), "a.png", nobody)
        assert same is before
        assert not found.filled
        assert not found.kinds.any()
        assert found.note.startswith("it has ")
        assert "--repair strong looks all the same" in found.note
    _, (found,) = Repairer("strong").repaired(photo(picture), "a.png", nobody)
    assert "looked for" not in found.note


@pytest.mark.parametrize("name", ["astronaut", "camera", "coffee", "chelsea"])
def test_photos_are_looked_at(name: str) -> None:
    picture = getattr(skimage.data, name)()
    picture = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, 2)
    assert no_photo(picture) == ""
