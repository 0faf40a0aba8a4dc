"""The command line of ``restore``: its options, and which of its ways they mean."""

import sys

from typer import Context, Exit

from faceren import options as opt
from faceren.assets import DEFAULT_MODEL
from faceren.cli.values import byte_count, number_or_auto
from faceren.errors import ConfigError

FOLDER_OPTIONS = {
    *("as_json", "boxes", "dry_run", "exclude", "only", "overwrite", "report", "report_only"),
    *("retry_failed", "revert", "save_faces"),
}
"""Parameters that say what to do with the photos of a folder, or in one."""


def restore(
    context: Context,
    inputs: opt.Inputs = None,
    output: opt.Output = None,
    model: opt.Model = DEFAULT_MODEL,
    aligned: opt.Aligned = False,
    faces: opt.Faces = "all",
    min_face: opt.MinFace = 0,
    detector: opt.DetectorName = "tiny",
    detection_threshold: opt.DetectionThreshold = 0.8,
    boxes: opt.Boxes = None,
    rotate: opt.Rotate = "auto",
    strength: opt.Strength = 1,
    min_identity: opt.MinIdentity = None,
    grain: opt.Grain = "auto",
    ensemble: opt.Ensemble = "auto",
    mask: opt.Mask = "auto",
    color: opt.Color = "auto",
    background: opt.Background = "keep",
    scale: opt.Scale = 1,
    file_format: opt.FileFormat = "keep",
    quality: opt.Quality = 95,
    save_faces: opt.SaveFaces = False,
    exclude: opt.Exclude = None,
    only: opt.Only = None,
    overwrite: opt.Overwrite = False,
    retry_failed: opt.RetryFailed = False,
    report: opt.Report = True,
    report_only: opt.ReportOnly = None,
    revert: opt.Revert = None,
    dry_run: opt.DryRun = False,
    max_pixels: opt.MaxPixels = None,
    max_memory: opt.MaxMemory = "2G",
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    batch_size: opt.BatchSize = "auto",
    workers: opt.Workers = 0,
    weights_dir: opt.WeightsDir = None,
    offline: opt.Offline = False,
    seed: opt.Seed = 0,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Restore the faces in photos; everything else stays as it is."""
    from faceren.commands import restore_stream as stream
    from faceren.commands import review
    from faceren.commands.restore import restore as run_restore  # torch loads here
    from faceren.console import Screen
    from faceren.faces.tools import settled_mask
    from faceren.restoration.options import RestoreOptions
    from faceren.runs.lists import photos_only, read_list
    from faceren.show.restoration import show_restoration, show_stream
    from faceren.show.review import show_report, show_revert

    screen, inputs = Screen(quiet=quiet), inputs or []
    if piped := stream.PIPE in (*inputs, output):
        refused = _given(context, FOLDER_OPTIONS)
        stream.check_stream(inputs, output, terminal=sys.stdout.isatty(), refused=refused)
    if report_only is not None:
        raise Exit(show_report(report_only, screen, max_pixels=max_pixels, workers=workers))
    if output is None:
        raise ConfigError("expected an output folder, got none: add -o OUT")
    if revert is not None:
        choices = read_list(revert, "--revert")
        reverts = review.revert(output, choices, max_pixels=max_pixels, workers=workers)
        raise Exit(show_revert(reverts, screen, output, as_json=as_json, with_report=report))
    options = RestoreOptions(
        aligned=aligned,
        faces=faces,  # type: ignore[arg-type]  # checked by RestoreOptions
        min_face=min_face,
        detector=detector,  # type: ignore[arg-type]
        detection_threshold=detection_threshold,
        rotate=rotate,  # type: ignore[arg-type]
        strength=strength,
        min_identity=min_identity,
        grain=grain,  # type: ignore[arg-type]
        ensemble=ensemble,  # type: ignore[arg-type]
        mask=settled_mask(mask, weights_dir),  # type: ignore[arg-type]
        color=color,  # type: ignore[arg-type]
        background=background,  # type: ignore[arg-type]
        scale=scale,  # type: ignore[arg-type]
        format=file_format,  # type: ignore[arg-type]
        quality=quality,
    )
    if piped:
        photo = stream.restore_stream(
            inputs[0],
            sys.stdin.buffer,
            sys.stdout.buffer,
            model=model,
            options=options,
            device=device,
            precision=precision,
            batch_size=number_or_auto("--batch-size", batch_size),
            workers=workers,
            max_pixels=max_pixels,
            max_memory=byte_count("--max-memory", max_memory),
            weights_dir=weights_dir,
            offline=offline,
        )
        raise Exit(show_stream(photo, screen))
    run = run_restore(
        inputs,
        output,
        model=model,
        options=options,
        device=device,
        precision=precision,
        batch_size=number_or_auto("--batch-size", batch_size),
        workers=workers,
        max_pixels=max_pixels,
        max_memory=byte_count("--max-memory", max_memory),
        exclude=exclude or (),
        only=None if only is None else photos_only(read_list(only, "--only"), "--only"),
        overwrite=overwrite,
        retry_failed=retry_failed,
        boxes=boxes,
        weights_dir=weights_dir,
        offline=offline,
        save_faces=save_faces,
        dry_run=dry_run,
        report=report,
    )
    raise Exit(show_restoration(run, screen, output, as_json=as_json))


def _given(context: Context, names: set[str]) -> list[str]:
    """Return the options among ``names`` that were given and are not off, as they are spelt."""
    given = []
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        is_given = source is not None and source.name != "DEFAULT"
        if option.name in names and is_given and context.params[option.name]:
            given.append(option.opts[0])
    return given
