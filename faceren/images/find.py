"""Find photos among files and folders."""

import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".webp", ".bmp", ".dib", ".gif"),
    *(".avif", ".heic", ".heif", ".hif", ".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc"),
)
"""Suffixes, in lower case, of the files that a folder is searched for."""

OF_A_RUN = {"manifest.jsonl", "report.html"}
"""A folder with these files is that of a run, and ``report`` in it holds its page's pictures."""


@dataclass(frozen=True)
class Found:
    """A file that should be a photo."""

    path: Path
    relative: PurePosixPath
    """Its path below the input folder; the bare name of an input that is a file."""


def find_images(
    inputs: Sequence[Path], exclude: Sequence[str] = (), *, but: Path | None = None
) -> Iterator[Found]:
    """Yield the photos among the inputs, sorted by relative path within each input.

    Folders are searched recursively for files with a known suffix; hidden names (``.trash``, the
    ``._a.jpg`` of other systems) and the pictures of review pages are left out. Linked folders are
    followed, but no folder is visited twice, so that a loop of links ends. A file given by name is
    yielded whatever its suffix. A folder that cannot be listed is yielded itself: reading it then
    tells why.

    Args:
        inputs: Files and folders.
        exclude: Glob patterns, as of ``PurePath.match``, for relative paths to leave out; one that
            fits a folder leaves out all below it.
        but: A folder that is not searched, whatever link leads there.
    """
    yield from _found(inputs, exclude, but, photos=True)


def find_others(
    inputs: Sequence[Path], exclude: Sequence[str] = (), *, but: Path | None = None
) -> Iterator[Found]:
    """Yield the files in the input folders that ``find_images`` leaves out for their suffix.

    Sidecars, films, documents, raw camera files: what a run does not touch should be said. Hidden
    names and what ``exclude`` fits are not among them.

    Args:
        inputs: As of ``find_images``.
        exclude: As of ``find_images``.
        but: As of ``find_images``.
    """
    yield from _found(inputs, exclude, but, photos=False)


def same_name(name: str) -> str:
    """Return a name or path in the one spelling by which it is compared with others.

    A letter with an accent may be one character or two (NFC, NFD), as the system likes that wrote
    the name; it is the same name. What is written keeps the spelling that it has.
    """
    return unicodedata.normalize("NFC", name)


def count_files(folders: Sequence[Path]) -> int:
    """Return how many files of any kind lie in folders and below, linked folders left out."""
    return sum(len(names) for folder in folders for _, _, names in os.walk(folder))


def _found(
    inputs: Sequence[Path], exclude: Sequence[str], but: Path | None, *, photos: bool
) -> Iterator[Found]:
    for path in inputs:
        if not path.is_dir():
            if photos:
                yield Found(path, PurePosixPath(path.name))
            continue
        search = _Search(path, [pattern.rstrip("/") for pattern in exclude], photos=photos)
        if but is not None and but.is_dir():
            search.visited.add(_identity(but))
        found = search.run()
        yield from sorted(found, key=lambda item: item.relative.parts)


class _Search:
    def __init__(self, root: Path, exclude: list[str], *, photos: bool) -> None:
        self.root = root
        self.exclude = exclude
        self.photos = photos
        self.visited: set[tuple[int, int]] = set()
        self.linked: list[PurePosixPath] = []  # visited last, so that the real place counts

    def run(self) -> Iterator[Found]:
        yield from self._below(PurePosixPath())
        while self.linked:
            yield from self._below(self.linked.pop(0))

    def _below(self, start: PurePosixPath) -> Iterator[Found]:
        waiting = [start]
        while waiting:
            relative = waiting.pop()
            try:
                if self._is_new(relative):
                    files, folders = self._listed(relative)
                    waiting += folders
                    yield from files
            except OSError:
                if self.photos:
                    yield Found(self.root / relative, relative)

    def _is_new(self, relative: PurePosixPath) -> bool:
        identity = _identity(self.root / relative)
        if identity in self.visited:
            return False
        self.visited.add(identity)
        return True

    def _listed(self, relative: PurePosixPath) -> tuple[list[Found], list[PurePosixPath]]:
        files, folders, names = [], [], set()
        with os.scandir(self.root / relative) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                place = relative / entry.name
                names.add(entry.name)
                if entry.name.startswith(".") or any(place.match(p) for p in self.exclude):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(place)
                elif _is_folder_link(entry):
                    self.linked.append(place)
                elif (place.suffix.lower() in SUFFIXES) == self.photos:
                    files.append(Found(self.root / place, place))
        if names >= OF_A_RUN:
            folders = [place for place in folders if place.name != "report"]
        return files, folders


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _is_folder_link(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
