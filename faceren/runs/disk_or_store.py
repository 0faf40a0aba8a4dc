"""Files that lie on a disk or in a store: found, read and written alike, by their paths."""

import errno
import io
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from fnmatch import fnmatchcase
from glob import glob
from pathlib import Path
from typing import BinaryIO

from faceren.errors import FacerenError
from faceren.images import Found, find_images
from faceren.runs.disk_cache import DiskCache
from faceren.runs.storage import ObjectFile, Storage, Stored, is_stored, spelled
from faceren.runs.stored import photos_among

PIECE = 2**20
"""Bytes that are asked for at a time of an object that is read through."""
BUCKET = 2
"""Parts of an address that say which store: ``s3:`` and the bucket."""


class Files:
    """Reads files of disks and objects of stores alike. Threads may share it.

    Args:
        named: What a person has named. A manifest may name any address: stores of a kind that the
            person has not named are not asked for anything.
        cache: Keeps what was fetched, for the next time; default: nothing is kept.
    """

    def __init__(self, named: Iterable[Path], cache: DiskCache | None = None) -> None:
        self._cache = cache
        self._kinds = {path.parts[0] for path in named if is_stored(path)}
        self._folders: dict[Path, dict[str, Stored]] = {}
        """What is in the folders of stores that were listed, by its key."""
        self._storages: dict[tuple[int, Path], Storage] = {}

    def images(self, folder: Path, exclude: Sequence[str] = ()) -> list[Found]:
        """Return the photos in a folder; see ``find_images``.

        Raises:
            MachineError: If the folder is in a store and cannot be listed.
        """
        if not is_stored(folder):
            return list(find_images([folder], exclude))
        return [*photos_among(self._listing(folder), folder, exclude)]

    def is_folder(self, path: Path) -> bool:
        """Say whether there is such a folder; in a store: whether anything is in it.

        Raises:
            MachineError: If it is in a store and cannot be listed.
        """
        return bool(self._listing(path)) if is_stored(path) else path.is_dir()

    def know(self, folders: Iterable[Path]) -> None:
        """List folders of stores at once, so that not every object in them is asked for.

        Raises:
            MachineError: If one cannot be listed.
        """
        for folder in folders:
            self._listing(folder)

    def exists(self, path: Path) -> bool:
        """Say whether there is anything of that name; in a store: an object.

        Raises:
            MachineError: If a store does not say.
        """
        return self._found(path) is not None if is_stored(path) else path.exists()

    def version(self, path: Path) -> str:
        """Return what changes when an object is replaced; nothing if there is none.

        Raises:
            MachineError: If the store does not say.
        """
        item = self._found(path)
        return "" if item is None else item.version

    def is_file(self, path: Path) -> bool:
        """Say whether there is such a file or object, as far as it may be seen.

        Raises:
            MachineError: If a store does not say.
        """
        return self._found(path) is not None if is_stored(path) else path.is_file()

    def resolved(self, path: Path) -> Path:
        """Return the one name of a file, whatever links lead to it."""
        return path if is_stored(path) else path.resolve()

    @contextmanager
    def local(self, path: Path) -> Iterator[Path]:
        """Have a file on the disk while the block runs: itself, or a copy of an object.

        Errors of the block name the object, not the copy.

        Raises:
            FacerenError: If an object is gone or cannot be read.
        """
        if not is_stored(path):
            yield path
            return
        item = self._found(path)
        if item is None:
            raise FacerenError(f"{spelled(path)}: no such object, or none that may be read")
        kept = self._kept(path, item)
        with tempfile.TemporaryDirectory(prefix="faceren-") as name:
            here = Path(name) / f"object{path.suffix}"
            with self._alone(kept):
                if kept is not None and kept.is_file():
                    here = kept
                else:
                    self._storage(self._folder_of(path)).fetch(item, here)
                    if self._cache and kept is not None and self._cache.take(here, kept):
                        here = kept
            try:
                yield here
            except FacerenError as error:
                raise type(error)(str(error).replace(str(here), spelled(path))) from error

    @contextmanager
    def opened(self, path: Path) -> Iterator[BinaryIO]:
        """Open a file of a disk, or an object: what is asked for is read, in pieces of 1 MiB.

        Raises:
            OSError: If it cannot be opened.
            MachineError: While reading: if a store does not give it.
        """
        if not is_stored(path):
            with path.open("rb") as file:
                yield file
            return
        item = self._found(path)
        if item is None:
            raise FileNotFoundError(errno.ENOENT, "no such object, or none that may be read")
        with io.BufferedReader(
            ObjectFile(self._storage(self._folder_of(path)), item), PIECE
        ) as file:
            yield file

    def read(self, path: Path, start: int, end: int) -> bytes:
        """Return some bytes of a file or an object, fewer where it ends before.

        Raises:
            OSError: If a file cannot be read, or there is no such object.
            MachineError: If a store does not give it.
        """
        if not is_stored(path):
            with path.open("rb") as file:
                file.seek(start)
                return file.read(end - start)
        item = self._found(path)
        if item is None:
            raise FileNotFoundError(errno.ENOENT, "no such object, or none that may be read")
        kept = self._kept(path, item, start, end)
        with self._alone(kept):
            if kept is not None and kept.is_file():
                return kept.read_bytes()
            data = self._storage(self._folder_of(path)).read(item, start, end)
            if self._cache and kept is not None:
                self._cache.keep(data, kept)
        return data

    def matching(self, pattern: Path) -> list[Path]:
        """Return the files or objects that a path with ``*`` and ``?`` in it names, sorted.

        Raises:
            MachineError: If a store cannot be listed.
        """
        if not is_stored(pattern):
            return [Path(p) for p in sorted(glob(str(pattern)))]  # noqa: PTH207 (folders, too)
        number = next((n for n, part in enumerate(pattern.parts) if set("*?[") & set(part)), None)
        if number is None:
            return [pattern] if self.is_file(pattern) else []
        folder, wanted = Path(*pattern.parts[:number]), pattern.parts[number:]
        found = [folder / key for key in self._listing(folder)]
        found = [path for path in found if len(path.parts) == len(pattern.parts)]
        matching = [p for p in found if all(map(fnmatchcase, p.parts[number:], wanted))]
        return sorted(matching, key=str)

    def _kept(self, path: Path, item: Stored, *part: int) -> Path | None:
        return None if self._cache is None else self._cache.place(path, item, *part)

    def _alone(self, kept: Path | None) -> AbstractContextManager[None]:
        return nullcontext() if self._cache is None or kept is None else self._cache.alone(kept)

    def _listing(self, folder: Path) -> dict[str, Stored]:
        if folder not in self._folders and folder.parts[0] in self._kinds:
            self._folders[folder] = self._storage(folder).listing()
        return self._folders.get(folder, {})

    def _found(self, path: Path) -> Stored | None:
        if path.parts[0] not in self._kinds:
            return None
        folder = self._folder_of(path)
        if folder in self._folders:
            return self._folders[folder].get(path.relative_to(folder).as_posix())
        return self._storage(folder).look(path.name)

    def _folder_of(self, path: Path) -> Path:
        """Return the folder above that was listed, else the nearest one."""
        return next((place for place in path.parents if place in self._folders), path.parent)

    def _storage(self, folder: Path) -> Storage:
        known = os.getpid(), folder  # a process that was forked needs connections of its own
        if known not in self._storages:
            self._storages[known] = Storage(folder)
        return self._storages[known]


def folders_of(paths: Iterable[Path]) -> list[Path]:
    """Return a folder of each bucket in which all of these objects are that are in the bucket.

    Args:
        paths: Addresses of objects.
    """
    buckets: dict[tuple[str, ...], set[Path]] = {}
    for path in paths:
        buckets.setdefault(path.parent.parts[:BUCKET], set()).add(path.parent)
    return [Path(os.path.commonpath(places)) for places in buckets.values()]


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Have a file of the disk to write while the block runs: itself, or what an object shall be.

    Args:
        path: The file, or the address of the object; one that is there is replaced.

    Raises:
        MachineError: If the store does not take it.
    """
    if not is_stored(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="faceren-") as name:
        yield Path(name) / path.name
        Storage(path.parent).put(Path(name) / path.name, path.name)
