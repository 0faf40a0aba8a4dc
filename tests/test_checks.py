"""Values against the types and bounds that stand beside their names."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest

from faceren.checks import Bounds, check_fields, check_value, describe, fits, nearest
from faceren.errors import ConfigError

Share = Annotated[float, Bounds(0, 1)]


@dataclass(frozen=True)
class Lens:
    sigma: Share
    kind: Literal["soft", "sharp"] = "soft"
    centre: tuple[Share, Share] | None = None

    def __post_init__(self):
        check_fields(self)


@pytest.mark.parametrize(
    ("value", "hint", "answer"),
    [
        (3, int, True),
        (True, int, False),
        (3.0, int, False),
        (3, float, True),
        (float("inf"), float, False),
        (float("nan"), float, False),
        (1, bool, False),
        ("a", str, True),
        ("a\0", str, False),
        (Path("a\0"), Path | None, False),
        (Path("a"), Path, True),
        (None, int | None, True),
        ("", int | None, False),
        (1, Share, True),
        (1.01, Share, False),
        (None, Share | None, True),
        (7, Annotated[int, Bounds(1)], True),
        (0, Annotated[int, Bounds(1)], False),
        ("soft", Literal["soft", "sharp"], True),
        (1, Literal[1, 3], True),
        (True, Literal[1, 3], False),
        ((0, 1), tuple[Share, Share], True),
        ([0, 1], tuple[Share, Share], False),
        ((0,), tuple[Share, Share], False),
        ((), tuple[Share, ...], True),
        ((0.5, 2.0), tuple[Share, ...], False),
    ],
)
def test_a_value_fits_its_type(value, hint, answer):
    assert fits(value, hint) is answer


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (bool, "a bool"),
        (Path, "a path"),
        (Share, "float from 0 to 1"),
        (Annotated[int, Bounds(1)], "int of at least 1"),
        (Annotated[int, Bounds(0, 2**32 - 1)], "int from 0 to 4294967295"),
        (Literal["a", 3], "one of 'a', 3"),
        (int | None, "int or nothing"),
        (tuple[Share, Share], "2 values, each float from 0 to 1"),
        (tuple[Share, ...], "several of: float from 0 to 1"),
        (Lens, "a Lens"),
    ],
)
def test_a_type_in_words(hint, words):
    assert describe(hint) == words


def test_a_record_names_the_field_that_does_not_fit():
    assert Lens(0.5, centre=(0, 1)).kind == "soft"
    with pytest.raises(ConfigError, match=r"^Lens\.sigma: expected float from 0 to 1, got 2$"):
        Lens(2)
    with pytest.raises(
        ConfigError, match="Lens.kind: expected one of 'soft', 'sharp', got 'shrap'; did"
    ):
        Lens(0.5, kind="shrap")
    with pytest.raises(ConfigError, match="got 'xyz'$"):
        Lens(0.5, kind="xyz")


def test_a_label_may_replace_the_name():
    with pytest.raises(ConfigError, match="^--size: expected int of at least 1, got 0$"):
        check_value("--size", 0, Annotated[int, Bounds(1)])


def test_nearest_lists_all_when_none_is_close():
    assert nearest("qqq", ["a", "b"]) == "; known: a, b"
    assert nearest("widht", ["width", "depth"]) == "; did you mean 'width'?"


def test_a_value_of_too_many_levels_is_refused_in_a_line():
    value: dict[str, object] = {}
    for _ in range(100_000):
        value = {"a": value}
    with pytest.raises(ConfigError, match="strength: expected float, got a dict of too many"):
        check_value("strength", value, float)
