"""JSON on stdout and in files."""

import json
import sys
from pathlib import Path
from typing import Any

from faceren.files import atomic_write


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object on one line of stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def write_report(target: str, report: dict[str, Any]) -> None:
    """Write a report as JSON to a file, or to stdout if ``target`` is ``-``."""
    if target == "-":
        print_json(report)
    else:
        text = json.dumps(report, ensure_ascii=False, indent=1, default=str)
        atomic_write(Path(target), (text + "\n").encode())
