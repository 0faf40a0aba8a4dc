"""Restore one photo, into a file or between pipes; there is no folder and no manifest."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from faceren.commands.options import PIPE, RunOptions
from faceren.commands.workshop import load_pipeline
from faceren.config import FileFormat
from faceren.errors import ConfigError, MachineError
from faceren.files import TEMPORARY
from faceren.restoration.options import RestoreOptions
from faceren.restoration.results import PhotoResult
from faceren.runs.plan import SUFFIX_OF, Job, resolve_inputs

KINDS = {suffix: name for name, suffix in SUFFIX_OF.items()} | {".jpeg": "jpg", ".tiff": "tiff"}
"""File formats by the suffixes that name them."""


def check_alone(options: RestoreOptions) -> None:
    """Refuse what writes beside an output, where there is no folder for it.

    Raises:
        ConfigError: If masks are asked for.
    """
    if options.repair == "suggest":
        raise ConfigError(
            "--repair suggest writes masks into an output folder; name a folder, or give "
            "--repair auto"
        )


def restore_file(
    source: Path, target: Path, options: RestoreOptions, how: RunOptions, *, overwrite: bool = False
) -> PhotoResult:
    """Restore one photo and write it to a file, whole or not at all.

    Args:
        source: The photo.
        target: The file; its suffix says which format it has, unless it is that of ``source``.
        options: What to do with the photo.
        how: With what it is done.
        overwrite: Whether ``target`` may be there already.

    Raises:
        ConfigError: If an option makes no sense, or ``target`` is the photo, is there, or has a
            suffix of no format that is written.
        MachineError: If weights or device are not there, or the file cannot be written.
    """
    check_alone(options)
    (source,), _ = resolve_inputs([source])
    if target.exists() and target.samefile(source):
        raise ConfigError(f"-o {target} is the photo itself; originals are never written to")
    if (target.exists() or target.is_symlink()) and not overwrite:
        raise ConfigError(f"-o {target} is there already; choose another name or add --overwrite")
    options = replace(options, format=_format(source, target, options))
    pipeline = load_pipeline(options, how)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=target.parent) as folder:
            (result,) = pipeline.run([Job(source, Path(folder) / target.name, target.name)])
            if result.status != "failed":
                result.output.replace(target)
    except OSError as error:
        raise MachineError(f"-o {target}: cannot be written ({error.strerror})") from error
    return replace(result, output=target)


def _format(source: Path, target: Path, options: RestoreOptions) -> FileFormat:
    """Return the format that a file's name asks for."""
    kind, own = (KINDS.get(path.suffix.lower(), path.suffix.lower()) for path in (target, source))
    if options.format not in ("keep", kind):
        raise ConfigError(f"-o {target}: expected a name for --format {options.format}")
    if kind == own:
        return options.format
    found = next((name for name in SUFFIX_OF if name == kind), None)
    if found is None:
        raise ConfigError(
            f"-o {target}: expected .jpg, .png, .tif or .webp, or {source.suffix} as the photo has"
        )
    return found


def check_stream(
    inputs: Sequence[Path], output: Path | None, *, terminal: bool, refused: Sequence[str]
) -> None:
    """Refuse what cannot be done without an output folder.

    Args:
        inputs: What the user named.
        output: What the user named, if anything.
        terminal: Whether stdout is one.
        refused: The options that were given and need an output folder.

    Raises:
        ConfigError: If the request makes no sense.
    """
    if output != PIPE:
        got = "no -o" if output is None else f"-o {output}"
        raise ConfigError(f"- reads one photo from stdin and needs -o -, got {got}")
    if refused:
        needs = "needs" if len(refused) == 1 else "need"
        raise ConfigError(f"{', '.join(refused)} {needs} an output folder, got -o -")
    if len(inputs) != 1:
        raise ConfigError(f"-o - writes one photo to stdout, got {len(inputs)} inputs")
    if inputs[0] != PIPE and inputs[0].is_dir():
        raise ConfigError(f"-o - writes one photo to stdout, {inputs[0]} is a folder")
    if terminal:
        raise ConfigError("-o - writes a photo to stdout, which is a terminal here; add > FILE")


def restore_stream(
    source: Path,
    stdin: BinaryIO,
    stdout: BinaryIO,
    options: RestoreOptions,
    how: RunOptions,
) -> PhotoResult:
    """Restore one photo and write it to a stream; there is no manifest.

    Args:
        source: A file, or PIPE for ``stdin``.
        stdin: Where PIPE is read from, to its end.
        stdout: Gets the whole output, or nothing if the photo failed.
        options: What to do with the photo.
        how: With what it is done. A single photo may take what memory it needs, and is decoded by
            one worker.

    Raises:
        ConfigError: If an option makes no sense.
        MachineError: If weights or device are not there, or a stream breaks.
    """
    check_alone(options)
    pipeline = load_pipeline(options, how)
    with tempfile.TemporaryDirectory(prefix="faceren-") as folder:
        path = source
        if source == PIPE:
            path = Path(folder) / "stdin"
            try:
                with path.open("wb") as file:
                    shutil.copyfileobj(stdin, file)
            except OSError as error:
                raise MachineError(f"stdin cannot be kept in {folder}: {error.strerror}") from error
        job = Job(path, Path(folder) / "out" / path.name, path.name)
        (result,) = pipeline.run([job])
        if result.status != "failed":
            try:
                with job.output.open("rb") as file:
                    shutil.copyfileobj(file, stdout)
                stdout.flush()
            except OSError as error:
                raise MachineError(
                    f"stdout was closed before the photo was through: {error}"
                ) from error
    if source != PIPE:
        return result
    return replace(result, source=PIPE, reason=result.reason.replace(str(path), "stdin"))
