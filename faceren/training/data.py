"""The clean images of a run: found, decoded once, kept in memory if they fit.

They lie in folders, or in tar shards as webdataset lays them out: few large files in place of
millions. Any sample may be drawn at any step, so that runs can be repeated and resumed; so a shard
is read at any place, by an index of its members that is made at the start. ``webdataset`` itself
reads from front to back and shuffles in a buffer, which would make a sample depend on those before
it. A compressed shard cannot be read so; the images in it are compressed anyway.
Letters: H and W are the pixels of an image, which may differ from image to image.
"""

import os
import tarfile
import tempfile
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from faceren.arrays import Rgb8
from faceren.errors import ConfigError, FacerenError, ImageError, MachineError, may_pass
from faceren.images import read_rgb, shown
from faceren.images.checks import SUFFIXES
from faceren.runs.disk_cache import DiskCache
from faceren.runs.disk_or_store import Files
from faceren.runs.storage import is_stored, on_disk, spelled
from faceren.training.events import Reading

END = b"\0" * tarfile.BLOCKSIZE
"""What stands after the last member of a whole tar."""
COMPRESSED = {
    b"\x1f\x8b": "gunzip",
    b"BZh": "bunzip2",
    b"\xfd7z": "unxz",
    b"\x28\xb5\x2f\xfd": "unzstd",
}
"""How compressed files begin, and what decompresses them."""


@dataclass(frozen=True)
class Member:
    """One image in a shard."""

    shard: Path
    key: str
    """Its name in there, with forward slashes."""
    start: int
    """Where its bytes begin."""
    size: int
    """How many they are."""

    def __str__(self) -> str:
        return f"{spelled(self.shard)}/{self.key}"


def index_of(key: str, shard: Path, files: Files) -> list[Member]:
    """Return the images of a shard, in the order that a folder of them would have.

    Other members (labels, captions, links, hidden names) are left out.

    Args:
        key: Recipe key of the shard, for messages.
        shard: A tar file, not compressed.
        files: Reads it.

    Raises:
        ConfigError: If it is compressed, damaged, cut short or holds no image.
        MachineError: If it is in a store that does not give it.
    """
    name = shown(spelled(shard))
    try:
        with files.opened(shard) as file:
            head = file.read(4)
            for magic, tool in COMPRESSED.items():
                if head.startswith(magic):
                    raise ConfigError(
                        f"{key}: {name}: expected a tar that is not compressed, as its "
                        f"images are read in any order; {tool} it first"
                    )
            file.seek(0)
            with tarfile.open(fileobj=file, mode="r:") as tar:
                members = [member for member in tar if member.isreg() and not member.issparse()]
            file.seek(tar.offset)
            if file.read(len(END)) != END:
                raise tarfile.ReadError("unexpected end of data")
    except (tarfile.TarError, OSError, ValueError) as error:
        raise ConfigError(
            f"{key}: {name}: expected a whole tar file of images ({error}); copy or make it again"
        ) from error
    found = []
    for member in members:
        place = PurePosixPath(member.name)
        if place.suffix.lower() in SUFFIXES and not any(p.startswith(".") for p in place.parts):
            found.append(Member(shard, place.as_posix(), member.offset_data, member.size))
    if not found:
        raise ConfigError(
            f"{key}: {name}: expected images, but none of its {len(members)} files "
            f"has the suffix of one"
        )
    return sorted(found, key=lambda member: PurePosixPath(member.key).parts)


def read_member(member: Member, files: Files) -> Rgb8:
    """Return an image as it is seen, (H, W, 3).

    Args:
        member: Its place.
        files: Reads it.

    Raises:
        ImageError: If it cannot be read.
        MachineError: If it is in a store that does not give it.
    """
    try:
        data = files.read(member.shard, member.start, member.start + member.size)
    except OSError as error:
        raise ImageError(f"{shown(str(member))}: {error.strerror}") from error
    if len(data) < member.size:
        raise ImageError(f"{shown(str(member))}: the shard has become shorter")
    # the readers of pictures take files: they ask for them by name, size and time
    with tempfile.TemporaryDirectory(prefix="faceren-") as folder:
        file_ = Path(folder) / f"image{PurePosixPath(member.key).suffix}"
        file_.write_bytes(data)
        try:
            return read_rgb(file_)
        except ImageError as error:
            told = str(error).replace(shown(file_), shown(str(member)))
            raise type(error)(told) from error


DECODERS = 8
"""Threads that decode; OpenCV and Pillow do so outside Python's lock."""
GIB = 2**30


@dataclass(frozen=True)
class Entry:
    """One usable image."""

    path: Path | Member
    """Its file, or its place in a shard."""
    key: str
    """Path relative to its folder or in its shard, with forward slashes: seeds fixed damage."""
    folder: int
    """Which of the recipe's entries it is from: a folder, or shards."""
    short: int
    """Shorter side after reading, pixels."""


@dataclass(frozen=True)
class Images:
    """Clean images by number; ``read`` decodes again what is not in memory."""

    entries: tuple[Entry, ...]
    pixels: tuple[Rgb8, ...]
    """All of them, or none if they do not fit into memory."""
    max_side: int
    skipped: tuple[str, ...] = ()
    """Unusable files: path and reason each."""
    files: Files = field(default_factory=lambda: Files(()))
    """Reads them."""

    def __len__(self) -> int:
        return len(self.entries)

    def read(self, number: int) -> Rgb8:
        """Return image ``number``, (H, W, 3), not to be written to.

        Raises:
            ImageError: If it is not in memory and its file has become unreadable.
            MachineError: If it is in a store that does not give it.
        """
        if self.pixels:
            return self.pixels[number]
        return read_limited(self.entries[number].path, self.max_side, self.files)

    def choose(self, numbers: Sequence[int], skipped: tuple[str, ...] = ()) -> "Images":
        """Return some of the images, in the given order, and what to say was skipped."""
        entries = tuple(self.entries[number] for number in numbers)
        pixels = tuple(self.pixels[number] for number in numbers) if self.pixels else ()
        return Images(entries, pixels, self.max_side, skipped, self.files)


def read_limited(path: Path | Member, max_side: int, files: Files) -> Rgb8:
    """Return an image, (H, W, 3), shrunk so that its shorter side is at most ``max_side``.

    Raises:
        ImageError: If it cannot be read.
        MachineError: If it is in a store that does not give it.
    """
    pixels = read_member(path, files) if isinstance(path, Member) else _read_file(path, files)
    short = min(pixels.shape[:2])
    if short <= max_side:
        return pixels
    height, width = (round(n * max_side / short) for n in pixels.shape[:2])
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _read_file(path: Path, files: Files) -> Rgb8:
    try:
        with files.local(path) as here:
            return read_rgb(here)
    except (ImageError, MachineError):
        raise
    except FacerenError as error:
        gone = isinstance(error.__cause__, FileNotFoundError | PermissionError | None)
        raise (ImageError if gone else MachineError)(str(error)) from error


def read_images(
    key: str,
    folders: Sequence[str],
    *,
    min_side: int,
    max_side: int,
    cache_gib: float,
    disk_gib: float = 0,
) -> Generator[Reading, None, Images]:
    """Decode every image below some folders, yielding how far it is; return the usable ones.

    Args:
        key: Recipe key of the folders, for messages.
        folders: Where to look: folders, searched recursively, and tar shards, one by name or many
            by a pattern (``shards/*.tar``); on a disk or in object stores.
        min_side: Images with a shorter side below this many pixels are skipped.
        max_side: Images with a shorter side above this are shrunk to it.
        cache_gib: Keep the pixels if all of them take at most this.
        disk_gib: Keep what is fetched from stores on the disk, up to this; processes that
            ``torchrun`` has started on this machine share it, and fetch each image once.

    Raises:
        ConfigError: If a folder is missing, a shard is no whole plain tar, or there is no usable
            image.
        MachineError: If a store cannot be listed or read.
    """
    cache = _cache(folders, disk_gib)
    files = Files(map(Path, folders), cache)
    found: list[tuple[int, Path | Member, str]] = []
    for number, folder in enumerate(folders):
        found += ((number, *image) for image in _images_in(key, folder, files))
    entries: list[Entry] = []
    kept: list[Rgb8] = []
    skipped: list[str] = []
    room = cache_gib * GIB
    with ThreadPoolExecutor(DECODERS) as pool:
        results = pool.map(lambda item: _decode(item[1], min_side, max_side, files), found)
        for done, ((number, path, name), result) in enumerate(zip(found, results, strict=True), 1):
            if isinstance(result, str):
                skipped.append(f"{_name_of(path)}: {result}")
            else:
                entries.append(Entry(path, name, number, min(result.shape[:2])))
                room -= result.nbytes
                kept.append(result)
            if room < 0:
                kept.clear()
            if done % 100 == 0 or done == len(found):
                yield Reading(done=done, total=len(found))
    if not entries:
        reasons = f"; {len(skipped)} files are unusable, the first: {skipped[0]}" if skipped else ""
        where = ", ".join(folders)
        raise ConfigError(f"{key}: expected images, found no usable one in {where}{reasons}")
    pixels = tuple(kept) if room >= 0 else ()
    if pixels and cache is not None:
        cache.clear()  # nothing is read again
    return Images(tuple(entries), pixels, max_side, tuple(skipped), files)


def _cache(folders: Sequence[str], disk_gib: float) -> DiskCache | None:
    limit = round(disk_gib * GIB)
    if not limit or not any(is_stored(Path(folder)) for folder in folders):
        return None
    with suppress(OSError):  # no disk to spare: what is needed again is fetched again
        return DiskCache(limit, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    return None


def _images_in(key: str, name: str, files: Files) -> Iterator[tuple[Path | Member, str]]:
    """Yield where each image of a folder or of shards is, and its key."""
    place = on_disk(Path(name))
    if files.is_folder(place):
        yield from ((image.path, image.relative.as_posix()) for image in files.images(place))
        return
    shards = [place] if files.is_file(place) else files.matching(place)
    if not shards or any(shard.suffix != ".tar" for shard in shards):
        raise ConfigError(f"{key}: expected a folder of images, or .tar files, but {name} is none")
    for shard in shards:
        yield from ((member, member.key) for member in index_of(key, shard, files))


def _name_of(path: Path | Member) -> str:
    return str(path) if isinstance(path, Member) else spelled(path)


def _decode(path: Path | Member, min_side: int, max_side: int, files: Files) -> Rgb8 | str:
    """Return the pixels, or why there are none."""
    try:
        pixels = _read_twice(path, max_side, files)
    except ImageError as error:
        return str(error).removeprefix(f"{_name_of(path)}: ")
    short = min(pixels.shape[:2])
    return pixels if short >= min_side else f"shorter side {short} px, below {min_side}"


def _read_twice(path: Path | Member, max_side: int, files: Files) -> Rgb8:
    """Return an image; if the machine failed, and not the file, try once more.

    A run that went on without the image could not be resumed with it.
    """
    try:
        return read_limited(path, max_side, files)
    except ImageError as error:
        if not may_pass(error):
            raise
    return read_limited(path, max_side, files)


def split_validation(images: Images, count: int) -> tuple[Images, Images]:
    """Return training and validation images: ``count`` evenly chosen, at most a tenth, apart.

    Raises:
        ConfigError: If there are fewer than two images.
    """
    if len(images) < 2:
        raise ConfigError(
            "data.train: expected at least 2 images, one of them to validate on, got 1; "
            "add images or give data.validation"
        )
    held = set(evenly(len(images), min(count, max(1, len(images) // 10))))
    rest = [number for number in range(len(images)) if number not in held]
    return images.choose(rest, images.skipped), images.choose(sorted(held))


def evenly(total: int, count: int) -> list[int]:
    """Return ``count`` different numbers below ``total``, evenly spaced; all if there are fewer."""
    count = min(count, total)
    return [(2 * index + 1) * total // (2 * count) for index in range(count)]
