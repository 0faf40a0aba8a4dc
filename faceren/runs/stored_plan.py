"""Decide what a run in an object store will read and write, by the names of the objects."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from faceren.config import FileFormat
from faceren.errors import NothingToDoError
from faceren.images.find import SUFFIXES
from faceren.runs.plan import SUFFIX_OF, Job, without_collisions
from faceren.runs.storage import Storage, Stored, spelled


@dataclass(frozen=True)
class StoredJob(Job):
    """One object to read and one to write; its paths are addresses with one slash."""

    item: Stored
    """The photo, as it was listed."""
    folder: Path
    """The folder that its key is below."""


def plan_stored(
    inputs: Sequence[Path],
    output: Path,
    *,
    file_format: FileFormat,
    exclude: Sequence[str] = (),
    suffix: str = "",
) -> list[StoredJob]:
    """Return a job for each photo among the inputs, in order of their outputs; see ``make_plan``.

    Args:
        inputs: Objects and folders of stores; folders are searched with all that is below them.
        output: Folder of the outputs.
        file_format: ``keep`` keeps each name, another format changes its suffix.
        exclude: Glob patterns of paths below the inputs to leave out.
        suffix: Added to the names of the outputs, before the dot.

    Raises:
        ConfigError: If two photos would have the same output.
        NothingToDoError: If there is no image.
        MachineError: If an input cannot be listed.
    """
    jobs = []
    for path in inputs:
        single = Storage(path).is_object()
        place = path.parent if single else path
        found = Storage(place).listing(path.name if single else "")
        for item in found.values():
            # of scans//etc/a.jpg: joined to a folder of the disk, /etc/a.jpg leads out of it
            name = PurePosixPath(item.key.lstrip("/"))
            if not single and not _is_photo(name, exclude):
                continue
            source = name
            if file_format != "keep":
                name = name.with_suffix(SUFFIX_OF[file_format])
            key = name.with_name(f"{name.stem}{suffix}{name.suffix}").as_posix()
            jobs.append(StoredJob(place / source, output / key, key, item, place))
    if not jobs:
        where = ", ".join(map(spelled, inputs))
        raise NothingToDoError(f"no image found in {where}, by the names of the objects there")
    jobs = without_collisions(jobs, "restore them into different folders")
    return sorted(jobs, key=lambda job: job.key)


def _is_photo(name: PurePosixPath, exclude: Sequence[str]) -> bool:
    hidden = any(part.startswith(".") for part in name.parts)
    places = [name, *name.parents][:-1]
    left_out = any(place.match(pattern.rstrip("/")) for place in places for pattern in exclude)
    return name.suffix.lower() in SUFFIXES and not hidden and not left_out
