import re

import cv2
import numpy as np
import pytest

from faceren.config import Mark
from faceren.faces.face import Face
from faceren.restoration.repair.gates import (
    AUTO,
    CERTAIN,
    STRONG,
    Component,
    components_of,
    zones_of,
)
from faceren.restoration.repair.mask import mask_of

FACE = Face(
    box=(40, 40, 160, 180),
    landmarks=np.array([[75.0, 90], [125, 90], [100, 118], [80, 145], [120, 145]]),
    score=0.99,
)


def judged(draw, *, level=230, sure=255, faces=(), strictness=AUTO, side=200) -> list[Component]:
    """Return the components of one drawn shape on gray, as if the detector had named it."""
    mask = np.zeros((side, side), np.uint8)
    draw(mask)
    image = np.full((side, side, 3), 110, np.uint8)
    image[mask > 0] = level
    marked = np.where(mask > 0, np.uint8(sure), 0).astype(np.uint8)
    return list(components_of(marked, image, faces, strictness))


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
    (part,) = judged(draw, level=level, strictness=STRONG)
    assert (part.mark, part.left) == (mark, "")


def test_a_component_says_where_it_is_and_how_wide() -> None:
    (part,) = judged(lambda m: m.__setitem__((slice(20, 25), slice(30, 90)), 1))
    assert part.box == (30, 20, 90, 25)
    assert part.area == 300
    assert part.width == pytest.approx(5, abs=1)
    assert part.certainty > 0.9


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


def test_a_crack_through_an_eye_is_no_part_of_it_and_auto_fills_it_but_there() -> None:
    crack = {"draw": line(5, 20, 395, 410), "faces": (FACE,), "side": 420}
    (whole,) = judged(**crack, strictness=STRONG)
    (part,) = judged(**crack)
    assert (part.left, whole.left, part.box) == ("", "", whole.box)
    zone = np.zeros((420, 420), np.uint8)
    for x, y, radius in zones_of(FACE):
        cv2.circle(zone, (round(x), round(y)), round(radius), 1, cv2.FILLED)
    assert (mask_of([whole], zone.shape) > 0)[zone > 0].any()
    assert not (mask_of([part], zone.shape) > 0)[zone > 0].any()
    assert 0.7 * whole.area < part.area < whole.area


def test_glasses_that_lie_mostly_around_the_eyes_stay_though_they_run_beyond() -> None:
    def frame(mask: np.ndarray) -> None:
        for x in (75, 125):
            cv2.circle(mask, (x, 90), 20, 1, 2)
        cv2.line(mask, (95, 90), (105, 90), 1, 2)
        cv2.line(mask, (20, 90), (55, 90), 1, 2)

    (part,) = judged(frame, faces=(FACE,))
    assert part.left.startswith("face: ")


def test_an_edge_between_light_and_dark_is_no_mark() -> None:
    """A collar: its line is between its two sides, which differ more than it from either."""
    image = np.full((200, 200, 3), 60, np.uint8)
    image[:, 100:] = 200
    image[:, 98:102] = 240
    marked = np.zeros((200, 200), np.uint8)
    marked[:, 98:102] = 255
    (part,) = components_of(marked, image, (), AUTO)
    assert part.left.startswith("faint: 110 levels, its sides differ by 140")


def test_the_detector_has_to_be_certain_of_some_pixel_and_of_more_than_one() -> None:
    doubtful = {"draw": line(20, 30, 90, 45), "strictness": STRONG}
    assert judged(**doubtful, sure=CERTAIN - 1) == []
    assert len(judged(**doubtful, sure=CERTAIN)) == 1
    assert judged(dot(9, 9, 0)) == []  # a pixel


def test_a_speck_alone_on_smooth_ground_need_not_be_as_likely() -> None:
    """Highlights at the picture's lightest spots make it a tone that is not rare."""
    rng = np.random.default_rng(0)
    marked = np.zeros((200, 200), np.uint8)
    marked[59:62, 59:62] = 255
    for noise, left in ((1, ""), (20, "doubtful")):
        image = np.clip(rng.normal(110, noise, (200, 200)), 0, 255)
        image[100:] = 200
        image = cv2.GaussianBlur(np.where(marked, 150, image), (0, 0), 0.8)
        image = np.repeat(image.round().astype(np.uint8)[..., None], 3, 2)
        (part,) = components_of(marked, image, (), AUTO)
        assert part.certainty < AUTO.likelihood
        assert part.left.split(": ")[0] == left


def test_a_strip_along_the_border_is_paper_and_a_line_that_ends_there_is_none() -> None:
    (strip,) = judged(lambda mask: mask.__setitem__((slice(20, 120), slice(0, 6)), 1))
    assert strip.left.startswith("border: 100 pixels")
    (strip,) = judged(lambda mask: mask.__setitem__((slice(194, 200), slice(20, 120)), 1))
    assert strip.left.startswith("border: 100 pixels")
    (ends,) = judged(lambda mask: mask.__setitem__((slice(0, 100), slice(50, 56)), 1))
    assert not ends.left.startswith("border")


def test_what_is_about_half_likely_stays_unless_asked_for() -> None:
    half = {"draw": line(20, 30, 90, 45), "level": 170, "sure": 165}
    (part,) = judged(**half)
    assert STRONG.likelihood < part.certainty < AUTO.likelihood
    assert re.fullmatch(r"doubtful: \d+% likely a mark", part.left)
    (part,) = judged(**half, strictness=STRONG)
    assert part.left == ""


def test_what_runs_on_from_a_place_that_is_too_wide_is_a_mark_by_itself() -> None:
    def blot_with_arms(mask: np.ndarray) -> None:
        dot(100, 100, 12)(mask)
        line(20, 100, 180, 100)(mask)
        line(100, 112, 100, 120)(mask)  # as long as its rim is frayed

    parts = judged(blot_with_arms, side=400)
    wide, left, right = sorted(parts, key=lambda part: -part.width)
    assert wide.left.startswith("wide: 2")
    assert (left.left, right.left) == ("", "")
    assert (left.box[0], right.box[2]) == (18, 183)
    assert all(part.mark == Mark.LINE and part.width == 5 for part in (left, right))
    assert 82 <= left.box[2] <= 87
    assert 114 <= right.box[0] <= 119


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


@pytest.mark.parametrize("rim", [0, 1, 2])
def test_masks_are_dilated_and_stay_inside_the_page(rim: int) -> None:
    part = Component((0, 0, 2, 2), np.ones((2, 2), bool), Mark.LOSS, 2.0, 1.0, rim=rim)
    mask = mask_of([part], (10, 12))
    assert mask.shape == (10, 12)
    assert set(np.unique(mask)) == {0, Mark.LOSS}
    assert (mask > 0).sum() == (2 + rim) ** 2
