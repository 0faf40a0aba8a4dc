"""What a benchmark found, and what got better or worse since an earlier one.

A report is one value, written as Markdown for a person and a model card, and as CSV; of two the
changes count that chance does not explain.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from faceren.bench.quality.ablation import Ablation, OverSeeds
from faceren.bench.quality.suite import MethodRow, Quality
from faceren.bench.request import MARK, REAL_NIQE, LeftOut, Quoted, Row
from faceren.checks import Json, fits
from faceren.errors import ConfigError
from faceren.files import read_bounded
from faceren.metrics.names import HIGHER_IS_BETTER
from faceren.metrics.results import mean_interval
from faceren.pages.tables import arrow, figure, interval, markdown_table

Kind = TypeVar("Kind")
SECTIONS = ("speed", "degradation", "quality", "left_out")
"""Lists that a report always has; other sections follow where there are rows."""
SCORED = ("quality", "ablation")
"""Lists whose rows have the figures of each face."""
RATE = "_per_second"
"""Fields of rows of speed that end so are rates: higher is better."""
LARGEST = 2**28
"""Bytes of a report: some hundred for each face, method and task."""


@dataclass(frozen=True)
class Report:
    """Machine, request, and the rows so far."""

    machine: Json
    request: Json
    rows: list[Row] = field(default_factory=list)

    def of(self, kind: type[Kind]) -> list[Kind]:
        """Return the rows of one class, in order."""
        return [row for row in self.rows if isinstance(row, kind)]

    @property
    def tasks(self) -> list[str]:
        """Return the tasks that have figures of quality, in order."""
        return list(dict.fromkeys(row.task for row in self.of(Quality)))

    @property
    def warnings(self) -> list[str]:
        """Return what to mind, each once."""
        return list(dict.fromkeys(text for row in self.of(Quality) for text in row.warnings))

    @property
    def failed(self) -> bool:
        """Whether something that was asked for failed."""
        return any(row.failed for row in self.of(LeftOut))

    def to_json(self) -> Json:
        """Return the report as plain JSON values: a list for each section."""
        found: Json = {"machine": self.machine, "request": self.request}
        found |= {section: [] for section in SECTIONS}
        for row in self.rows:
            found.setdefault(row.section, []).append(row.to_json())
        return found


def read_report(path: Path) -> Json:
    """Return a report that an earlier benchmark wrote as JSON.

    Raises:
        ConfigError: If the file is not there, or is none.
    """
    try:
        report = json.loads(read_bounded(path, LARGEST).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"--compare {path}: expected a benchmark.json ({error})") from error
    if not isinstance(report, dict) or not all(isinstance(report.get(s), list) for s in SECTIONS):
        raise ConfigError(
            f"--compare {path}: expected a benchmark.json with the lists {', '.join(SECTIONS)}"
        )
    for section, rows in report.items():
        if section in ("machine", "request"):
            good = isinstance(rows, dict)
        else:
            good = isinstance(rows, list) and all(_is_row(row, section) for row in rows)
        if not good:
            raise ConfigError(
                f"--compare {path}: expected a benchmark.json as benchmark wrote it, but what it "
                f"has as {section!r:.60} is not of that kind; take an unchanged one"
            )
    return report


def _is_row(row: object, section: str) -> bool:
    """Say whether all that is compared of a row is what its name says."""
    if not isinstance(row, dict):
        return False
    rates = [value for name, value in row.items() if name.endswith(RATE) and value is not None]
    good = all(map(_is_number, rates)) and _is_number(row.get("iqr_percent", 0))
    if section not in SCORED or "metrics" not in row:
        return good
    named = all(isinstance(row.get(name), str) for name in ("task", "method"))
    metrics: Any = row["metrics"]
    images: Any = row.get("images")
    if not (good and named and _are_objects(metrics) and _are_objects(images)):
        return False
    intervals = [m.get("ci95") for m in metrics.values() if m.get("ci95", 0) is not None]
    return (
        all(_is_number(value) for figures in images.values() for value in figures.values())
        and all(_is_number(figures.get("mean")) for figures in metrics.values())
        and all(isinstance(ends, list) and len(ends) == 2 for ends in intervals)
        and all(_is_number(end) for ends in intervals for end in ends)
    )


def _are_objects(values: Any) -> bool:
    return isinstance(values, dict) and all(isinstance(value, dict) for value in values.values())


def _is_number(value: object) -> bool:
    return isinstance(value, float) or fits(value, float)  # PSNR may be infinite


Table = tuple[list[str], list[list[str]]]
"""Headers and rows."""
QUOTE = (
    f"{MARK}: 5,000 faces of FFHQ, measured by the paper's own code, "
    f"which gives real faces a NIQE of {REAL_NIQE}"
)


def quality_table(rows: Sequence[MethodRow]) -> Table:
    """Return methods against metrics, each figure with its 95 % interval."""
    metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))
    headers = ["method", *(f"{name} {arrow(name)}" for name in metrics)]
    body = []
    for row in rows:
        known = [(name, row.metrics.get(name)) for name in metrics]
        cells = [f"{figure(n, r.mean)} ({interval(n, r)})" if r else "–" for n, r in known]
        body.append([row.method, *cells])
    return headers, body


def quoted_table(rows: Sequence[Quoted]) -> Table:
    """Return the paper's methods against its metrics."""
    metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))
    headers = ["in the paper", *(f"{name} {arrow(name)}" for name in metrics)]
    decimals = {name: 4 if name in ("fed", "lpips") else 3 for name in metrics}  # as printed
    body = [[r.method, *(f"{r.metrics[m]:.{n}f}" for m, n in decimals.items())] for r in rows]
    return headers, body


def plain_table(rows: Sequence[Json]) -> Table:
    """Return the fields of rows, as they are named, numbers with four digits."""
    headers = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[row.get(name, "") for name in headers] for row in rows]
    return headers, [[f"{c:.4g}" if isinstance(c, float) else str(c) for c in row] for row in cells]


def markdown(report: Report) -> str:
    """Return the whole report."""
    facts = "\n".join(f"- {name}: {value}" for name, value in report.machine.items())
    parts = ["# faceren benchmark", facts]
    for task in report.tasks:
        rows = [row for row in report.of(Quality) if row.task == task]
        parts += [f"## {task}, {max(row.n for row in rows)} faces"]
        notes = [f"- {row.method}: {row.note}" for row in rows]
        notes.append(f"- by: {next(iter(rows[0].metrics.values())).by.split(',')[0]}")
        parts += [markdown_table(*quality_table(rows)), "\n".join(notes)]
        paper = [row for row in report.of(Quoted) if row.task == task and row.table == 1]
        if paper:
            parts += [f"Table 1, {QUOTE}:", markdown_table(*quoted_table(paper))]
    if trained := report.of(Ablation):
        parts += [f"## Ablation on the 16× task, {trained_as(trained[0])}"]
        parts += [markdown_table(*ablation_table(trained))]
        if means := report.of(OverSeeds):
            parts += [over_seeds_title(means), markdown_table(*quality_table(means))]
        if paper := [row for row in report.of(Quoted) if row.table == 2]:
            parts += [f"Table 2, {QUOTE}:", markdown_table(*quoted_table(paper))]
    for title, table in other_sections(report).items():
        parts += [f"## {title}", markdown_table(*table)]
    if report.warnings:
        parts += ["## To mind", "\n".join(f"- {text}" for text in report.warnings)]
    absent = report.of(LeftOut)
    if absent:
        parts += ["## Not measured", "\n".join(f"- {row.line()}" for row in absent)]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def other_sections(report: Report) -> dict[str, Table]:
    """Return a table for each section whose rows have no table of their own, by its title."""
    plain: dict[str, list[Json]] = {}
    for row in report.rows:
        if not isinstance(row, Quality | Quoted | LeftOut | Ablation | OverSeeds):
            plain.setdefault(row.section.replace("_", " "), []).append(row.to_json())
    return {title: plain_table(rows) for title, rows in plain.items()}


def trained_as(row: Ablation) -> str:
    """Return what a variant was trained with, which all others were, too."""
    return f"recipe {row.recipe}, {row.steps:,} steps each"


def over_seeds_title(means: Sequence[OverSeeds]) -> str:
    """Return what the figures over several seeds are."""
    return f"Means of {means[0].n} seeds; the 95 % intervals say what another seed may bring"


def ablation_table(rows: Sequence[Ablation]) -> Table:
    """Return the variants against metrics, and what each was trained with."""
    headers, body = quality_table(rows)
    headers[0] = "variant"
    extra = [[f"{row.parameters:,}", f"{row.minutes:.1f}", f"{row.images_seen:,}"] for row in rows]
    lines = [line + more for line, more in zip(body, extra, strict=True)]
    return [*headers, "parameters", "minutes", "images seen"], lines


def quality_csv(report: Report) -> str:
    """Return every figure of quality on a line of its own, the quoted ones marked."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["task", "method", "kind", "source", "metric", "mean", "low", "high", "n", "by"]
    )
    for row in report.of(Quality):
        for metric, found in row.metrics.items():
            low, high = found.ci95 or ("", "")
            figures = [metric, found.mean, low, high, found.n, found.by]
            writer.writerow([row.task, row.method, row.kind, "measured", *figures])
    for line in report.of(Quoted):
        for metric, value in line.metrics.items():
            figures = [metric, value, "", "", "", "Table 1 or 2"]
            writer.writerow([line.task, line.method, "paper", MARK, *figures])
    return text.getvalue()


Verdict = Literal["better", "worse"]


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
    rows = [row for section in SCORED for row in report.get(section, []) if "metrics" in row]
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
