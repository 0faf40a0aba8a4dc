"""How an evaluation is shown and written."""

import csv
import io
from pathlib import Path

from faceren.console import Screen
from faceren.files import atomic_write
from faceren.metrics.results import Evaluation, MetricResult


def show_evaluation(evaluation: Evaluation, screen: Screen) -> None:
    """Show the figures of an evaluation, and everything that kept it from being whole."""
    rows = [
        (name, f"{result.mean:.4f}", _interval(result), str(result.n), result.by)
        for name, result in evaluation.scores.metrics.items()
    ]
    title = f"{evaluation.results}, protocol {evaluation.protocol}"
    screen.table(title, ("metric", "mean", "95 % interval", "N", "by"), rows)
    for warning in evaluation.scores.warnings:
        screen.say(f"warning: {warning}")
    for name, reason in evaluation.scores.not_computed.items():
        screen.error(f"{name}: {reason}")
    for name in evaluation.strays:
        screen.error(f"no twin: {name}")
    for _, reason in evaluation.failures:
        screen.error(reason)


def _interval(result: MetricResult) -> str:
    return "–" if result.ci95 is None else f"{result.ci95[0]:.4f} – {result.ci95[1]:.4f}"


def write_csv(path: Path, evaluation: Evaluation) -> None:
    """Write one row an image with its figures; an empty cell is a figure that is missing."""
    names = [
        n for n in evaluation.scores.metrics if any(n in r.values for r in evaluation.scores.images)
    ]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["path", *names])
    for row in evaluation.scores.images:
        writer.writerow([row.path, *(row.values.get(name, "") for name in names)])
    atomic_write(path, text.getvalue().encode())
