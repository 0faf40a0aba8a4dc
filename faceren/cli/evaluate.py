"""``faceren evaluate``: scores as a table, and as the files that were asked for."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Exit, Option

from faceren.cli.parameters import Verbose
from faceren.cli.screen import Screen, ScreenOptions, check_figures, write_json
from faceren.commands.options import EvaluateOptions
from faceren.files import remove_leftovers
from faceren.runs.storage import STORED, Storage, is_stored, spelled

if TYPE_CHECKING:
    from faceren.metrics.results import Evaluation

LIST = "list"
"""In place of a name: show all of them."""
METRIC_WORDS = {
    "psnr": "decibels between result and reference",
    "ssim": "structural similarity to the reference",
    "ms-ssim": "the same at five sizes",
    "fed": "distance of dlib's face embeddings from the reference's",
    "lle": "pixels between landmarks of result and reference",
    "fid": "distance of two sets of images, as Inception sees them",
    "lpips": "perceptual distance from the reference",
    "niqe": "how unnatural an image looks by itself",
    "kid": "as FID, without bias among few images",
    "identity": "identity distance from the input, as the manifest has it",
}
FACES = {"fed", "lle"}
"""Metrics that leave out an image in which dlib finds no face."""
NAMED = 5
"""Images without a face that are named; the report's rows tell all."""


def evaluate(
    *,
    results: Annotated[Path, Argument(help="Folder of results."), STORED] = Path("out"),
    options: EvaluateOptions,
    json_file: Annotated[Path | None, Option(help="Write the scores there."), STORED] = None,
    csv: Annotated[Path | None, Option(help="Write a row an image there."), STORED] = None,
    html: Annotated[Path | None, Option(help="Write a page of it all there."), STORED] = None,
    worst: Annotated[int, Option(min=0, help="Sheet of the so many worst images.")] = 0,
    worst_by: Annotated[str | None, Option(help="By which metric; default the first.")] = None,
    verbose: Verbose = False,
    shown: ScreenOptions,
) -> None:
    """Score a folder of results against the clean originals."""
    from faceren.metrics.pairing import SHEET_NAME
    from faceren.pages.tables import write_worst
    from faceren.runs.disk_or_store import Files, written

    screen = shown.screen()
    if options.metrics == (LIST,):
        raise Exit(show_metrics(screen))
    for option, file in (("--json-file", json_file), ("--csv", csv), ("--html", html)):
        check_figures(option, file)
    for path in (json_file, csv, html, options.save_stats):
        if path is not None and is_stored(path):
            Storage(path.parent)  # what is not installed for it is said before the work
    evaluation = show_progress(results, options, screen)
    show_evaluation(evaluation, screen, verbose=verbose)
    screen.item(evaluation.to_json())
    if options.save_stats is not None:
        stats = spelled(options.save_stats.with_suffix(".npz"))
        screen.say(f"wrote {stats}, the FID statistics of {spelled(results)}")
    write_files(evaluation, json_file, csv, html)
    if worst:
        folder = results if Files([results]).is_folder(results) else results.parent
        with written(folder / SHEET_NAME) as sheet:
            by = write_worst(evaluation, sheet, count=worst, by=worst_by)
        screen.say(f"wrote {spelled(folder / SHEET_NAME)}, the worst by {by}")
    raise Exit(evaluation.exit_status)


def show_metrics(screen: Screen) -> int:
    """List the metrics by name; return the exit status."""
    from faceren.metrics.names import METRICS, PAIRED, PAPER_METRICS
    from faceren.pages.tables import arrow

    for name in METRICS:
        needs, paper = name in PAIRED, name in PAPER_METRICS
        screen.item({"metric": name, "needs_references": needs, "paper": paper})
        if not screen.as_json:
            said = f"{name:<9}{arrow(name)}  {METRIC_WORDS[name]}"
            screen.show([said + ("; needs references" if needs else "")])
    return 0


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


def show_evaluation(evaluation: "Evaluation", screen: Screen, *, verbose: bool = False) -> None:
    """Show the figures of an evaluation, and everything that kept it from being whole."""
    from faceren.pages.tables import metrics_table

    scores = evaluation.scores
    if not screen.quiet and (scores.metrics or scores.not_computed):
        screen.table(metrics_table(evaluation))
    for metric, result in scores.metrics.items() if verbose else ():
        screen.say(f"{metric}: {result.by}")
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
    evaluation: "Evaluation", json: Path | None, csv: Path | None, html: Path | None
) -> None:
    """Write the scores to the files that were asked for."""
    from faceren.pages.tables import write_csv, write_evaluation
    from faceren.runs.disk_or_store import written

    targets = [target for target in (csv, html, json) if target is not None]
    for folder in {target.parent for target in targets if not is_stored(target)}:
        remove_leftovers(folder, below=False)
    if json is not None:
        with written(json) as place:
            write_json(place, evaluation.to_json())
    if csv is not None:
        with written(csv) as place:
            write_csv(evaluation, place)
    if html is not None:
        with written(html) as place:
            write_evaluation(evaluation, place)
