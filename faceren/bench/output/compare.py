"""What got better or worse between two benchmarks, beyond what chance explains."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from faceren.checks import Json
from faceren.metrics.names import HIGHER_IS_BETTER
from faceren.metrics.results import mean_interval
from faceren.pages.tables import figure

Verdict = Literal["better", "worse"]
RATE = "_per_second"
"""Fields of rows of speed that end so are rates: higher is better."""


@dataclass(frozen=True)
class Change:
    """One figure that changed."""

    what: str
    """Task, method and metric; or model, sizes and rate."""
    old: str
    new: str
    verdict: Verdict
    because: str
    """Why this is no chance."""

    def line(self) -> str:
        """Return the change in a sentence."""
        return f"{self.verdict}: {self.what}  {self.old} → {self.new} ({self.because})"


@dataclass(frozen=True)
class Comparison:
    """Everything that two reports say of each other."""

    changes: tuple[Change, ...]
    compared: int
    """Figures that both reports have."""
    notes: tuple[str, ...]
    """What could not be compared, and why."""

    @property
    def regressions(self) -> list[Change]:
        """What got worse."""
        return [change for change in self.changes if change.verdict == "worse"]


def compare(old: Json, new: Json) -> Comparison:
    """Compare two reports, as ``Report.to_json`` gives them.

    A figure of quality has changed if the mean difference of the same faces has a 95 % interval
    without zero; where the faces are not the same, or the figure is one of a set (FID), if neither
    mean lies in the other's interval. A rate has changed if the difference exceeds both
    interquartile ranges together; rates of different machines are not compared. What looks the same
    in print has not changed.

    Args:
        old: The earlier report.
        new: The later one.
    """
    notes: list[str] = []
    ways = [report.get("request", {}).get("protocol", "standard") for report in (old, new)]
    pairs = list(_figures(old, new)) if ways[0] == ways[1] else []
    if ways[0] != ways[1]:
        notes.append(f"quality: not compared, the protocols are {ways[0]} and {ways[1]}")
    changes = [change for pair in pairs if (change := pair.change()) is not None]
    rates = 0
    before, after = (report.get("machine", {}) for report in (old, new))
    if all(before.get(n) == after.get(n) for n in ("device", "kind", "dtype", "threads")):
        for what, *rows in _rates(old, new):
            rates += 1
            changes += _rate_changes(what, *rows)
    else:
        notes.append("speed: not compared, the reports come from different machines or settings")
    earlier, later = _by_name(old), _by_name(new)
    notes += [f"{name}: only in the earlier report" for name in earlier if name not in later]
    notes += [f"{name}: only in this report" for name in later if name not in earlier]
    return Comparison(tuple(changes), len(pairs) + rates, tuple(notes))


@dataclass(frozen=True)
class _Pair:
    """One figure of quality in both reports."""

    what: str
    metric: str
    old: Json
    new: Json
    differences: tuple[float, ...]
    """New minus old, face by face; empty if the faces are not the same."""

    def change(self) -> Change | None:
        old, new = self.old["mean"], self.new["mean"]
        shown = figure(self.metric, old), figure(self.metric, new)
        if shown[0] == shown[1]:
            return None
        if len(self.differences) > 1:
            low, high = mean_interval(self.differences) or (0.0, 0.0)
            apart = not low <= 0 <= high
            because = f"the difference of the same {len(self.differences)} faces is no chance"
        elif self.old["ci95"] is None or self.new["ci95"] is None:
            return None
        else:
            (a, b), (c, d) = self.old["ci95"], self.new["ci95"]
            apart = not a <= new <= b and not c <= old <= d
            because = "neither lies in the other's interval"
        if not apart:
            return None
        better = (new > old) == (self.metric in HIGHER_IS_BETTER)
        return Change(self.what, *shown, "better" if better else "worse", because)


def _figures(old: Json, new: Json) -> Iterator[_Pair]:
    earlier = _by_name(old)
    same_damage = old.get("request", {}).get("seed") == new.get("request", {}).get("seed")
    for name, row in _by_name(new).items():
        before = earlier.get(name)
        if before is None:
            continue
        same = same_damage and set(before["images"]) == set(row["images"])
        twins = [(before["images"][face], row["images"][face]) for face in row["images"] if same]
        for metric in row["metrics"]:
            if metric in before["metrics"]:
                known = [(a[metric], b[metric]) for a, b in twins if metric in a and metric in b]
                differences = tuple(b - a for a, b in known)
                figures = before["metrics"][metric], row["metrics"][metric]
                yield _Pair(f"{name}  {metric}", metric, *figures, differences)


def _by_name(report: Json) -> dict[str, Json]:
    sections = ("quality", "ablation")
    rows = [row for section in sections for row in report.get(section, []) if "metrics" in row]
    return {f"{row['task']}  {row['method']}": row for row in rows}


def _rates(old: Json, new: Json) -> Iterator[tuple[str, Json, Json]]:
    """Yield the rows with a rate and a spread that both reports have."""
    for section, rows in new.items():
        if not isinstance(rows, list):
            continue
        earlier = {_identity(row): row for row in old.get(section, [])}
        for row in rows:
            if "iqr_percent" in row and _identity(row) in earlier:
                yield _identity(row), earlier[_identity(row)], row


def _identity(row: Json) -> str:
    """Return what a row measured: its names and whole numbers, but for the repeats."""
    named = {k: v for k, v in row.items() if isinstance(v, str | int) and k != "repeats"}
    return "  ".join(f"{k} {v}" for k, v in named.items())


def _rate_changes(what: str, old: Json, new: Json) -> Iterator[Change]:
    """Yield the rates of a row that differ by more than both spreads."""
    spread = (old["iqr_percent"] + new["iqr_percent"]) / 100
    for name, value in new.items():
        before = old.get(name)
        if name.endswith(RATE) and before and abs(value / before - 1) > spread:
            shown = f"{before:.4g}", f"{value:.4g}"
            verdict: Verdict = "better" if value > before else "worse"
            because = f"more than both interquartile ranges, {spread:.0%}"
            yield Change(f"{what}  {name}", *shown, verdict, because)
