"""The folder that a run writes into: nothing outside it, nobody else's file, one run at a time.

What may be replaced there is what the run's own record (its manifest) knows. Between a file's
rename and its line in the manifest a run can be killed; so the keys that a run is going to write
stand in a file of their own until it has ended.
"""

import errno
import json
import os
import re
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath

from filelock import FileLock, Timeout

from faceren.errors import ConfigError, MachineError
from faceren.files import atomic_write
from faceren.runs.manifest import MANIFEST_NAME, Line, ManifestWriter
from faceren.runs.plan import Job
from faceren.runs.shards import (
    LOCK_SUFFIX,
    PLANNED_SUFFIX,
    RECORD_SUFFIX,
    SHARDS_DIR,
    Shard,
    named,
    shards_in,
)

PAGE_NAME = "report.html"
"""The review page."""
PICTURES_DIR = "report"
"""The pictures of the review page."""
FACES_DIR = "faces"
"""Crops before and after, of ``--save-faces``."""
MASKS_DIR = "masks"
"""What ``--repair`` has found of each photo."""
BESIDE = (FACES_DIR, MASKS_DIR, PICTURES_DIR)
"""Folders of what is written beside the outputs."""
CROP = re.compile(rf"{FACES_DIR}/(?P<photo>.+)_\d{{2,}}_(before|after)\.png", re.DOTALL)
"""Keys of a photo that are those of a face's crops."""
MASK = re.compile(rf"{MASKS_DIR}/(?P<photo>.+?)(\.\d+)?\.png", re.DOTALL)
"""Keys of a photo that are those of another one's masks, see ``mask_key``."""
STALE_DIR = ".stale"
"""Outputs of earlier runs that no longer are current."""
LOCK_NAME = ".faceren-lock"
PLANNED_NAME = ".faceren-planned"
GENERATOR = b'content="faceren '
"""How our pages say whose they are, among their first PAGE_HEAD bytes."""
PAGE_HEAD = 4096
GATE = 10.0
"""Seconds that a part of a run waits for others that start at the same moment."""
NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}
"""What file systems answer that have no locks, as some network drives."""


def inside(folder: Path, key: str) -> Path:
    """Return the place of a file that somebody else has named, a manifest say.

    Args:
        folder: Where it has to lie.
        key: Its path below the folder, with forward slashes.

    Raises:
        ConfigError: If it would lie outside, also by a link on the way.
    """
    place = folder / PurePosixPath(key)
    if "\0" in key or not place.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(
            f"expected a path below {folder}, {key!r:.120} leads outside; nothing is written there"
        )
    return place


def mask_key(key: str, page: int = 0) -> str:
    """Return the name of a photo's mask below the folder of masks.

    Args:
        key: The photo's output below the output folder.
        page: Of a photo with several.
    """
    return f"{key}.png" if page == 0 else f"{key}.{page}.png"


def own_place(folder: Path, name: str) -> Path:
    """Return a place of a fixed name in an output folder, which must not be a link.

    Raises:
        ConfigError: If a link lies there: what was written would land where it leads.
    """
    place = folder / name
    if place.is_symlink():
        raise ConfigError(
            f"{place} is a link to {place.readlink()}; remove it, nothing is written through it"
        )
    return place


def check_ours(folder: Path, files: Collection[str], folders: Collection[str] = ()) -> None:
    """Look at what a run keeps under fixed names, before any of it is opened.

    Args:
        folder: Of the run.
        files: Names of files.
        folders: Names of folders.

    Raises:
        ConfigError: If something else lies in one of their places: through a link it would be
            written elsewhere, and a pipe has no end.
    """
    for name in (*files, *folders):
        place = own_place(folder, name)
        as_expected = place.is_file() if name in files else place.is_dir()
        if place.exists() and not as_expected:
            expected = "a file" if name in files else "a folder"
            raise ConfigError(f"{place}: expected {expected}, this is none; move it away")


def check_places(folder: Path) -> None:
    """Refuse a folder of outputs in which a name that will be written is taken by something else.

    Raises:
        ConfigError: See ``check_ours``.
    """
    files = (PAGE_NAME, MANIFEST_NAME, LOCK_NAME, PLANNED_NAME)
    check_ours(folder, files, (PICTURES_DIR, FACES_DIR, MASKS_DIR, STALE_DIR, SHARDS_DIR))


def check_page(folder: Path) -> None:
    """Raise ConfigError if the place of the review page holds a page that is not ours."""
    page = folder / PAGE_NAME
    with suppress(FileNotFoundError), page.open("rb") as file:
        check_head(str(page), file.read(PAGE_HEAD))


def check_head(page: str, head: bytes) -> None:
    """Raise ConfigError if a page is not ours.

    Args:
        page: What it is called.
        head: Its first PAGE_HEAD bytes.
    """
    if GENERATOR not in head:
        raise ConfigError(
            f"{page} is there already, and faceren did not write it; move it away or choose "
            f"another folder"
        )


def check_replaced(
    jobs: Sequence[Job], output: Path, known: Collection[str], sources: Collection[Path] = ()
) -> None:
    """Refuse a run that would write over an original, or over a file that is not its own.

    Args:
        jobs: What it is going to do.
        output: Its folder.
        known: The keys that earlier runs into the folder recorded.
        sources: Originals beside those of the jobs.

    Raises:
        ConfigError: If an output is one of the inputs, by whatever link, lies outside the folder,
            or is a file that no earlier run recorded.
    """
    root = output.resolve()
    identities = {_identity(path) for path in (*sources, *(job.source for job in jobs))} - {None}
    own = set(known) | planned_before(output)
    for job in jobs:
        resolved = job.output.resolve()
        if not resolved.is_relative_to(root):
            raise ConfigError(
                f"{job.output} would be written to {resolved}, outside {output}: a link leads "
                f"there; remove it or choose another folder"
            )
        if _identity(job.output) in identities:
            raise ConfigError(
                f"{job.output} is the same file as an input; originals are never written to, "
                f"choose another folder"
            )
        if job.key not in own and os.path.lexists(job.output):
            raise ConfigError(
                f"{job.output} is there already, and no earlier run into {output} wrote it; "
                f"move it away or choose another folder"
            )


def check_beside(keys: Collection[str], *, faces: bool, masks: bool) -> None:
    """Refuse a run whose photos would be written where crops or masks of others of them are.

    Args:
        keys: Of all its photos.
        faces: Whether crops are written, below FACES_DIR.
        masks: Whether masks are written, below MASKS_DIR.

    Raises:
        ConfigError: If a photo's output has such a name, as the input holds an earlier output.
    """
    kinds = (("--save-faces", faces and CROP), ("--repair", masks and MASK))
    for key in keys:
        for flag, pattern in kinds:
            match = pattern and pattern.fullmatch(key)
            if match and (other := match["photo"]) in keys:
                raise ConfigError(
                    f"{key} would be written where {flag} writes what belongs to {other}: the "
                    f"input holds what an earlier run wrote; leave it out with --exclude "
                    f"'{PurePosixPath(key).parts[0]}'"
                )


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from every other one, whatever its name; None if it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def planned_before(output: Path) -> set[str]:
    """Return the keys that runs which did not end were going to write; none if all ended."""
    places = [own_place(output, PLANNED_NAME)]
    parts = shards_in(output, PLANNED_SUFFIX)
    places += [shard.place(output, PLANNED_SUFFIX) for shard in parts]
    return set().union(*map(_planned_in, places))


def _planned_in(place: Path) -> set[str]:
    try:
        keys = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return set()
    return {key for key in keys if isinstance(key, str)} if isinstance(keys, list) else set()


def forget_plan(output: Path, known: Collection[str]) -> None:
    """Remove the list of what a run that did not end was going to write, if all is recorded.

    Args:
        output: The folder.
        known: The keys that are recorded.
    """
    if planned_before(output) <= set(known):
        with suppress(OSError):  # it does no harm, and the next run tries again
            own_place(output, PLANNED_NAME).unlink(missing_ok=True)


@contextmanager
def locked(output: Path, shard: Shard | None = None) -> Iterator[None]:
    """Have a folder, or a part of it, for oneself while the block runs; it is made if need be.

    Parts of one run share the folder; the whole of it is had by one run alone. Whoever starts
    holds the folder's lock while it looks for others: a part lets it go then.

    Args:
        output: The folder.
        shard: The part; None is the whole.

    Raises:
        MachineError: If another run is writing there, or the folder cannot be written.
    """
    with ExitStack() as mine:
        with ExitStack() as gate:
            gate.enter_context(_held(output, own_place(output, LOCK_NAME), GATE if shard else 0))
            for other in shards_in(output, LOCK_SUFFIX):
                if shard is None or other.count != shard.count:
                    with _held(output, other.place(output, LOCK_SUFFIX), 0, f" ({named([other])})"):
                        pass  # it has ended
            if shard is None:
                mine.enter_context(gate.pop_all())
            else:
                place = shard.place(output, LOCK_SUFFIX)
                mine.enter_context(_held(output, place, 0, f" ({named([shard])})"))
        yield


@contextmanager
def _held(output: Path, place: Path, wait: float, who: str = "") -> Iterator[None]:
    """Hold a lock while the block runs.

    Args:
        output: The folder, for messages.
        place: The lock's file.
        wait: Seconds to wait for it.
        who: What holds it if it is held, for messages.
    """
    lock = FileLock(place, timeout=wait)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise MachineError(
            f"another run is writing into {output}{who}; wait until it has ended, or choose "
            f"another folder"
        ) from error
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise MachineError(
                f"{place} cannot be written ({error.strerror}); it keeps other runs out of that "
                f"folder"
            ) from error
    except NotImplementedError:
        pass  # no locks here: the user has to see to it
    try:
        yield
    finally:
        lock.release()


@contextmanager
def writing(
    output: Path, keys: Collection[str], shard: Shard | None = None, known: Collection[str] = ()
) -> Iterator[None]:
    """Have the output folder for oneself while the block runs, and note what it will hold.

    What else a run that was killed was going to write stays noted until it is recorded.

    Args:
        output: The folder.
        keys: What is going to be written there.
        shard: The part of a run that is going to; None is the whole.
        known: The keys that are recorded.

    Raises:
        MachineError: If another run is writing there, or the disk is full.
    """
    with locked(output, shard):
        planned, before = own_place(output, PLANNED_NAME), planned_before(output)
        if shard is not None:
            planned = shard.place(output, PLANNED_SUFFIX)
            before = _planned_in(planned)
        atomic_write(planned, json.dumps(sorted(before | set(keys))).encode())
        yield
        if left := before - {*keys, *known}:
            atomic_write(planned, json.dumps(sorted(left)).encode())
        else:
            planned.unlink(missing_ok=True)


@contextmanager
def recording(
    output: Path,
    keys: Collection[str],
    header: Line,
    shard: Shard | None = None,
    known: Collection[str] = (),
) -> Iterator[ManifestWriter]:
    """Do as ``writing``, and write the record of the run, or of the part of one.

    Args:
        output: The folder.
        keys: What is going to be written there.
        header: Of the run; of a part with its ``shard``.
        shard: The part; None is the whole.
        known: The keys that are recorded.

    Raises:
        MachineError: As ``writing``.
    """
    place = output / MANIFEST_NAME
    if shard is not None:
        place = shard.place(output, RECORD_SUFFIX)
    with writing(output, keys, shard, known), ManifestWriter(place, header) as writer:
        yield writer
        if shard is not None:
            writer.begin({**header, "shard": {**header["shard"], "ended": True}})


def forget_shards(output: Path) -> None:
    """Remove what parts of a run have left in a folder that one has for oneself, all in one step.

    Raises:
        ConfigError: If a link lies in its place.
    """
    done = own_place(output, f"{SHARDS_DIR}-merged")
    shutil.rmtree(done, ignore_errors=True)
    with suppress(FileNotFoundError):
        own_place(output, SHARDS_DIR).replace(done)
    shutil.rmtree(done, ignore_errors=True)  # what stays does no harm
