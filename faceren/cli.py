"""Command line: declare options, call one function, show its results."""

import sys
from pathlib import Path
from typing import Annotated

from typer import Argument, Exit, Option, Typer, echo

import faceren
from faceren.errors import ConfigError, FacerenError
from faceren.options import (
    BatchSize,
    Device,
    Json,
    MaxPixels,
    Output,
    Precision,
    Quiet,
    Seed,
    Workers,
)

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


def _number_or_auto(flag: str, value: str) -> int | None:
    if value == "auto":
        return None
    if value.isdigit() and int(value) > 0:
        return int(value)
    raise ConfigError(f"{flag}: expected auto or a positive number, got {value!r}")


def _read_list(path: Path | None) -> list[str] | None:
    if path is None:
        return None
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--only: expected a text file with one photo a line, {error}") from error
    return [line for line in lines if line.strip()]


@app.command()
def restore(
    inputs: Annotated[list[Path], Argument(help="Photos and folders.", metavar="INPUT...")],
    output: Output,
    model: Annotated[
        str, Option("--model", "-m", envvar="FACEREN_MODEL", help="Shipped model or a checkpoint.")
    ] = "compact",
    aligned: Annotated[
        bool, Option("--aligned", envvar="FACEREN_ALIGNED", help="Inputs are aligned face crops.")
    ] = False,
    faces: Annotated[str, Option(envvar="FACEREN_FACES", help="all, largest or center.")] = "all",
    min_face: Annotated[
        float, Option(envvar="FACEREN_MIN_FACE", help="Leave out narrower faces, in pixels.")
    ] = 0,
    detection_threshold: Annotated[
        float, Option(envvar="FACEREN_DETECTION_THRESHOLD", help="Least confidence, 0.01 to 1.")
    ] = 0.8,
    rotate: Annotated[
        str, Option(envvar="FACEREN_ROTATE", help="Find turned faces: auto or off.")
    ] = "auto",
    strength: Annotated[
        float, Option(envvar="FACEREN_STRENGTH", help="Blend: 0 is the input, 1 the restored face.")
    ] = 1,
    color: Annotated[
        str, Option(envvar="FACEREN_COLOR", help="auto, keep or free: whose chroma.")
    ] = "auto",
    file_format: Annotated[
        str, Option("--format", envvar="FACEREN_FORMAT", help="keep, png, jpg, webp or tiff.")
    ] = "keep",
    quality: Annotated[
        int,
        Option(
            envvar="FACEREN_QUALITY", help="Of lossy outputs, 1 to 100; good JPEGs keep their own."
        ),
    ] = 95,
    save_faces: Annotated[
        bool, Option("--save-faces", envvar="FACEREN_SAVE_FACES", help="Keep the crops as well.")
    ] = False,
    exclude: Annotated[
        list[str] | None, Option(envvar="FACEREN_EXCLUDE", help="Glob of paths to leave out.")
    ] = None,
    only: Annotated[
        Path | None, Option(envvar="FACEREN_ONLY", help="File that lists the photos to restore.")
    ] = None,
    overwrite: Annotated[
        bool, Option("--overwrite", envvar="FACEREN_OVERWRITE", help="Do everything anew.")
    ] = False,
    retry_failed: Annotated[
        bool, Option("--retry-failed", envvar="FACEREN_RETRY_FAILED", help="Retry what failed.")
    ] = False,
    dry_run: Annotated[
        bool, Option("--dry-run", envvar="FACEREN_DRY_RUN", help="Say what would be done.")
    ] = False,
    max_pixels: MaxPixels = None,
    device: Device = "auto",
    precision: Precision = "auto",
    batch_size: BatchSize = "auto",
    workers: Workers = 0,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Restore the faces in photos; everything else stays as it is."""
    from faceren.commands.restore import restore as run_restore  # torch loads here
    from faceren.console import Screen
    from faceren.restoration.options import RestoreOptions
    from faceren.show.restoration import show_restoration

    options = RestoreOptions(
        aligned=aligned,
        faces=faces,  # type: ignore[arg-type]  # checked by RestoreOptions
        min_face=min_face,
        detection_threshold=detection_threshold,
        rotate=rotate,  # type: ignore[arg-type]
        strength=strength,
        color=color,  # type: ignore[arg-type]
        format=file_format,  # type: ignore[arg-type]
        quality=quality,
    )
    run = run_restore(
        inputs,
        output,
        model=model,
        options=options,
        device=device,
        precision=precision,
        batch_size=_number_or_auto("--batch-size", batch_size),
        workers=workers,
        max_pixels=max_pixels,
        exclude=exclude or (),
        only=_read_list(only),
        overwrite=overwrite,
        retry_failed=retry_failed,
        save_faces=save_faces,
        dry_run=dry_run,
    )
    raise Exit(show_restoration(run, Screen(quiet=quiet), output, as_json=as_json))


@app.command()
def degrade(
    inputs: Annotated[list[Path], Argument(help="Clean photos and folders.", metavar="INPUT...")],
    output: Annotated[
        Path | None, Option("--output", "-o", envvar="FACEREN_OUTPUT", help="Default INPUT_TASK.")
    ] = None,
    task: Annotated[
        str | None, Option(envvar="FACEREN_TASK", help="full, historic, sr4x, hallucination, …")
    ] = None,
    size: Annotated[
        str, Option(envvar="FACEREN_SIZE", help="Shorter side in pixels, or keep.")
    ] = "512",
    copies: Annotated[int, Option(envvar="FACEREN_COPIES", min=1, help="Outputs a photo.")] = 1,
    replay: Annotated[
        Path | None, Option(envvar="FACEREN_REPLAY", help="Manifest to repeat, byte for byte.")
    ] = None,
    compat: Annotated[
        list[str] | None, Option(envvar="FACEREN_COMPAT", help="Behave like other simulators.")
    ] = None,
    sheet: Annotated[
        Path | None, Option(envvar="FACEREN_SHEET", help="Only write a PNG that shows all tasks.")
    ] = None,
    exclude: Annotated[
        list[str] | None, Option(envvar="FACEREN_EXCLUDE", help="Glob of paths to leave out.")
    ] = None,
    overwrite: Annotated[
        bool, Option("--overwrite", envvar="FACEREN_OVERWRITE", help="Do everything anew.")
    ] = False,
    max_pixels: MaxPixels = None,
    workers: Workers = 0,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
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
        size=None if size == "keep" else _number_or_auto("--size", size),
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
    recipe: Annotated[Path, Argument(help="Recipe, a YAML file.")],
    output: Annotated[
        Path | None, Option("--output", "-o", envvar="FACEREN_OUTPUT", help="Default runs/NAME.")
    ] = None,
    override: Annotated[
        list[str] | None,
        Option("--override", "-O", envvar="FACEREN_OVERRIDE", help="As train.lr=1e-4."),
    ] = None,
    allow_change: Annotated[
        bool,
        Option("--allow-change", envvar="FACEREN_ALLOW_CHANGE", help="Resume with another recipe."),
    ] = False,
    device: Device = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
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
    results: Annotated[Path, Argument(help="Folder of results.")] = Path("out"),
    reference: Annotated[
        Path | None,
        Option(envvar="FACEREN_REFERENCE", help="Clean images, or FID statistics (.npz)."),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        Option(envvar="FACEREN_METRICS", help="psnr,ssim,ms-ssim,fed,lle,fid,lpips,niqe,kid,…"),
    ] = None,
    protocol: Annotated[
        str, Option(envvar="FACEREN_PROTOCOL", help="standard, or paper for its Table 1.")
    ] = "standard",
    limit: Annotated[
        int | None, Option(envvar="FACEREN_LIMIT", min=1, help="The first so many only.")
    ] = None,
    json_file: Annotated[
        str | None, Option("--json", help="Write the report there; - is stdout.", metavar="FILE")
    ] = None,
    csv_file: Annotated[
        Path | None, Option("--csv", envvar="FACEREN_CSV", help="Write a row an image there.")
    ] = None,
    save_stats: Annotated[
        Path | None, Option(envvar="FACEREN_SAVE_STATS", help="Save FID statistics (.npz).")
    ] = None,
    worst: Annotated[
        int, Option(envvar="FACEREN_WORST", min=0, help="Sheet of the so many worst images.")
    ] = 0,
    worst_by: Annotated[
        str | None, Option(envvar="FACEREN_WORST_BY", help="By which metric; default the first.")
    ] = None,
    max_pixels: MaxPixels = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Score a folder of results against the clean originals."""
    from faceren.commands import evaluate as command
    from faceren.console import Screen
    from faceren.images import DEFAULT_MAX_PIXELS
    from faceren.show.evaluation import show_evaluation, write_csv
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
    if json_file is not None:
        write_report(json_file, evaluation.to_json())
    if csv_file is not None:
        write_csv(csv_file, evaluation)
    if worst:
        sheet = (results if results.is_dir() else results.parent) / "worst.png"
        by = command.write_worst(evaluation, sheet, count=worst, by=worst_by)
        screen.say(f"wrote {sheet}, the worst by {by}")
    raise Exit(evaluation.exit_status)


@app.command()
def benchmark(
    clean: Annotated[Path, Argument(help="Folder of aligned clean faces.")] = Path(
        "sample_photos/clean"
    ),
    suite: Annotated[str, Option(envvar="FACEREN_SUITE", help="quality, speed or all.")] = "all",
    tasks: Annotated[
        str, Option(envvar="FACEREN_TASKS", help="Tasks of degrade, split by commas.")
    ] = "full",
    model: Annotated[
        str, Option("--model", "-m", envvar="FACEREN_MODEL", help="Shipped model or a checkpoint.")
    ] = "compact",
    metrics: Annotated[
        str, Option(envvar="FACEREN_METRICS", help="Metrics of evaluate, split by commas.")
    ] = "psnr,ssim,lpips",
    limit: Annotated[
        int | None, Option(envvar="FACEREN_LIMIT", min=1, help="The first so many faces only.")
    ] = None,
    output: Annotated[
        Path, Option("--output", "-o", envvar="FACEREN_OUTPUT", help="Folder to write to.")
    ] = Path("benchmark"),
    seconds: Annotated[
        float, Option(envvar="FACEREN_SECONDS", help="Least time for each figure of speed.")
    ] = 3,
    json_file: Annotated[
        str | None, Option("--json", help="Write the figures there; - is stdout.", metavar="FILE")
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    quiet: Quiet = False,
) -> None:
    """Measure quality on degraded clean faces, and speed, on this machine."""
    from faceren.commands import benchmark as command
    from faceren.console import Screen
    from faceren.show.benchmark import show_benchmark
    from faceren.show.report import write_report

    request = command.Request(
        clean=clean,
        output=output,
        suite=suite,  # type: ignore[arg-type]  # checked by Request
        tasks=tuple(tasks.split(",")),
        metrics=(metrics,),
        model=model,
        limit=limit,
        seconds=seconds,
        seed=seed,
        device=device,
        precision=precision,
    )
    report = show_benchmark(request, Screen(quiet=quiet))
    write_report(str(output / "benchmark.json"), report)
    if json_file is not None:
        write_report(json_file, report)


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
