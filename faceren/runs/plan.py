"""Decide what a run will read and write, before any work starts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import TypeVar

from faceren.assets import samples_dir
from faceren.checks import did_you_mean
from faceren.config import FileFormat
from faceren.errors import ConfigError, MachineError, NothingToDoError
from faceren.images import count_files, find_images
from faceren.runs.storage import spelled

SUFFIX_OF: dict[FileFormat, str] = {"png": ".png", "jpg": ".jpg", "webp": ".webp", "tiff": ".tif"}
"""What an output is called when its format is chosen."""
SAMPLES = Path("sample_photos")


@dataclass(frozen=True)
class Job:
    """One photo to read and one file to write."""

    source: Path
    output: Path
    key: str
    """The output's path below the output folder, with forward slashes."""


AnyJob = TypeVar("AnyJob", bound=Job)


def resolve_inputs(inputs: Sequence[Path]) -> tuple[list[Path], bool]:
    """Return existing inputs, and whether the shipped samples stand in for a missing one.

    Raises:
        ConfigError: If an input does not exist.
    """
    resolved, shipped = [], False
    for path in inputs:
        if path.exists():
            resolved.append(path)
        elif path == SAMPLES and samples_dir().is_dir():
            resolved.append(samples_dir())
            shipped = True
        else:
            raise ConfigError(f"input {path}: no such file or folder{_remedy(path)}")
    if not resolved:
        raise ConfigError("no input given: name photos or folders")
    return resolved, shipped


def _remedy(path: Path) -> str:
    """Return what to do about an input that is not there."""
    if set(str(path)) & set("*?["):
        return (
            "; a pattern in quotes is not filled in: leave out the quotes, or name the folder and "
            "what to leave out of it, with --exclude"
        )
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f", nor is there a folder {path.parent}"
    return did_you_mean(path.name, names)


def check_output(inputs: Sequence[Path], output: Path, exclude: Sequence[str]) -> None:
    """Refuse an output folder in which originals could be overwritten or found as inputs.

    Raises:
        ConfigError: If ``output`` is an input, lies in one, or is a file.
        MachineError: If it cannot be written.
    """
    target = output.resolve()
    if output.exists() and not output.is_dir():
        raise ConfigError(f"-o {output}: expected a folder, this is a file")
    for path in inputs:
        folder = path.resolve() if path.is_dir() else path.resolve().parent
        if target == folder:
            raise ConfigError(
                f"-o {output} is the folder of the input {path}; originals are never written to, "
                f"choose another folder"
            )
        if (
            path.is_dir()
            and target.is_relative_to(folder)
            and not _excluded(folder, target, exclude)
        ):
            raise ConfigError(
                f"-o {output} lies inside the input {path}, so outputs would be inputs of the next "
                f"run; choose another folder or add --exclude '{target.relative_to(folder)}'"
            )
    # the folder itself is made when there is something to write: a dry run leaves nothing
    places = (output, *output.parents)
    try:
        there = next(place for place in places if place.exists() or place.is_symlink())
        TemporaryFile(dir=there).close()  # a name of its own: other parts of the run may try, too
    except OSError as error:
        raise MachineError(f"-o {output}: cannot be written ({error.strerror})") from error


def _excluded(folder: Path, target: Path, exclude: Sequence[str]) -> bool:
    relative = target.relative_to(folder)
    places = [relative, *relative.parents][:-1]
    return any(place.match(pattern.rstrip("/")) for place in places for pattern in exclude)


def make_plan(
    inputs: Sequence[Path],
    output: Path,
    *,
    file_format: FileFormat,
    exclude: Sequence[str] = (),
    suffix: str = "",
) -> list[Job]:
    """Return a job for each image among the inputs, in order of their outputs.

    Args:
        inputs: Existing files and folders; folders are searched recursively and mirrored.
        output: Folder of the outputs; never searched, though a link among the inputs leads there.
        file_format: ``keep`` keeps each name, another format changes its suffix.
        exclude: Glob patterns of relative paths to leave out.
        suffix: Added to the names of the outputs, before the dot.

    Raises:
        ConfigError: If two inputs would have the same output.
        NothingToDoError: If there is no image.
    """
    jobs = []
    for found in find_images(inputs, exclude, but=output):
        name = found.relative
        if file_format != "keep":
            name = name.with_suffix(SUFFIX_OF[file_format])
        if suffix:
            name = name.with_name(f"{name.stem}{suffix}{name.suffix}")
        jobs.append(Job(found.path, output / name, name.as_posix()))
    if not jobs:
        left = " that --exclude leaves" if exclude else ""
        raise NothingToDoError(
            f"no image found in {', '.join(map(str, inputs))}: of {count_files(inputs):,} files "
            f"there none{left} is called .jpg, .png, .tif or the like"
        )
    jobs = without_collisions(jobs, "restore them into different folders")
    return sorted(jobs, key=lambda job: job.key)


def without_collisions(jobs: Iterable[AnyJob], advice: str) -> list[AnyJob]:
    """Return the jobs, of those for the same photo and output the last alone.

    Args:
        jobs: What a run would do.
        advice: What to do about two photos of one output, for the message.

    Raises:
        ConfigError: If two photos would have the same output.
    """
    kept: dict[str, AnyJob] = {}
    for job in jobs:
        folded = job.key.lower()  # a.JPG and a.jpg are one file on many disks; ß and ss on none
        other = kept.get(folded)
        if other is not None and other.source.resolve() != job.source.resolve():
            raise ConfigError(
                f"{spelled(other.source)} and {spelled(job.source)} would both be written to "
                f"{spelled(job.output)}; {advice}"
            )
        kept[folded] = job
    return list(kept.values())
