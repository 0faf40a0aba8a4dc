import numpy as np
import pytest

from faceren.bench.quality.repair import (
    KINDS,
    FalseAlarms,
    Filling,
    FoundMarks,
    false_alarms,
    fillings,
    found_marks,
)


def smooth(side: int = 160) -> np.ndarray:
    down, across = np.mgrid[0:side, 0:side]
    plane = 120 + 50 * np.sin(down / 30) * np.cos(across / 25)
    return np.repeat(plane[..., None], 3, 2).astype(np.uint8)


def test_wider_gaps_are_filled_worse_and_lines_beat_telea_on_smooth_pictures() -> None:
    rows = list(fillings([smooth()]))
    assert {type(row) for row in rows} == {Filling}
    by = {(row.method, row.width): row.db for row in rows if not row.scanned}
    lines = [by["eight directions", width] for width in (1, 2, 5, 12)]
    assert lines == sorted(lines, reverse=True)
    assert all(by["eight directions", w] > by["Telea", w] for w in (1, 2, 5, 12))
    assert rows[0].line().startswith("gaps of 1 px, Telea: ")
    # what a biharmonic equation has as its solution, a smooth picture nearly is
    assert all(by["biharmonic", w] > by["Telea", w] for w in (1, 2, 5, 12))


def test_biharmonic_equations_go_on_with_the_slope_of_a_scanned_mark() -> None:
    by = {(row.method, row.width): row for row in fillings([smooth()]) if row.scanned}
    for width in (2, 5, 12):
        assert by["eight directions", width].db > by["biharmonic", width].db + 1
    assert by["Telea", 5].line().startswith("scanned marks of 5 px, Telea: ")


def test_without_scikit_image_there_is_no_biharmonic_row(monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "biharmonic" not in {row.method for row in fillings([smooth(64)])}


def test_a_picture_of_nothing_gives_no_alarm() -> None:
    rows = list(false_alarms([np.full((96, 96, 3), 128, np.uint8)]))
    assert rows == [
        FalseAlarms("auto", 0.0, 0.0, 0, 0, 1),
        FalseAlarms("strong", 0.0, 0.0, 0, 0, 1),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn_and_counted(kind: str) -> None:
    for row in found_marks([smooth()], kind, 2):
        assert isinstance(row, FoundMarks)
        assert 0 <= row.precision <= 1
        assert 0 <= row.recall <= 1
        assert row.f1 == pytest.approx(
            2 * row.precision * row.recall / max(1e-9, row.precision + row.recall)
        )
