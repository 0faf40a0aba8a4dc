"""What a benchmark found, as one value."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from faceren.bench.quality.suite import Quality
from faceren.bench.rows import LeftOut, Row
from faceren.checks import Json
from faceren.errors import ConfigError

Kind = TypeVar("Kind")
SECTIONS = ("speed", "degradation", "quality", "left_out")
"""Lists that a report always has; other sections follow where there are rows."""


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
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"--compare {path}: expected a benchmark.json ({error})") from error
    if not isinstance(report, dict) or not all(isinstance(report.get(s), list) for s in SECTIONS):
        raise ConfigError(
            f"--compare {path}: expected a benchmark.json with the lists {', '.join(SECTIONS)}"
        )
    return report
