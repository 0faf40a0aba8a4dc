"""How an evaluation is shown."""

from faceren.console import Screen
from faceren.metrics.results import Evaluation
from faceren.report.tables import metrics_table

FACES = {"fed", "lle"}
"""Metrics that leave out an image in which dlib finds no face."""
NAMED = 5
"""Images without a face that are named; the report's rows tell all."""


def show_evaluation(evaluation: Evaluation, screen: Screen) -> None:
    """Show the figures of an evaluation, and everything that kept it from being whole."""
    scores = evaluation.scores
    if not screen.quiet and (scores.metrics or scores.not_computed):
        screen.console.print(metrics_table(evaluation))
    for warning in scores.warnings:
        screen.say(f"warning: {warning}")
    for metric in sorted(FACES & scores.metrics.keys()):
        without = [row.path for row in scores.images if metric not in row.values]
        if without:
            more = f" and {len(without) - NAMED} more" if len(without) > NAMED else ""
            screen.say(
                f"{metric}: no face found, not in the mean: {', '.join(without[:NAMED])}{more}"
            )
    for metric, reason in scores.not_computed.items():
        screen.error(f"{metric}: {reason}")
    for row in scores.images:
        for metric, reason in row.failures.items():
            screen.error(f"{row.path}: {metric}: {reason}")
    for name in evaluation.strays:
        screen.error(f"no twin: {name}")
    for path, reason in evaluation.failures:
        screen.error(reason if path in reason else f"{path}: {reason}")
