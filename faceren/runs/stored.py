"""A run in an object store: what it is going to do, by names, and the disk on which it does that.

An object is on the disk no longer than it is worked on. Its messages name it as people do.
"""

import tempfile
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import TypeVar

from faceren.config import FileFormat
from faceren.errors import ConfigError, FacerenError, NothingToDoError
from faceren.images import OF_A_RUN, Found
from faceren.images.checks import SUFFIXES
from faceren.runs.plan import SUFFIX_OF, AnyJob, Job, without_collisions
from faceren.runs.storage import Storage, Stored, is_stored, spelled

AHEAD = 8
"""Photos that are brought to the disk before their turn."""
THREADS = 4
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class StoredFound(Found):
    """An object that should be a photo; its path is an address with one slash."""

    item: Stored
    """As it was listed."""
    folder: Path
    """The folder that its key is below."""


@dataclass(frozen=True)
class StoredJob(Job):
    """One object to read and one to write; its paths are addresses with one slash."""

    found: StoredFound


def find_stored(inputs: Sequence[Path], exclude: Sequence[str] = ()) -> list[StoredFound]:
    """Return the photos among objects and folders of stores, as ``find_images`` does of a disk.

    Args:
        inputs: Their addresses; folders are searched with all that is below them.
        exclude: Glob patterns of paths below the inputs to leave out.

    Raises:
        MachineError: If an input cannot be listed.
    """
    found = []
    for path in inputs:
        single = Storage(path).is_object()
        place = path.parent if single else path
        listing = Storage(place).listing(path.name if single else "")
        found += photos_among(listing, place, exclude, all_of_them=single)
    return found


def photos_among(
    listing: Mapping[str, Stored],
    folder: Path,
    exclude: Sequence[str] = (),
    *,
    all_of_them: bool = False,
) -> list[StoredFound]:
    """Return the photos among the objects of a folder, by their names, in order.

    Args:
        listing: The objects, by their keys.
        folder: Their folder.
        exclude: Glob patterns of paths below it to leave out.
        all_of_them: They are photos, whatever their names.
    """
    pages = _pages(listing)
    found = []
    for item in listing.values():
        # of scans//etc/a.jpg: joined to a folder of the disk, /etc/a.jpg leads out of it
        name = PurePosixPath(item.key.lstrip("/"))
        if all_of_them or (_is_photo(name, exclude) and not pages & set(name.parents)):
            found.append(StoredFound(folder / name, name, item, folder))
    return sorted(found, key=lambda item: item.relative.parts)


def _pages(keys: Collection[str]) -> set[PurePosixPath]:
    """Return the folders in which the pictures of review pages lie."""
    folders = [
        {PurePosixPath(key).parent for key in keys if key.endswith(name)} for name in OF_A_RUN
    ]
    return {place / "report" for place in set.intersection(*folders)}


def _is_photo(name: PurePosixPath, exclude: Sequence[str]) -> bool:
    hidden = any(part.startswith(".") for part in name.parts)
    places = [name, *name.parents][:-1]
    left_out = any(place.match(pattern.rstrip("/")) for place in places for pattern in exclude)
    return name.suffix.lower() in SUFFIXES and not hidden and not left_out


def no_image(inputs: Sequence[Path]) -> NothingToDoError:
    """Return what to say of inputs in stores among which there is no photo."""
    where = ", ".join(map(spelled, inputs))
    return NothingToDoError(f"no image found in {where}, by the names of the objects there")


def check_stored(inputs: Sequence[Path], output: Path | None) -> Path:
    """Refuse a run that is not as a whole in stores, or whose output lies in an input.

    Returns:
        The output.

    Raises:
        ConfigError: If so.
    """
    if output is None:
        raise ConfigError("expected an output folder in an object store, got none: add -o OUT")
    for path in (*inputs, output):
        if not is_stored(path):
            raise ConfigError(
                f"{path}: expected all inputs and -o in object stores, this one is on the disk; "
                f"copy it there, or the others here"
            )
    if not inputs:
        raise ConfigError("no input given: name photos or folders")
    for path in inputs:
        if output == path or output.is_relative_to(path) or path.is_relative_to(output):
            raise ConfigError(
                f"-o {spelled(output)} and the input {spelled(path)} lie in one another; originals "
                f"are never written to, choose another folder"
            )
    return output


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
    for found in find_stored(inputs, exclude):
        name = found.relative
        if file_format != "keep":
            name = name.with_suffix(SUFFIX_OF[file_format])
        key = name.with_name(f"{name.stem}{suffix}{name.suffix}").as_posix()
        jobs.append(StoredJob(found.path, output / key, key, found))
    if not jobs:
        raise no_image(inputs)
    jobs = without_collisions(jobs, "restore them into different folders")
    return sorted(jobs, key=lambda job: job.key)


def in_order(
    pool: ThreadPoolExecutor, work: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    """Yield what some work makes of items, in order, some of them ahead of their turn.

    Args:
        pool: The threads that do it.
        work: What is done with each.
        items: Read as they are needed.
    """
    coming: deque[Future[Result]] = deque()
    try:
        for item in items:
            coming.append(pool.submit(work, item))
            if len(coming) > AHEAD:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        for future in coming:  # of a run that ends early
            future.cancel()


class Stage:
    """The disk on which photos of a store are for a while; a context manager."""

    def __init__(self) -> None:
        self._held = ExitStack()
        self._problems: dict[Path, str] = {}
        """Why a photo could not be brought here, by its place."""
        self._users: dict[Path, int] = {}
        """How many jobs a photo is here for, by its place."""
        self._storages: dict[Path, Storage] = {}

    def __enter__(self) -> "Stage":
        folder = self._held.enter_context(tempfile.TemporaryDirectory(prefix="faceren-"))
        self._folder = Path(folder)
        self._pool = self._held.enter_context(ThreadPoolExecutor(THREADS, "faceren-store"))
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    @property
    def output(self) -> Path:
        """Where outputs are written."""
        return self._folder / "out"

    def staged(self, jobs: Iterable[AnyJob], found: Mapping[Path, StoredFound]) -> Iterator[AnyJob]:
        """Yield jobs as their photos come to the disk, in order, some of them ahead of their turn.

        Args:
            jobs: What is to be done, by addresses; several with one photo, which is brought once,
                follow one another.
            found: The photos, by these; a job without one is yielded as it is.
        """
        groups = (list(group) for _, group in groupby(jobs, key=lambda job: job.source))
        for group in in_order(self._pool, partial(self._bring, found), groups):
            yield from group

    def _here(self, job: AnyJob) -> AnyJob:
        place = (self._folder / "in" / job.key).with_name(job.source.name)
        return replace(job, source=place, output=self.output / job.key)

    def _bring(self, found: Mapping[Path, StoredFound], jobs: Sequence[AnyJob]) -> list[AnyJob]:
        here, photo = [self._here(job) for job in jobs], found.get(jobs[0].source)
        self._users[here[0].source] = len(jobs)
        if photo is not None:
            storage = self._storages.get(photo.folder) or Storage(photo.folder)
            self._storages[photo.folder] = storage
            try:
                storage.fetch(photo.item, here[0].source)
            except FacerenError as error:  # who reads it will say that there is no such file
                self._problems[here[0].source] = str(error)
        return here

    def told(self, job: Job, text: str) -> str:
        """Return a message about a photo with its names in the store.

        Args:
            job: By addresses.
            text: What was said of it here; why it could not be brought here goes before that.
        """
        here = self._here(job)
        text = self._problems.get(here.source, text)
        text = text.replace(str(here.source), spelled(job.source))
        return text.replace(str(here.output), spelled(job.output))

    def put(self, job: Job, target: Storage, beside: Sequence[str] = ()) -> str:
        """Put what was made of a photo into the store; return the output's version there.

        Args:
            job: By addresses.
            target: The output folder.
            beside: Folders below the output folder of which all that is ready goes along.

        Raises:
            MachineError: If the store takes no more.
        """
        version = target.put(self._here(job).output, job.key)
        for folder in beside:
            for file in sorted((self.output / folder).rglob("[!.]*")):
                if file.is_file():
                    target.put(file, file.relative_to(self.output).as_posix())
                    file.unlink()
        return version

    def clear(self, job: Job) -> None:
        """Remove an output from the disk, and its photo if no other job needs it."""
        here = self._here(job)
        self._users[here.source] -= 1
        done = [here.output]
        if not self._users[here.source]:
            del self._users[here.source]
            self._problems.pop(here.source, None)
            done.append(here.source)
        for file in done:
            with suppress(OSError):
                file.unlink(missing_ok=True)
