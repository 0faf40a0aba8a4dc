"""``faceren restore``: photos, a pipe, the review page, reverts."""

import sys
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Annotated

from typer import Argument, Context, Exit, Option

from faceren.cli.parameters import Json, Output, Quiet
from faceren.cli.screen import Screen
from faceren.commands.options import PIPE, FolderOptions, RunOptions
from faceren.errors import ConfigError, MachineError
from faceren.restoration.options import RestoreOptions

NAMED = 5
"""Files left out that are named; how many there are is said, too."""
NEED_A_FOLDER = {
    *("report", "report_only", "revert", "verify", "json"),
    *(field.name for field in fields(FolderOptions)),
}
"""Options that say what to do with the photos of a folder, or in one."""


def restore(
    context: Context,
    *,
    inputs: Annotated[
        tuple[Path, ...],
        Argument(help="Photos and folders.", metavar="INPUT...", show_default=False),
    ] = (),
    output: Output = None,
    options: RestoreOptions,
    how: RunOptions,
    folder: FolderOptions,
    report: Annotated[bool, Option("--report/--no-report", help="Write OUT/report.html.")] = True,
    report_only: Annotated[
        Path | None, Option(help="Write that page anew, do nothing else.", metavar="OUT")
    ] = None,
    revert: Annotated[
        Path | None, Option(help="File that lists photos and faces to take back.", metavar="LIST")
    ] = None,
    verify: Annotated[
        Path | None,
        Option(
            help="Compare all files with the hashes recorded there; write nothing.", metavar="OUT"
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Restore the faces in photos; everything else stays as it is."""
    screen = Screen(quiet=quiet, as_json=json)
    if PIPE in (*inputs, output):
        refused = _given(context, NEED_A_FOLDER)
        raise Exit(show_stream(inputs, output, options, how, screen, refused))
    if verify is not None:
        raise Exit(show_verification(verify, screen))
    if report_only is not None:
        raise Exit(show_page(report_only, how, screen))
    if output is None:
        raise ConfigError("expected an output folder, got none: add -o OUT")
    if revert is not None:
        raise Exit(show_revert(revert, output, how, screen, with_page=report))
    raise Exit(show_restoration(inputs, output, options, how, folder, screen, with_page=report))


def _given(context: Context, names: set[str]) -> list[str]:
    """Return the options among ``names`` that were given and are not off, as they are spelt."""
    given = []
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        is_given = source is not None and source.name != "DEFAULT"
        if option.name in names and is_given and context.params[option.name]:
            given.append(option.opts[0])
    return given


def show_stream(
    inputs: tuple[Path, ...],
    output: Path | None,
    options: RestoreOptions,
    how: RunOptions,
    screen: Screen,
    refused: list[str],
) -> int:
    """Restore one photo between pipes; return the exit status."""
    from faceren.commands.restore import check_stream, restore_stream

    check_stream(inputs, output, terminal=sys.stdout.isatty(), refused=refused)
    photo = restore_stream(inputs[0], sys.stdin.buffer, sys.stdout.buffer, options, how)
    if photo.status == "failed":
        screen.error(photo.reason)
        return 1
    screen.say(f"{photo.status.replace('_', ' ')}: {len(photo.faces)} faces")
    return 0


def show_page(output: Path, how: RunOptions, screen: Screen) -> int:
    """Write the review page of a run and say what is gone; return the exit status."""
    from faceren.commands.review import review

    written = review(output, max_pixels=how.max_pixels, workers=how.workers)
    for note in written.notes:
        screen.say(f"warning: {note}")
    screen.say(f"{written.photos} photos; wrote {written.page}")
    return 0


def show_verification(output: Path, screen: Screen) -> int:
    """Say what of a run is not as it was recorded; return the exit status."""
    from faceren.commands.verify import verify

    found = verify(output)
    for problem in found.problems:
        screen.error(problem)
    differences, states = 0, Counter[str]()
    for photo in screen.progress(found.results, found.total, "photos"):
        screen.item(photo.to_json())
        differences += len(photo.differences)
        states[photo.input] += 1
        for difference in photo.differences:
            screen.error(difference)
    gone = f", {states['gone']:,} originals are not there" if states["gone"] else ""
    damaged = f", {len(found.problems):,} lines are damaged" if found.problems else ""
    count = "all is as recorded" if not differences else f"{differences:,} files differ"
    screen.say(f"{found.total:,} photos: {count}{gone}{damaged}; in {output}")
    return 1 if differences or found.problems else 0


def show_revert(
    choices: Path, output: Path, how: RunOptions, screen: Screen, *, with_page: bool
) -> int:
    """Put originals back, and say so as it goes on; return the exit status."""
    from faceren.commands.review import revert, review
    from faceren.runs.lists import read_list

    listed = read_list(choices, "--revert")
    run = revert(output, listed, max_pixels=how.max_pixels, workers=how.workers)
    counts: Counter[str] = Counter()
    for taken in screen.progress(run.results, run.total, "photos"):
        counts[taken.status] += 1
        screen.item(taken.line)
        if taken.status == "failed":
            screen.error(taken.reason)
        elif taken.reason:
            screen.say(taken.reason)
    parts = [f"the original is back in {counts['reverted']}"]
    parts += [f"{counts['unchanged']} had it already"] * bool(counts["unchanged"])
    parts += [f"{counts['failed']} failed"] * bool(counts["failed"])
    screen.say(f"{run.total} photos: {', '.join(parts)}; in {output}")
    if with_page:
        screen.say(f"wrote {review(output, check='there').page}")
    return 1 if counts["failed"] else 0


def show_restoration(
    inputs: tuple[Path, ...],
    output: Path,
    options: RestoreOptions,
    how: RunOptions,
    folder: FolderOptions,
    screen: Screen,
    *,
    with_page: bool,
) -> int:
    """Restore photos, say so as it goes on, and write the page; return the exit status."""
    from faceren.commands.restore import restore
    from faceren.commands.review import PagePictures, review
    from faceren.engines import unused_gpu
    from faceren.pages.review import pictures_of

    with_page = with_page and not folder.dry_run
    watcher = PagePictures(pictures_of(output)) if with_page else None
    run = restore(inputs, output, options, how=how, folder=folder, watcher=watcher)
    if run.shipped_samples:
        screen.say("sample_photos is not here: restoring the samples that ship with faceren")
    if how.engine == "auto" and (note := unused_gpu(how.device)):
        screen.say(note)
    for problem in run.problems:
        screen.say(f"warning: {problem}")
    counts: Counter[str] = Counter()
    faces = 0
    try:
        for photo in screen.progress(run.results, run.total, "photos"):
            counts[photo.previous or photo.status] += 1
            counts["unchanged"] += photo.status == "skipped"
            faces += len(photo.faces)
            screen.item(photo.to_json())
            if "failed" in (photo.status, photo.previous):
                screen.error(photo.reason)
            elif photo.status == "planned":
                screen.say(f"would restore {photo.source} to {photo.output}")
            for warning in photo.warnings:
                screen.say(f"warning: {photo.source}: {warning}")
    except (MachineError, OSError):
        done = counts.total() - counts["unchanged"]
        screen.say(f"{done:,} of {run.total:,} photos are done; the same command goes on")
        raise
    if with_page:
        review(output, check="there", max_pixels=how.max_pixels, workers=how.workers)
    screen.say(_summary(run.total, counts, faces, output))
    if run.left_out:
        names = ", ".join(path.name for path in run.left_out[:NAMED])
        names += ", …" if len(run.left_out) > NAMED else ""
        files = "file is" if len(run.left_out) == 1 else "files are"
        screen.say(f"{len(run.left_out):,} {files} of no kind that is restored: {names}")
        screen.item({"left_out": [str(path) for path in run.left_out]})
    return 1 if counts["failed"] else 0


def _summary(total: int, counts: Counter[str], faces: int, output: Path) -> str:
    if counts["planned"]:
        return f"{counts['planned']} of {total} photos would be restored, nothing was done"
    parts = [f"{counts['restored']} restored"]
    parts += [f"{counts['no_face']} without a face"] * bool(counts["no_face"])
    parts += [f"{counts['reverted']} kept as it was"] * bool(counts["reverted"])
    parts += [f"{counts['failed']} failed"] * bool(counts["failed"])
    text = f"{total} photos: {', '.join(parts)}"
    if counts["unchanged"] == total:
        return f"{text}; nothing has changed since the last run, nothing was recomputed"
    if counts["unchanged"]:
        text += f"; {counts['unchanged']} unchanged since the last run"
    return f"{text}; {faces} faces now, in {output}"
