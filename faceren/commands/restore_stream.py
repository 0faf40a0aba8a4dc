"""Restore one photo between pipes: nothing is written but the photo itself."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from faceren.commands.options import PIPE, RunOptions
from faceren.commands.restore import load_pipeline
from faceren.errors import ConfigError, MachineError
from faceren.restoration.options import RestoreOptions
from faceren.restoration.results import PhotoResult
from faceren.runs.plan import Job


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
    pipeline = load_pipeline(options, how)
    with tempfile.TemporaryDirectory(prefix="faceren-") as folder:
        path = source
        if source == PIPE:
            path = Path(folder) / "stdin"
            _save(stdin, path)
        job = Job(path, Path(folder) / "out" / path.name, path.name)
        (result,) = pipeline.run([job])
        if result.status != "failed":
            _send(job.output, stdout)
    if source != PIPE:
        return result
    return replace(result, source=PIPE, reason=result.reason.replace(str(path), "stdin"))


def _save(stdin: BinaryIO, path: Path) -> None:
    try:
        with path.open("wb") as file:
            shutil.copyfileobj(stdin, file)
    except OSError as error:
        raise MachineError(f"stdin cannot be kept in {path.parent}: {error.strerror}") from error


def _send(path: Path, stdout: BinaryIO) -> None:
    try:
        with path.open("rb") as file:
            shutil.copyfileobj(file, stdout)
        stdout.flush()
    except OSError as error:
        raise MachineError(f"stdout was closed before the photo was through: {error}") from error
