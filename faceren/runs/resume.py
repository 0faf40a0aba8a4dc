"""What an earlier run has left in the output folder: what is done, and what is stale."""

import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from faceren.errors import ConfigError, MachineError
from faceren.files import atomic_path, sha256_of
from faceren.images import shown
from faceren.runs.folder import STALE_DIR, inside
from faceren.runs.manifest import MANIFEST_NAME, Line, Manifest, read_manifest
from faceren.runs.plan import Job
from faceren.runs.shards import RECORD_SUFFIX, Shard, check_merged

LARGEST_MANIFEST = 2**28
"""Bytes of a manifest that is looked at for a hint alone: some 150,000 photos."""


def earlier_run(
    output: Path, command: str, shard: Shard | None = None, *, others: bool = False
) -> Manifest:
    """Return the manifest of earlier runs of a command into a folder; empty if there is none.

    Args:
        output: The folder.
        command: The command.
        shard: The part of a run that is to be done: what it has recorded counts, too.
        others: Hold what is recorded of photos of other parts, too.

    Raises:
        ConfigError: If the folder holds the manifest of another command, or records of parts of a
            run that this is none of.
    """
    check_merged(output, command, shard)
    path = output / MANIFEST_NAME
    wanted = (shard.has,) if shard is not None and not others else ()
    manifest = read_manifest(path, *wanted) if path.exists() else Manifest()
    if shard is not None and (own := shard.place(output, RECORD_SUFFIX)).exists():
        part = read_manifest(own)
        manifest.header = part.header
        manifest.items |= part.items
        manifest.headers |= part.headers
        manifest.problems += part.problems
    found = manifest.header.get("command", command)
    if found != command:
        raise ConfigError(f"-o {output} holds the manifest of {found!r}; choose another folder")
    return manifest


def restored_before(jobs: Sequence[Job]) -> list[str]:
    """Name the folders out of which a run would restore photos a second time.

    A second restoration takes the first one's inventions for the photo, and moves faces further.
    Told from the manifests that lie in the photos' folders and above them: a name that one of
    these gives as its own output.

    Args:
        jobs: What the run would do.

    Returns:
        A sentence for each such folder, for people.
    """
    manifests: dict[Path, Manifest] = {}
    found: Counter[Path] = Counter()
    for job in jobs:
        for folder in job.source.parents:
            if folder not in manifests:
                manifests[folder] = _of_a_restoration(folder)
            if not (items := manifests[folder].items):
                continue
            key = job.source.relative_to(folder).as_posix()
            found[folder] += items.get(key, {}).get("status") == "restored"
    return [
        f"{number:,} of the photos {'was' if number == 1 else 'were'} restored into {folder} by an "
        f"earlier run; what is restored twice is less like the person: name the originals"
        for folder, number in found.items()
        if number
    ]


def _of_a_restoration(folder: Path) -> Manifest:
    """Return the manifest of restorations into a folder, empty if there is none to be read.

    Among the originals lies what strangers put there: no pipe is waited for, and no file of
    gigabytes read.
    """
    path = folder / MANIFEST_NAME
    try:
        if path.is_file() and path.stat().st_size <= LARGEST_MANIFEST:
            return earlier_run(folder, "restore")
    except (ConfigError, OSError):
        pass
    return Manifest()


def unchanged(job: Job, line: Line | None, settings: str) -> bool:
    """Say whether an earlier run has done this very job.

    Done means: the same bytes in, the same settings (unless the photo was chosen by name to have
    others), and the output, if it was no failure, still as it was written.

    Args:
        job: What is to be done.
        line: What the manifest says of it, if anything.
        settings: Digest of all that decides the output beside its input.
    """
    if not line or (line.get("settings") != settings and not line.get("chosen")):
        return False
    try:
        if sha256_of(job.source) != line.get("input_sha256"):
            return False
        failed = line.get("status") == "failed"
        return failed or sha256_of(job.output) == line.get("output_sha256")
    except OSError:  # one of them is not there, or not readable: doing the job will tell
        return False


def check_originals(jobs: Sequence[Job], items: Mapping[str, Line]) -> None:
    """Refuse to read what a manifest names but has not the bytes that it recorded.

    Whoever wrote the manifest may have put any path of the disk into it; the hash is known only of
    what was read. A photo that has changed since has to be named by the user.

    Args:
        jobs: Photos to be restored that only the manifest names.
        items: Its lines.

    Raises:
        ConfigError: If one is gone, has changed, or has no hash in the manifest.
    """
    for job in jobs:
        digest = items[job.key].get("input_sha256")
        try:
            same = job.source.is_file() and sha256_of(job.source) == digest
        except OSError as error:
            state = f"cannot be read ({error.strerror})"
        else:
            if same:
                continue
            there = "has changed since" if digest else "has no hash in the manifest"
            state = there if job.source.is_file() else "is gone"
        raise ConfigError(
            f"{shown(job.key)}: its original {shown(job.source)} {state}; name the photo, or its "
            f"folder, as an input"
        )


def keep_changed(output: Path, key: str, line: Line | None) -> str:
    """Copy an output that is not what its record says, as a run will replace it.

    Somebody has changed it since, or a run that was killed had no time to record it.

    Args:
        output: The run's output folder.
        key: The output's path below it.
        line: What the manifest says of it, if anything.

    Returns:
        A sentence that says where the copy is, ``OUT/.stale``, for people; nothing if the output
        is as it was written, or gone.

    Raises:
        ConfigError: If a link would lead the copy elsewhere.
        MachineError: If it cannot be made.
    """
    written = output / PurePosixPath(key)
    recorded = line.get("output_sha256") if line else None
    if not recorded or not os.path.isfile(written):  # noqa: PTH113 (as in set_aside)
        return ""
    if sha256_of(written) == recorded:
        return ""
    place = inside(output / STALE_DIR, key)
    number = 1
    while place.exists():  # what was kept before is kept, too
        number += 1
        place = place.with_name(f"{written.stem}-{number}{written.suffix}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(place) as temporary:
            shutil.copy2(written, temporary)
    except OSError as error:
        raise MachineError(
            f"{written} is not what its record says and cannot be copied to {place} "
            f"({error.strerror}); move it away"
        ) from error
    return f"{written} was not what its record says; as it was it is kept in {place}"


def set_aside(output: Path, key: str) -> str:
    """Move what an earlier run wrote in the place of a photo that failed out of the way.

    Left where it was, it would pass for the result of this run. It is moved, in one step, to
    ``OUT/.stale`` under its own name.

    Args:
        output: The run's output folder.
        key: The output's path below it.

    Returns:
        A sentence that says so, for people; nothing if there was no such file.

    Raises:
        ConfigError: If a link would lead it elsewhere.
        MachineError: If the file cannot be moved.
    """
    stale = output / PurePosixPath(key)
    if not os.path.isfile(stale):  # noqa: PTH113 (pathlib raises where a name is too long)
        return ""
    place = inside(output / STALE_DIR, key)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        stale.replace(place)
    except OSError as error:
        raise MachineError(
            f"{stale} is of an earlier run and cannot be moved to {place} ({error.strerror})"
        ) from error
    return f"the output of an earlier run was moved to {place}"
