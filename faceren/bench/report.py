"""What a benchmark found, as one value, and the files it is written to."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from faceren.bench.quality import Quality
from faceren.bench.quoted import MARK, Quoted
from faceren.bench.rows import LeftOut, Row
from faceren.errors import ConfigError
from faceren.files import atomic_write

Kind = TypeVar("Kind")
SECTIONS = ("speed", "degradation", "quality", "left_out")
"""Lists that a report always has; other sections follow where there are rows."""


@dataclass(frozen=True)
class Report:
    """Machine, request, and the rows so far."""

    machine: dict[str, Any]
    request: dict[str, Any]
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

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON values: a list for each section."""
        found: dict[str, Any] = {"machine": self.machine, "request": self.request}
        found |= {section: [] for section in SECTIONS}
        for row in self.rows:
            found.setdefault(row.section, []).append(row.to_json())
        return found


def read_report(path: Path) -> dict[str, Any]:
    """Return a report that an earlier benchmark wrote as JSON.

    Raises:
        ConfigError: If the file is not there, or is none.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"--compare {path}: expected a benchmark.json ({error})") from error
    if not isinstance(report, dict) or not all(isinstance(report.get(s), list) for s in SECTIONS):
        raise ConfigError(
            f"--compare {path}: expected a benchmark.json with the lists {', '.join(SECTIONS)}"
        )
    return report


def write_json(path: Path, report: Report) -> None:
    """Write a report as JSON.

    Raises:
        MachineError: If it cannot be written.
    """
    text = json.dumps(report.to_json(), ensure_ascii=False, indent=1, default=str)
    atomic_write(path, (text + "\n").encode())


def quality_csv(report: Report) -> str:
    """Return every figure of quality on a line of its own, the quoted ones marked."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["task", "method", "kind", "source", "metric", "mean", "low", "high", "n", "by"]
    )
    writer.writerows(_measured(report))
    writer.writerows(_quoted(report))
    return text.getvalue()


def _measured(report: Report) -> Iterator[list[object]]:
    for row in report.of(Quality):
        for metric, found in row.metrics.items():
            low, high = found.ci95 or ("", "")
            figures = [metric, found.mean, low, high, found.n, found.by]
            yield [row.task, row.method, row.kind, "measured", *figures]


def _quoted(report: Report) -> Iterator[list[object]]:
    for row in report.of(Quoted):
        for metric, value in row.metrics.items():
            yield [row.task, row.method, "paper", MARK, metric, value, "", "", "", "Table 1 or 2"]
