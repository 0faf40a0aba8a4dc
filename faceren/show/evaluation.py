"""How an evaluation is shown."""

from faceren.console import Screen
from faceren.metrics.results import Evaluation
from faceren.report.tables import metrics_table


def show_evaluation(evaluation: Evaluation, screen: Screen) -> None:
    """Show the figures of an evaluation, and everything that kept it from being whole."""
    if not screen.quiet:
        screen.console.print(metrics_table(evaluation))
    for warning in evaluation.scores.warnings:
        screen.say(f"warning: {warning}")
    for metric, reason in evaluation.scores.not_computed.items():
        screen.error(f"{metric}: {reason}")
    for row in evaluation.scores.images:
        for metric, reason in row.failures.items():
            screen.error(f"{row.path}: {metric}: {reason}")
    for name in evaluation.strays:
        screen.error(f"no twin: {name}")
    for path, reason in evaluation.failures:
        screen.error(reason if path in reason else f"{path}: {reason}")
