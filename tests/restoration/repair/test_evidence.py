from dataclasses import fields

import numpy as np
import pytest

from faceren.restoration.repair.evidence import (
    BIAS,
    LARGEST,
    RIM,
    SPECK,
    UNKNOWN,
    WEIGHTS,
    WIDEST_RIM,
    Evidence,
    alone,
    gathered,
    ground_of,
    likelihood,
    rim_of,
)

FOR_A_MARK = ("certainty", "width", "span", "edge", "stir", "rough", "meaning")


def gray(plane) -> np.ndarray:
    return np.repeat(np.asarray(plane, np.uint8)[..., None], 3, 2)


def found(plane, box, *, view=lambda page: page):
    """Return what is measured of all of a box, and its contrast; the page may be a turned view."""
    x0, y0, x1, y1 = box
    candidates = np.zeros(plane.shape, np.uint8)
    candidates[y0:y1, x0:x1] = 1
    ground = ground_of(view(gray(plane)), candidates)
    pixels = np.ones((y1 - y0, x1 - x0), bool)
    return gathered(ground, box, pixels, certainty=0.9, width=3.0, busy=0.02, meaning=6.0)


def test_measures_are_what_a_pencil_says() -> None:
    """A line of 3 pixels and 200 levels between 80 and 100, in a page of 50 x 100."""
    plane = np.full((50, 100), 80)
    plane[:, 41:] = 100
    plane[10:40, 38:41] = 200
    plane[:5] = 250  # a tenth is lighter
    evidence, contrast = found(plane, (38, 10, 41, 40))
    assert contrast == pytest.approx(110, abs=0.1)
    assert np.exp(evidence.sides) - 1 == pytest.approx(20, abs=0.1)
    assert np.exp(evidence.rare) - 0.003 == pytest.approx(0.1, abs=1e-6)
    assert np.exp(evidence.span) - 0.003 == pytest.approx(np.hypot(3, 30) / 50)
    assert np.exp(evidence.width) - 1 == pytest.approx(3)
    assert np.exp(evidence.busy) - 0.01 == pytest.approx(0.02)
    assert evidence.certainty == pytest.approx(np.log(0.91 / 0.11))
    assert evidence.meaning == 6
    assert np.exp(evidence.edge) - 1 == pytest.approx(120 / 2, abs=1)  # half in each of two pixels
    assert np.exp(evidence.contrast) - 1 == pytest.approx(110, abs=0.1)


def test_a_dark_mark_differs_downwards_and_is_rare_among_the_dark() -> None:
    plane = np.full((50, 100), 120)
    plane[10:40, 38:41] = 30
    plane[:10] = 10
    evidence, contrast = found(plane, (38, 10, 41, 40))
    assert contrast == pytest.approx(-90, abs=0.1)
    assert np.exp(evidence.rare) - 0.003 == pytest.approx(0.2, abs=1e-6)


def test_the_rest_of_a_line_of_which_a_piece_is_named_is_its_rival() -> None:
    """Around a piece of 100 pixels, to 9 pixels away, 2 x 3 x 7 pixels are line, of some 1,600."""
    plane = np.full((160, 60), 80)
    plane[30:130, 30:33] = 180
    whole, _ = found(plane, (30, 30, 33, 130))
    plane[:] = 80
    plane[5:155, 30:33] = 180
    piece, _ = found(plane, (30, 30, 33, 130))
    assert (whole.rivals, whole.stir, whole.rough) == (0, 0, 0)
    assert piece.rivals == pytest.approx(1, abs=0.01)
    assert np.exp(piece.rough) - 1 == pytest.approx(100 * 42 / 1620, abs=0.5)
    assert piece.stir == 0
    odds = [likelihood(one) / (1 - likelihood(one)) for one in (piece, whole)]
    assert odds[0] < 0.5 * odds[1]


def test_of_what_fills_its_page_no_surroundings_are_known() -> None:
    plane = np.full((6, 6), 200)
    evidence, _ = found(plane, (0, 0, 6, 6))
    assert (evidence.rivals, evidence.stir) == UNKNOWN[:2]


def test_a_turned_view_is_measured_as_its_copy() -> None:
    rng = np.random.default_rng(0)
    plane = rng.integers(60, 120, (80, 90))
    plane[30:33, 20:60] = 240
    turned = found(np.ascontiguousarray(plane[::-1]), (20, 47, 60, 50))
    assert found(plane, (20, 47, 60, 50), view=lambda page: page[::-1])[0] == turned[0]


def test_of_a_component_as_large_as_a_page_a_part_is_measured() -> None:
    plane = np.full((40, 2 * LARGEST), 80)
    plane[20:23] = 200
    evidence, contrast = found(plane, (0, 20, 2 * LARGEST, 23))
    assert contrast == pytest.approx(120, abs=0.1)
    assert evidence.span == pytest.approx(np.log(2 * LARGEST / 40 + 0.003), abs=1e-3)


@pytest.mark.parametrize("name", [field.name for field in fields(Evidence)])
def test_each_measure_weighs_as_it_should(name: str) -> None:
    """Certain, long, sharp for its contrast, near much that is half as different: a mark.

    Amid detail, at an edge, of a common tone, near a few pixels that are its like: a thing.
    """
    nothing = Evidence(*[0.0] * len(fields(Evidence)))
    assert likelihood(nothing) == pytest.approx(1 / (1 + np.exp(-BIAS)))
    more = likelihood(Evidence(**{**vars(nothing), name: 1.0}))
    assert (more > likelihood(nothing)) == (name in FOR_A_MARK)
    assert np.log(more / (1 - more)) == pytest.approx(BIAS + getattr(WEIGHTS, name))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"side": SPECK + 1}, False),
        ({"noise": 6.0}, False),
        ({"beside": True}, False),
        ({"contrast": 8.0}, False),
    ],
)
def test_a_speck_is_alone_where_its_ground_is_smooth(change: dict, expected: bool) -> None:
    asked = {"side": 3, "noise": 1.0, "beside": False, "contrast": 40.0} | change
    plane = np.random.default_rng(0).normal(110, asked["noise"], (60, 60))
    if asked["beside"]:
        plane[20:30, 40:44] = 150
    side = asked["side"]
    box, pixels = (25, 25, 25 + side, 25 + side), np.ones((side, side), bool)
    ground = ground_of(gray(plane), np.zeros((60, 60), np.uint8))
    assert alone(ground, box, pixels, asked["contrast"]) is expected
    assert alone(ground, box, pixels, -asked["contrast"]) is expected


@pytest.mark.parametrize("halo", [0, 1, 2, 4])
def test_the_rim_reaches_as_far_as_the_halo(halo: int) -> None:
    """A line of 3 pixels; one more on each side is its soft rim, in any case."""
    plane = np.random.default_rng(0).normal(110, 4, (80, 80))
    outer = 1 + halo
    plane[38 - outer : 41 + outer, 20 - outer : 60 + outer] -= 12
    plane[37:42, 19:61] = 160
    plane[38:41, 20:60] = 240
    candidates = np.zeros(plane.shape, np.uint8)
    candidates[38:41, 20:60] = 1
    candidates[60:62, 20:60] = 1  # another mark, which is no halo
    plane[60:62, 20:60] = 240
    ground = ground_of(gray(plane), candidates)
    line = (20, 38, 60, 41), np.ones((3, 40), bool)
    assert rim_of(ground, *line, 130.0) == min(RIM + halo, WIDEST_RIM)
    assert rim_of(ground, *line, -130.0) == RIM  # around a dark mark it were no halo


def test_where_two_sides_differ_there_is_no_halo() -> None:
    plane = np.full((80, 80), 60)
    plane[40:] = 180
    plane[38:41, 20:60] = 240
    ground = ground_of(gray(plane), (plane == 240).astype(np.uint8))
    assert rim_of(ground, (20, 38, 60, 41), np.ones((3, 40), bool), 60.0) == RIM
