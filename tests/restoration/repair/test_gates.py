import cv2
import numpy as np
import pytest

from faceren.config import Mark
from faceren.faces.face import Face
from faceren.restoration.repair.gates import AUTO, STRONG, Component, components_of, zones_of
from faceren.restoration.repair.mask import mask_of

FACE = Face(
    box=(40, 40, 160, 180),
    landmarks=np.array([[75.0, 90], [125, 90], [100, 118], [80, 145], [120, 145]]),
    score=0.99,
)


def judged(draw, *, level: int = 230, sure: int = 255, faces=(), thresholds=AUTO, side: int = 200):
    """Return the components of one drawn shape on gray, as if the detector had named it."""
    mask = np.zeros((side, side), np.uint8)
    draw(mask)
    image = np.full((side, side, 3), 110, np.uint8)
    image[mask > 0] = level
    marked = np.where(mask > 0, np.uint8(sure), 0).astype(np.uint8)
    return list(components_of(marked, image, faces, thresholds))


def line(x0: int, y0: int, x1: int, y1: int, width: int = 3):
    return lambda mask: cv2.line(mask, (x0, y0), (x1, y1), 1, width)


def dot(x: int, y: int, radius: int):
    return lambda mask: cv2.circle(mask, (x, y), radius, 1, cv2.FILLED)


@pytest.mark.parametrize(
    ("draw", "level", "mark"),
    [
        (dot(50, 60, 3), 230, Mark.BRIGHT_DUST),
        (dot(50, 60, 3), 10, Mark.DARK_DUST),
        (line(20, 30, 90, 45), 230, Mark.LINE),
        (line(0, 60, 199, 90), 230, Mark.CREASE),
    ],
)
def test_shapes_are_called_what_they_are(draw, level: int, mark: Mark) -> None:
    (part,) = judged(draw, level=level)
    assert (part.mark, part.left) == (mark, "")


def test_a_component_says_where_it_is_and_how_wide() -> None:
    (part,) = judged(lambda m: m.__setitem__((slice(20, 25), slice(30, 90)), 1))
    assert part.box == (30, 20, 90, 25)
    assert part.area == 300
    assert part.width == pytest.approx(5, abs=1)
    assert part.certainty == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"level": 115}, "faint: 5 levels"),
        ({"draw": dot(100, 30, 12)}, "wide: 2"),
        ({"faces": (FACE,), "draw": dot(75, 90, 3)}, "face: 100% of it"),
    ],
)
def test_what_fails_a_gate_stays_and_says_why(change: dict, reason: str) -> None:
    (part,) = judged(**({"draw": line(20, 30, 90, 45)} | change))
    assert part.left.startswith(reason)


def test_a_crack_through_an_eye_is_no_part_of_it() -> None:
    (part,) = judged(line(5, 20, 395, 410), faces=(FACE,), side=420)
    assert part.left == ""


def test_an_edge_between_light_and_dark_is_no_mark() -> None:
    """A collar: its line is between its two sides, which differ more than it from either."""
    image = np.full((200, 200, 3), 60, np.uint8)
    image[:, 100:] = 200
    image[:, 98:102] = 240
    marked = np.zeros((200, 200), np.uint8)
    marked[:, 98:102] = 255
    (part,) = components_of(marked, image, (), AUTO)
    assert part.left.startswith("faint:")


def test_the_detector_has_to_be_certain_and_less_so_if_asked() -> None:
    doubtful = {"draw": line(20, 30, 90, 45), "sure": AUTO.certain - 1}
    assert judged(**doubtful) == []
    assert len(judged(**doubtful, thresholds=STRONG)) == 1
    assert judged(dot(9, 9, 0)) == []  # a pixel


def test_among_many_each_has_to_be_more_certain() -> None:
    def comb(mask: np.ndarray) -> None:
        mask[40:80:3, 40:80] = 1

    assert {part.left for part in judged(comb, sure=AUTO.certain)} == {"dense: one of many"}
    assert {part.left for part in judged(comb, sure=255)} == {""}


def test_amid_fine_detail_a_mark_may_be_one_of_it() -> None:
    image = np.full((400, 400, 3), 110, np.uint8)
    image[::6, 200:] = 200  # the right half is striped
    image[::6, 200:][:, ::6] = 110
    marked = np.zeros((400, 400), np.uint8)
    for left in (60, 300):
        image[100:180, left : left + 3] = 240
        marked[100:180, left : left + 3] = 255
    plain, amid = sorted(components_of(marked, image, (), AUTO), key=lambda part: part.box)
    assert plain.left == ""
    assert amid.left.startswith("busy: fine detail around it (")
    assert {part.left for part in components_of(marked, image, (), STRONG)} == {""}


def test_zones_cover_both_eyes_and_the_mouth_and_not_the_forehead() -> None:
    def protected(x: float, y: float) -> bool:
        return any(np.hypot(x - zx, y - zy) < r for zx, zy, r in zones_of(FACE))

    assert all(protected(*point) for point in [*FACE.landmarks, (100, 145)])
    assert not protected(100, 60)


def test_a_component_within_another_ones_ring_is_itself() -> None:
    def ring_and_dot(mask: np.ndarray) -> None:
        cv2.circle(mask, (100, 100), 40, 1, 2)
        cv2.circle(mask, (30, 30), 2, 1, cv2.FILLED)

    areas = sorted(part.area for part in judged(ring_and_dot))
    assert len(areas) == 2
    assert areas[0] < 30


@pytest.mark.parametrize("dilation", [0, 1, 2])
def test_masks_are_dilated_and_stay_inside_the_page(dilation: int) -> None:
    part = Component((0, 0, 2, 2), np.ones((2, 2), bool), Mark.LOSS, 2.0, 1.0)
    mask = mask_of([part], (10, 12), dilation)
    assert mask.shape == (10, 12)
    assert set(np.unique(mask)) == {0, Mark.LOSS}
    assert (mask > 0).sum() == (2 + dilation) ** 2
