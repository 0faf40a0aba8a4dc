"""Restore one photo between pipes: nothing is written but the photo itself."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from faceren.assets import model_path
from faceren.errors import ConfigError, MachineError
from faceren.images import DEFAULT_MAX_PIXELS
from faceren.restoration.options import RestoreOptions
from faceren.restoration.photo import tools_for
from faceren.restoration.pipeline import AUTOMATIC_WORKERS, DEFAULT_MAX_MEMORY, Pipeline
from faceren.restoration.results import PhotoResult
from faceren.runs.plan import Job

PIPE = Path("-")
"""Stands for stdin among the inputs, and for stdout as the output."""


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
    *,
    model: str,
    options: RestoreOptions,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int | None = None,
    workers: int = 0,
    max_pixels: int | None = None,
    max_memory: int | None = None,
    weights_dir: Path | None = None,
    offline: bool = False,
) -> PhotoResult:
    """Restore one photo and write it to a stream; there is no manifest.

    Args:
        source: A file, or PIPE for ``stdin``.
        stdin: Where PIPE is read from, to its end.
        stdout: Gets the whole output, or nothing if the photo failed.
        model: A shipped model's name or the path of a checkpoint.
        options: What to do with the photo.
        device: See ``restore``.
        precision: See ``restore``.
        batch_size: See ``restore``.
        workers: See ``restore``; a single photo is decoded by one of them.
        max_pixels: Refuse larger photos; default DEFAULT_MAX_PIXELS.
        max_memory: See ``restore``; a single photo may take what it needs.
        weights_dir: See ``restore``.
        offline: See ``restore``.

    Raises:
        ConfigError: If an option makes no sense.
        MachineError: If weights or device are not there, or a stream breaks.
    """
    from faceren.inference import load_restorer  # here: torch takes seconds to load

    restorer = load_restorer(
        model_path(model),
        device=device,
        precision=precision,
        batch_size=batch_size,
        ensemble=options.ensemble,
    )
    pipeline = Pipeline(
        restorer=restorer,
        options=options,
        max_pixels=max_pixels or DEFAULT_MAX_PIXELS,
        workers=workers or AUTOMATIC_WORKERS,
        max_memory=max_memory or DEFAULT_MAX_MEMORY,
        tools=tools_for(options, restorer, weights_dir, offline=offline),
    )
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
