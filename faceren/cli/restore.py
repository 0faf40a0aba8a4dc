"""``faceren restore``: a folder of photos, one photo, a pipe."""

import sys
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Context, Exit, Option

from faceren.cli.open import show_open
from faceren.cli.parameters import SETTINGS_NAME, Output, given_by, settings_for
from faceren.cli.screen import Screen, ScreenOptions, counted
from faceren.cli.undo import reviewed, show_merge, show_page, show_revert, show_verification
from faceren.commands.options import MACHINE, PIPE, FolderOptions, PageOptions, RunOptions
from faceren.errors import ConfigError, MachineError
from faceren.restoration.options import EVERYDAY, Preset, RestoreOptions
from faceren.runs.storage import STORED, is_stored, spelled

if TYPE_CHECKING:  # --help does without it
    from faceren.commands.restore import RestoreRun

NAMED = 5
"""Files left out that are named; how many there are is said, too."""
NEED_A_FOLDER = {
    "json",
    "cluster",
    *(field.name for kind in (FolderOptions, PageOptions) for field in fields(kind)),
}
"""Options that say what to do with the photos of a folder, or in one."""


def restore(
    context: Context,
    *,
    inputs: Annotated[
        tuple[Path, ...],
        Argument(help="Photos and folders.", metavar="INPUT...", show_default=False),
        STORED,
    ] = (),
    output: Output = None,
    preset: Annotated[
        Preset,
        Option(
            help="gentle: --strength 0.6 --max-identity-distance 0.25; strong: --faces all "
            "--grain off. What is given beside it counts.",
            rich_help_panel=EVERYDAY,
        ),
    ] = "normal",
    options: RestoreOptions,
    how: RunOptions,
    folder: FolderOptions,
    config: Annotated[
        Path | None,
        Option(
            help=f"Options in a TOML file; a {SETTINGS_NAME} beside the inputs is found by itself.",
            metavar="FILE",
            rich_help_panel=MACHINE,
        ),
    ] = None,
    page: PageOptions,
    shown: ScreenOptions,
) -> None:
    """Restore the faces in photos; everything else stays as it is."""
    screen = shown.screen()
    given = given_by(context)
    settings = settings_for(inputs, config, preset if "preset" in given else None, given)
    options, how = settings.over(options), settings.over(how)
    folder = settings.over(folder)
    if settings.said:
        screen.say(f"settings of {settings.said}")
    if PIPE in (*inputs, output):
        refused = [flag for name, flag in given.items() if name in NEED_A_FOLDER]
        raise Exit(show_stream(inputs, output, options, how, screen, refused))
    _look_back(inputs, output, page, how, screen)
    if output is None:
        raise ConfigError(_no_output(inputs))
    if page.revert is not None:
        raise Exit(show_revert(page.revert, output, how, screen, with_page=page.report))
    if _is_one_file(inputs, output):
        allowed = {"overwrite", "json"}
        refused = [flag for name, flag in given.items() if name in NEED_A_FOLDER - allowed]
        raise Exit(show_file(inputs[0], output, options, how, screen, refused, folder.overwrite))
    status = show_restoration(inputs, output, options, how, folder, screen, with_page=page.report)
    if page.open_page and not folder.dry_run and not folder.shard:
        show_open(output, options, how, screen)
    raise Exit(status)


def _look_back(
    inputs: tuple[Path, ...],
    output: Path | None,
    page: PageOptions,
    how: RunOptions,
    screen: Screen,
) -> None:
    """Do what is asked of earlier runs instead of a new one, if anything is; that ends it."""
    if output is not None and page.open_page and is_stored(output):
        raise ConfigError(f"--open: expected an output folder on a disk, got {spelled(output)}")
    if page.verify is not None:
        raise Exit(show_verification(page.verify, screen))
    if page.report_only is not None:
        raise Exit(show_page(page.report_only, how, screen))
    if page.merge:
        merged, status = show_merge(inputs, output, "restore", screen)
        if page.report:
            written = reviewed(merged, how, "there")
            screen.say(f"look at {spelled(written.page)}")
        raise Exit(status)


def _is_one_file(inputs: tuple[Path, ...], output: Path) -> bool:
    """Say whether one photo is to become one file, not a file in a folder."""
    from faceren.images.checks import SUFFIXES  # loads NumPy, which --help does without

    one = len(inputs) == 1 and not inputs[0].is_dir()
    return one and output.suffix.lower() in SUFFIXES and not output.is_dir()


def _no_output(inputs: tuple[Path, ...]) -> str:
    """Return what to do where no output folder was named."""
    said = "expected an output folder, got none: add -o OUT"
    if len(inputs) > 1 and (inputs[-1].is_dir() or not inputs[-1].exists()):
        last = spelled(inputs[-1])
        return f"{said}; if {last} is to be that folder, write -o {last}"
    return said


def show_stream(
    inputs: tuple[Path, ...],
    output: Path | None,
    options: RestoreOptions,
    how: RunOptions,
    screen: Screen,
    refused: list[str],
) -> int:
    """Restore one photo between pipes; return the exit status."""
    from faceren.commands.one import check_stream, restore_stream

    check_stream(inputs, output, terminal=sys.stdout.isatty(), refused=refused)
    photo = restore_stream(inputs[0], sys.stdin.buffer, sys.stdout.buffer, options, how)
    if photo.status == "failed":
        screen.error(photo.reason)
        return 1
    screen.say(f"{photo.status.replace('_', ' ')}: {counted(len(photo.faces), 'face')}")
    return 0


def show_file(
    source: Path,
    target: Path,
    options: RestoreOptions,
    how: RunOptions,
    screen: Screen,
    refused: list[str],
    overwrite: bool,
) -> int:
    """Restore one photo into one file; return the exit status."""
    from faceren.commands.one import restore_file

    if refused:
        needs = "needs" if len(refused) == 1 else "need"
        raise ConfigError(f"{', '.join(refused)} {needs} an output folder, got -o {target}")
    with screen.loading():
        photo = restore_file(source, target, options, how, overwrite=overwrite)
    screen.item(photo.to_json())
    if photo.status == "failed":
        screen.error(photo.reason)
        return 1
    for warning in photo.warnings:
        screen.say(f"warning: {photo.source}: {warning}")
    said = f"{photo.status.replace('_', ' ')}: {counted(len(photo.faces), 'face')}"
    screen.say(f"{said}; wrote {target}")
    return 0


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
    from faceren.commands.review import PagePictures
    from faceren.commands.stored import restore_stored
    from faceren.pages.review import pictures_of
    from faceren.runs.folder import PAGE_NAME

    in_store = any(map(is_stored, (*inputs, output)))
    with_page = with_page and not folder.dry_run
    with screen.loading():
        if in_store:
            run = restore_stored(
                inputs, output, options, how=how, folder=folder, with_pictures=with_page
            )
        else:
            watcher = PagePictures(pictures_of(output)) if with_page else None
            run = restore(inputs, output, options, how=how, folder=folder, watcher=watcher)
    _say_first(run, how, screen)
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
                screen.say(f"would restore {spelled(photo.source)} to {spelled(photo.output)}")
            for warning in photo.warnings:
                screen.say(f"warning: {spelled(photo.source)}: {warning}")
    except (MachineError, OSError):
        done = counts.total() - counts["unchanged"]
        are = "is" if done == 1 else "are"
        screen.say(
            f"{done:,} of {counted(run.total, 'photo')} {are} done; the same command goes on"
        )
        raise
    with_page = with_page and not folder.shard  # which comes when all parts are joined
    if with_page:
        reviewed(output, how, "there")
    show_left_out([path for path in run.left_out if path.name != SETTINGS_NAME], screen)
    screen.say(_summary(run.total, counts, faces, spelled(output), dry=folder.dry_run))
    if with_page:
        screen.say(f"look at {spelled(output / PAGE_NAME)}")
    if folder.shard and not folder.dry_run:
        screen.say(f"when all parts have ended: faceren restore --merge {spelled(output)}")
    return 1 if counts["failed"] else 0


def _say_first(run: "RestoreRun", how: RunOptions, screen: Screen) -> None:
    """Say what is to be known before the first photo."""
    from faceren.engines import unused_gpu

    if run.shipped_samples:
        screen.say("sample_photos is not here: restoring the samples that ship with faceren")
    if how.engine == "auto" and (note := unused_gpu(how.device)):
        screen.say(note)
    for problem in run.problems:
        screen.say(f"warning: {problem}")


def show_left_out(files: list[Path], screen: Screen) -> None:
    """Say which files are of no kind that is restored, if there are any."""
    if files:
        names = ", ".join(path.name for path in files[:NAMED])
        names += ", …" if len(files) > NAMED else ""
        count = counted(len(files), "file is", "files are")
        screen.say(f"{count} of no kind that is restored: {names}")
        screen.item({"left_out": [str(path) for path in files]})


def _summary(total: int, counts: Counter[str], faces: int, output: str, *, dry: bool) -> str:
    photos = counted(total, "photo")
    if dry:
        same = f"; {counts['unchanged']:,} unchanged since the last run" * bool(counts["unchanged"])
        return f"{counts['planned']:,} of {photos} would be restored{same}; nothing was done"
    parts = [f"{counts['restored']} restored"]
    parts += [f"{counts['no_face']} without a face"] * bool(counts["no_face"])
    parts += [f"{counts['reverted']} kept as it was"] * bool(counts["reverted"])
    parts += [f"{counts['failed']} failed"] * bool(counts["failed"])
    text = f"{photos}: {', '.join(parts)}"
    if counts["unchanged"] == total:
        return f"{text}; nothing has changed since the last run, nothing was recomputed"
    if counts["unchanged"]:
        text += f"; {counts['unchanged']} unchanged since the last run"
    return f"{text}; {counted(faces, 'face')} now, in {output}"
