"""``faceren evaluate``: scores as a table, and as the files that were asked for."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Exit, Option

from faceren.cli.parameters import Quiet
from faceren.cli.screen import Screen, write_json
from faceren.commands.options import EvaluateOptions
from faceren.files import remove_leftovers

if TYPE_CHECKING:
    from faceren.metrics.results import Evaluation

FACES = {"fed", "lle"}
"""Metrics that leave out an image in which dlib finds no face."""
NAMED = 5
"""Images without a face that are named; the report's rows tell all."""


def evaluate(
    *,
    results: Annotated[Path, Argument(help="Folder of results.")] = Path("out"),
    options: EvaluateOptions,
    json: Annotated[
        str | None, Option(help="Write the scores there; - is stdout.", metavar="FILE")
    ] = None,
    csv: Annotated[Path | None, Option(help="Write a row an image there.")] = None,
    html: Annotated[Path | None, Option(help="Write a page of it all there.")] = None,
    worst: Annotated[int, Option(min=0, help="Sheet of the so many worst images.")] = 0,
    worst_by: Annotated[str | None, Option(help="By which metric; default the first.")] = None,
    quiet: Quiet = False,
) -> None:
    """Score a folder of results against the clean originals."""
    from faceren.pages.evaluation_page import write_worst

    screen = Screen(quiet=quiet)
    evaluation = show_progress(results, options, screen)
    show_evaluation(evaluation, screen)
    if options.save_stats is not None:
        stats = options.save_stats.with_suffix(".npz")
        screen.say(f"wrote {stats}, the FID statistics of {results}")
    write_files(evaluation, json, csv, html)
    if worst:
        sheet = (results if results.is_dir() else results.parent) / "worst.png"
        by = write_worst(evaluation, sheet, count=worst, by=worst_by)
        screen.say(f"wrote {sheet}, the worst by {by}")
    raise Exit(evaluation.exit_status)


def show_progress(results: Path, options: EvaluateOptions, screen: Screen) -> "Evaluation":
    """Show how many images are scored; return what came out."""
    from faceren.commands.evaluate import Scored, evaluate

    with screen.bar("images") as on_progress:
        for event in evaluate(results, options):
            if isinstance(event, Scored):
                on_progress(event.done, event.total)
            else:
                evaluation = event
    return evaluation


def show_evaluation(evaluation: "Evaluation", screen: Screen) -> None:
    """Show the figures of an evaluation, and everything that kept it from being whole."""
    from faceren.pages.tables import metrics_table

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


def write_files(
    evaluation: "Evaluation", json: str | None, csv: Path | None, html: Path | None
) -> None:
    """Write the scores to the files that were asked for."""
    from faceren.pages.evaluation_page import write_evaluation
    from faceren.pages.tables import write_csv

    targets = [csv, html, None if json in (None, "-") else Path(str(json))]
    for folder in {target.parent for target in targets if target is not None}:
        remove_leftovers(folder, below=False)
    if json is not None:
        write_json(json, evaluation.to_json())
    if csv is not None:
        write_csv(evaluation, csv)
    if html is not None:
        write_evaluation(evaluation, html)
