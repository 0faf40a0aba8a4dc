"""Rows: their one form in JSON, and the store that keeps finished ones."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from faceren.bench.rows import LeftOut, Row, RowStore, key_of


@dataclass(frozen=True)
class Measured(Row):
    section: ClassVar[str] = "measured"
    folder: Path
    sizes: tuple[int, ...]
    rate: float | None

    def line(self):
        return "measured"


def test_a_row_is_its_fields_as_json_has_them():
    row = Measured(Path("a/b"), (1, 2), None)
    assert row.to_json() == {"folder": "a/b", "sizes": [1, 2], "rate": None}


def test_what_was_not_measured_says_why():
    row = LeftOut("the plots", "no library")
    assert row.line() == "left out: the plots (no library)"
    assert LeftOut("x", "y", failed=True).line() == "failed: x (y)"
    assert row.to_json() == {"what": "the plots", "why": "no library", "failed": False}


def test_the_store_keeps_rows_and_ignores_torn_ones(tmp_path):
    store = RowStore(tmp_path / "rows")
    assert store.get("k") is None
    store.put("k", {"a": 1.5})
    assert RowStore(tmp_path / "rows").get("k") == {"a": 1.5}
    (tmp_path / "rows" / "k.json").write_text('{"a": 1')
    assert store.get("k") is None


def test_a_key_changes_with_anything():
    key = key_of({"task": "full", "seed": 0})
    assert key == key_of({"seed": 0, "task": "full"})
    assert len({key, key_of({"task": "full", "seed": 1}), key_of({"task": "jpeg", "seed": 0})}) == 3
