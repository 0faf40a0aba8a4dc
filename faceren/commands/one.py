"""Restore one photo, into a file or between pipes without a folder; or one face of a photo anew."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from faceren.checks import Json
from faceren.commands.options import PIPE, RunOptions
from faceren.commands.review import options_of
from faceren.commands.workshop import load_pipeline
from faceren.config import FileFormat
from faceren.errors import ConfigError, FaceError, MachineError
from faceren.faces.given import GivenFace
from faceren.files import TEMPORARY, atomic_path, sha256_of
from faceren.images import shown
from faceren.restoration.options import RestoreOptions
from faceren.restoration.repair.repair import Repairer
from faceren.restoration.results import PhotoResult
from faceren.restoration.revert import with_faces_of_file
from faceren.runs.folder import MASKS_DIR, check_places, check_replaced, inside, writing
from faceren.runs.manifest import (
    MANIFEST_NAME,
    Line,
    ManifestWriter,
    read_run,
    restate_header,
    source_of,
)
from faceren.runs.plan import SUFFIX_OF, Job, resolve_inputs
from faceren.runs.resume import check_originals
from faceren.runs.storage import is_stored, spelled

NO_OTHER = 1e9
"""Pixels that no face has: what is not marked is left alone."""


def restore_face(output: Path, key: str, index: int, strength: float, how: RunOptions) -> None:
    """Restore one face of a photo anew, by its original, and write that down.

    The photo's other options and its weights are those that it was restored with.

    Args:
        output: The folder that ``restore`` wrote.
        key: The photo's name in the record, which has it.
        index: Of the face in the record, which has it.
        strength: For this face, see ``RestoreOptions``.
        how: With what it is done.

    Raises:
        ConfigError: If the original is gone or has changed, or the photo was restored with other
            weights than ``how`` names.
        FaceError: If the face cannot be restored alone, or the photo's marks cannot be filled
            again as they are in its file.
        ImageError: If the photo's file is gone or has changed.
        MachineError: If weights or the device are not there, or the disk is full.
    """
    manifest = read_run(output, "restore")
    line, header = manifest.items[key], manifest.headers[key]
    job = Job(source_of(line, output), inside(output, key), key)
    check_places(output)
    check_replaced([job], output, manifest.items)
    check_originals([job], manifest.items)
    options = replace(options_of(header), strength=strength, min_face=NO_OTHER)
    if options.scale == "auto":  # its other faces chose, too, which are not looked at here
        options = replace(options, scale=line.get("scale", 1))
    pipeline = load_pipeline(options, how)
    if header.get("weights_sha256") != pipeline.restorer.checkpoint.sha256:
        raise ConfigError(
            f"{shown(key)} was restored with other weights than those of --model {how.model}; "
            f"restore the whole photo, or name its weights"
        )
    given = {key: (marked(line["faces"][index]),)}
    pipeline = replace(pipeline, given=given, repairer=filling_again(line, output))
    with (
        writing(output, [key], known=manifest.items),
        tempfile.TemporaryDirectory(prefix="faceren-face-") as folder,
    ):
        alone = Path(folder) / key
        made = pipeline.one(replace(job, output=alone))
        if made.status == "failed" or len(made.faces) != 1:
            raise FaceError(made.reason or f"{shown(key)}: the face was not found again")
        if [round(page.share, 6) for page in made.repairs if page.filled] != filled_shares(line):
            raise FaceError(
                f"{shown(key)}: its marks were filled, and their mask in {output / MASKS_DIR} is "
                f"gone or has changed since; restore the whole photo"
            )
        if line["status"] == "reverted":  # the others are the original's, there as here
            with atomic_path(job.output) as temporary:
                shutil.copyfile(alone, temporary)
        else:
            with_faces_of_file(line, alone, job.output, {index}, pipeline.max_pixels, options)
        with ManifestWriter(output / MANIFEST_NAME, header) as writer:
            writer.append(line_with(line, index, made.faces[0].to_json(), sha256_of(job.output)))
        if header is not manifest.header:
            restate_header(output / MANIFEST_NAME, manifest.header)


def filling_again(line: Line, output: Path) -> Repairer | None:
    """Return what fills a photo's marks as they were filled, by its mask; None if none was.

    Args:
        line: The photo's line of the record.
        output: The folder that has the mask.

    Raises:
        FaceError: If the mask came from elsewhere, and so is not there.
    """
    if not filled_shares(line):
        return None
    if any(page["given"] for page in line["repair"]):
        raise FaceError(
            f"{shown(line['key'])}: its marks were filled by a given mask; restore the whole photo"
        )
    return Repairer("off", output / MASKS_DIR)


def filled_shares(line: Line) -> list[float]:
    """Return which shares of a photo's pages were filled, of those where any pixel was.

    Args:
        line: The photo's line of the record.
    """
    return [page["share"] for page in line.get("repair") or [] if page["filled"]]


def marked(face: Json) -> GivenFace:
    """Return a face of the record as one to be restored where it is."""
    x0, y0, x1, y1 = (float(value) for value in face["box"])
    landmarks = tuple((float(x), float(y)) for x, y in face["landmarks"])
    return GivenFace((x0, y0, x1, y1), landmarks, int(face.get("page", 0)))


def line_with(line: Line, index: int, face: Json, sha256: str) -> Line:
    """Return a photo's line of the record after a face of it was restored anew.

    Args:
        line: Before that.
        index: Of the face.
        face: What is said of it now.
        sha256: Of the photo's file now.
    """
    faces = list(line["faces"])
    faces[index] = face | {"score": faces[index].get("score", face["score"])}
    changed = {"status": "restored", "reason": "", "output_sha256": sha256, "chosen": True}
    return {**line, **changed, "faces": faces}


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
    for path in (source, target):
        if is_stored(path):
            raise ConfigError(
                f"expected a folder in a store, or one photo and one file on a disk, got "
                f"{spelled(source)} and -o {spelled(target)}"
            )
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
    if is_stored(inputs[0]):
        raise ConfigError(f"-o - writes one photo of a disk to stdout, got {spelled(inputs[0])}")
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
