"""Command line: declare options, call one function, show its results."""

import sys
from pathlib import Path
from typing import Annotated

from typer import Exit, Option, Typer, echo

import faceren
from faceren import options as opt
from faceren.assets import DEFAULT_MODEL
from faceren.cli.restore import restore
from faceren.cli.values import number_or_auto
from faceren.errors import FacerenError

INTERRUPTED = 130

app = Typer(
    name="faceren",
    help="Restore faces in old photographs; degrade, train, evaluate, compare.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: it loads in half the time, and reads well in a pipe
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(value: bool) -> None:
    if value:
        echo(f"faceren {faceren.__version__}")
        raise Exit


@app.callback()
def _root(
    version: Annotated[
        bool, Option("--version", "-V", callback=_show_version, is_eager=True, help="Show version.")
    ] = False,
) -> None:
    """Restore faces in old photographs; degrade, train, evaluate, compare."""


app.command()(restore)


@app.command()
def degrade(
    inputs: opt.DegradeInputs,
    output: opt.DegradeOutput = None,
    task: opt.Task = None,
    size: opt.Size = "512",
    copies: opt.Copies = 1,
    replay: opt.Replay = None,
    compat: opt.Compat = None,
    sheet: opt.Sheet = None,
    exclude: opt.Exclude = None,
    overwrite: opt.Overwrite = False,
    max_pixels: opt.MaxPixels = None,
    workers: opt.Workers = 0,
    seed: opt.Seed = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Make damaged twins of clean photos, with a manifest of every drawn parameter."""
    from faceren.commands import degrade as command
    from faceren.console import Screen
    from faceren.images import DEFAULT_MAX_PIXELS
    from faceren.show.degradation import show_degradation

    screen = Screen(quiet=quiet)
    if sheet is not None:
        screen.say(f"wrote {command.sheet(inputs, sheet, seed=seed)}")
        raise Exit
    run = command.degrade(
        inputs,
        output,
        task=task,
        seed=seed,
        size=None if size == "keep" else number_or_auto("--size", size),
        copies=copies,
        replay=replay,
        compat=compat or (),
        exclude=exclude or (),
        overwrite=overwrite,
        workers=workers,
        max_pixels=max_pixels or DEFAULT_MAX_PIXELS,
    )
    raise Exit(show_degradation(run, screen, as_json=as_json))


@app.command()
def train(
    recipe: opt.Recipe,
    output: opt.TrainOutput = None,
    override: opt.Override = None,
    allow_change: opt.AllowChange = False,
    device: opt.Device = "auto",
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Train a network as a recipe says; the same command resumes."""
    from faceren.commands.train import train as run_train
    from faceren.console import Screen
    from faceren.show.training import show_training

    events = run_train(
        recipe, overrides=override or (), output=output, device=device, allow_change=allow_change
    )
    raise Exit(show_training(events, Screen(quiet=quiet), as_json=as_json))


@app.command()
def evaluate(
    results: opt.Results = Path("out"),
    reference: opt.Reference = None,
    metrics: opt.Metrics = None,
    protocol: opt.Protocol = "standard",
    limit: opt.Limit = None,
    json_file: opt.JsonFile = None,
    csv_file: opt.CsvFile = None,
    html_file: opt.HtmlFile = None,
    save_stats: opt.SaveStats = None,
    worst: opt.Worst = 0,
    worst_by: opt.WorstBy = None,
    max_pixels: opt.MaxPixels = None,
    device: opt.Device = "auto",
    quiet: opt.Quiet = False,
) -> None:
    """Score a folder of results against the clean originals."""
    from faceren.commands import evaluate as command
    from faceren.console import Screen
    from faceren.images import DEFAULT_MAX_PIXELS
    from faceren.report.tables import write_csv
    from faceren.show.evaluation import show_evaluation
    from faceren.show.report import write_report

    screen = Screen(quiet=quiet)
    with screen.bar("images") as tell:
        evaluation = command.evaluate(
            results,
            reference=reference,
            metrics=metrics,
            protocol=protocol,
            limit=limit,
            save_stats=save_stats,
            device=device,
            max_pixels=max_pixels or DEFAULT_MAX_PIXELS,
            progress=tell,
        )
    show_evaluation(evaluation, screen)
    if save_stats is not None:
        screen.say(f"wrote {save_stats.with_suffix('.npz')}, the FID statistics of {results}")
    if json_file is not None:
        write_report(json_file, evaluation.to_json())
    if csv_file is not None:
        write_csv(evaluation, csv_file)
    if html_file is not None:
        from faceren.report.evaluation_page import write_evaluation

        write_evaluation(evaluation, html_file)
    if worst:
        sheet = (results if results.is_dir() else results.parent) / "worst.png"
        by = command.write_worst(evaluation, sheet, count=worst, by=worst_by)
        screen.say(f"wrote {sheet}, the worst by {by}")
    raise Exit(evaluation.exit_status)


@app.command()
def benchmark(
    clean: opt.Clean = Path("sample_photos/clean"),
    suite: opt.Suite = "all",
    tasks: opt.Tasks = "sr4x,hallucination,denoise,deblur,jpeg,full,historic",
    model: opt.Model = DEFAULT_MODEL,
    models: opt.Models = None,
    metrics: opt.BenchmarkMetrics = "psnr,ssim,ms-ssim,fed,lle,fid,lpips,niqe",
    size: opt.BenchmarkSize = 512,
    limit: opt.BenchmarkLimit = None,
    output: opt.BenchmarkOutput = Path("benchmark"),
    seconds: opt.Seconds = 3,
    train_folder: opt.TrainFolder = None,
    budget: opt.Budget = 60,
    crops: opt.Crops = None,
    compare: opt.Compare = None,
    fail_on_regression: opt.FailOnRegression = False,
    overwrite: opt.Overwrite = False,
    json_file: opt.BenchmarkJsonFile = None,
    seed: opt.Seed = 0,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    quiet: opt.Quiet = False,
) -> None:
    """Measure quality on degraded clean faces, and speed, on this machine."""
    from faceren.bench.request import Request
    from faceren.console import Screen
    from faceren.show.benchmark import show_benchmark, show_comparison
    from faceren.show.report import write_report

    request = Request(
        clean=clean,
        output=output,
        suite=suite,  # type: ignore[arg-type]  # checked by Request
        tasks=tuple(tasks.split(",")),
        metrics=(metrics,),
        model=model,
        models=tuple(models.split(",")) if models else (),
        size=size,
        limit=limit,
        seconds=seconds,
        budget=budget,
        train=train_folder,
        crops=crops,
        compare=compare,
        overwrite=overwrite,
        seed=seed,
        device=device,
        precision=precision,
    )
    screen = Screen(quiet=quiet)
    report = show_benchmark(request, screen)
    if json_file is not None:
        write_report(json_file, report.to_json())
    worse = show_comparison(request, report, screen)
    raise Exit(int(report.failed or (worse and fail_on_regression)))


def main() -> None:
    """Run the app; an expected error is one line and an exit status, a bug keeps its traceback."""
    try:
        app([_hyphens(argument) for argument in sys.argv[1:]], prog_name="faceren")
    except FacerenError as error:
        _complain(str(error))
        raise SystemExit(error.exit_status) from None
    except SystemExit as exit_:
        if exit_.code == INTERRUPTED:
            _complain("interrupted; the same command goes on where it stopped")
        raise


def _complain(text: str) -> None:
    from faceren.console import Screen

    Screen().error(text)


def _hyphens(argument: str) -> str:
    """Accept the peers' underscores: ``--batch_size=4`` is ``--batch-size=4``."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value
