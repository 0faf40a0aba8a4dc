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
    pairs = list(_figures(old, new))
    changes = [change for pair in pairs if (change := pair.change()) is not None]
    rates = 0
    if _place(old) == _place(new):
        for section, before, after in _rates(old, new):
            rates += 1
            changes += _rate_change(section, before, after)
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
        because = self._because()
        if not because or shown[0] == shown[1]:
            return None
        better = (new > old) == (self.metric in HIGHER_IS_BETTER)
        return Change(self.what, *shown, "better" if better else "worse", because)

    def _because(self) -> str:
        if len(self.differences) > 1:
            low, high = mean_interval(self.differences) or (0.0, 0.0)
            if low <= 0 <= high:
                return ""
            return f"the difference of the same {len(self.differences)} faces is no chance"
        intervals = self.old["ci95"], self.new["ci95"]
        if None in intervals:
            return ""
        (a, b), (c, d) = intervals
        apart = not a <= self.new["mean"] <= b and not c <= self.old["mean"] <= d
        return "neither lies in the other's interval" if apart else ""


def _figures(old: Json, new: Json) -> Iterator[_Pair]:
    earlier = _by_name(old)
    same_damage = old.get("request", {}).get("seed") == new.get("request", {}).get("seed")
    for name, row in _by_name(new).items():
        before = earlier.get(name)
        for metric, result in row["metrics"].items() if before else ():
            if before and metric in before["metrics"]:
                differences = _differences(before, row, metric) if same_damage else ()
                what = f"{name}  {metric}"
                yield _Pair(what, metric, before["metrics"][metric], result, differences)


def _differences(old: Json, new: Json, metric: str) -> tuple[float, ...]:
    if set(old["images"]) != set(new["images"]):
        return ()
    pairs = ((old["images"][name], values) for name, values in new["images"].items())
    return tuple(b[metric] - a[metric] for a, b in pairs if metric in a and metric in b)


def _by_name(report: Json) -> dict[str, Json]:
    sections = ("quality", "ablation")
    rows = [row for section in sections for row in report.get(section, []) if "metrics" in row]
    return {f"{row['task']}  {row['method']}": row for row in rows}


def _place(report: Json) -> list[object]:
    machine = report.get("machine", {})
    return [machine.get(name) for name in ("device", "kind", "dtype", "threads")]


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


def _rate_change(what: str, old: Json, new: Json) -> list[Change]:
    changes = []
    spread = (old["iqr_percent"] + new["iqr_percent"]) / 100
    for name, value in new.items():
        before = old.get(name)
        if not name.endswith(RATE) or not before:
            continue
        if abs(value / before - 1) > spread:
            because = f"more than both interquartile ranges, {spread:.0%}"
            verdict: Verdict = "better" if value > before else "worse"
            changes.append(
                Change(f"{what}  {name}", f"{before:.4g}", f"{value:.4g}", verdict, because)
            )
    return changes
