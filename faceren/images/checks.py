"""Which files are photos: found among folders, and what one must be before it is decoded.

That is: there, of a known format, not too large.
"""

import errno
import os
import stat
import struct
import threading
import unicodedata
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from faceren.errors import FacerenError, ImageError
from faceren.images.containers import bmff

DEFAULT_MAX_PIXELS = 2**28
"""Pixels of a photo that are decoded without asking: 768 MiB as 24-bit colour."""

MAGIC = {
    b"\xff\xd8\xff": "jpeg",
    b"\x89PNG\r\n\x1a\n": "png",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"II+\0": "tiff",
    b"MM\0+": "tiff",
    b"BM": "bmp",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
    b"\0\0\0\x0cjP  \r\n\x87\n": "jp2",
    b"\xff\x4f\xff\x51": "jp2",
}
BRANDS = {b"avif": "avif", b"avis": "avif"} | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "heif"
)
ANY_CODING = (b"mif1", b"msf1")
"""Brands of files whose pictures may be coded as in HEIC or as in AVIF."""
RAW = "a raw camera file{}; develop it and restore the TIFF or JPEG"
OTHERS = {
    b"FUJIFILMCCD-RAW": RAW.format(" (Fujifilm RAF)"),
    b"IIRO": RAW.format(" (Olympus ORF)"),
    b"IIRS": RAW.format(" (Olympus ORF)"),
    b"MMOR": RAW.format(" (Olympus ORF)"),
    b"IIU\0": RAW.format(" (Panasonic RW2)"),
    b"FOVb": RAW.format(" (Sigma X3F)"),
    b"8BPS": "a Photoshop document; save it as TIFF or PNG",
    b"%PDF": "a PDF; extract its pictures first",
    b"\xff\x0a": "a JPEG XL picture; convert it to PNG or TIFF first",
    b"\0\0\0\x0cJXL ": "a JPEG XL picture; convert it to PNG or TIFF first",
}
"""Formats that are told by their names, as they are no photos that can be restored."""
DAMAGE = (
    *(OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, ArithmeticError),
    *(RuntimeError, AttributeError, AssertionError, struct.error, zlib.error),
)
"""What decoders raise on damaged files (SyntaxError: no such file of theirs)."""
BOMB_PIXELS, BOMB_RATIO = 1 << 24, 20_000
"""A picture of more pixels than this, and than this for every byte of its file, is empty."""
EXPECTED = "expected a JPEG, PNG, TIFF, WebP, BMP, GIF, AVIF, HEIC or JPEG 2000 photo"

_one_at_a_time = threading.Lock()  # the filters of warnings belong to the whole process


@contextmanager
def warnings_off() -> Iterator[None]:
    """Silence the warnings of Pillow while it reads headers.

    It warns of damaged EXIF and of many pixels; we keep EXIF as it is and have our own limit.
    """
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def shown(path: Path | str) -> str:
    """Return a path for a message: one line, whatever characters its name has."""
    return "".join(
        c if c.isprintable() or c == "\u200d" else c.encode("unicode_escape").decode()
        for c in str(path)
    )


def kind_of(head: bytes) -> str | None:
    """Return the format that the first 16 bytes of a file announce, None if none we know."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        return BRANDS.get(head[8:12])
    return next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), None)


def check_file(path: Path) -> str:
    """Return the format of a photo: jpeg, png, tiff, webp, bmp, gif, avif, heif or jp2.

    Raises:
        ImageError: If the file is missing, unreadable, empty, or of no format we know.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            os.scandir(path).close()  # says why, when a folder cannot be listed
            raise ImageError(f"{shown(path)}: {EXPECTED}, this is a folder")
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{shown(path)}: {EXPECTED}, this is no regular file")
        if status.st_size == 0:
            raise ImageError(f"{shown(path)}: the file is empty (0 bytes); copy it again")
        with path.open("rb") as file:
            head = file.read(16)
            rest = file.read() if head[4:8] == b"ftyp" and head[8:12] in ANY_CODING else b""
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    kind = kind_of(head)
    if rest:
        try:
            kind = "avif" if bmff.parse(head + rest).is_av1 else "heif"
        except ImageError as error:
            raise named(error, path) from error
    if kind is None or head[8:11] == b"CR\2":
        raise ImageError(f"{shown(path)}: {EXPECTED}, {_other(head)}")
    return kind


def _other(head: bytes) -> str:
    """Say what a file is that is no photo."""
    if head[8:11] == b"CR\2":
        return "this is " + RAW.format(" (Canon CR2)")
    if head[4:12] == b"ftypcrx ":
        return "this is " + RAW.format(" (Canon CR3)")
    for magic, name in OTHERS.items():
        if head.startswith(magic):
            return f"this is {name}"
    return "the content is none of them"


def unreadable(path: Path, error: Exception) -> ImageError:
    """Return the error that says why a file could not be opened or decoded."""
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ENOENT:
        reason = "no such file (moved or deleted meanwhile, or a broken link)"
    elif number is not None:
        reason = os.strerror(number)  # Pillow's own errors have no number
    else:
        reason = f"damaged or incomplete ({' '.join(str(error).split())})"
    return ImageError(f"{shown(path)}: cannot be read: {reason}")


def check_size(path: Path, width: int, height: int, max_pixels: int, pages: int = 1) -> None:
    """Refuse a photo of no pixels or more than ``max_pixels``, all pages together.

    Raises:
        ImageError: With both numbers.
    """
    if width <= 0 or height <= 0:
        raise ImageError(f"{shown(path)}: the header says {width}×{height} pixels; damaged")
    total = width * height * pages
    if total > max_pixels:
        size = f"{width:,}×{height:,}" + (f" × {pages:,} pages" if pages > 1 else "")
        raise ImageError(
            f"{shown(path)}: {size} = {total:,} pixels, more than the limit of {max_pixels:,}; "
            f"raise it with --max-pixels {total} if the file is trusted"
        )


def check_ratio(path: Path, pixels: int, size: int) -> None:
    """Refuse a small file of which a huge picture would be made: an empty one, or an attack.

    Args:
        path: The file.
        pixels: That its header announces.
        size: Bytes of the file.

    Raises:
        ImageError: With both numbers.
    """
    if pixels > BOMB_PIXELS and pixels > BOMB_RATIO * size:
        raise ImageError(
            f"{shown(path)}: {size:,} bytes that unfold to {pixels:,} pixels are no photo; damaged"
        )


def named(error: FacerenError, path: Path) -> FacerenError:
    """Return a new error, to be raised from the old one, that begins with the name of the file."""
    name = shown(path)
    if str(error).startswith(name):
        return type(error)(str(error))  # raised from itself it would forget what it came from
    if str(error).startswith("damaged or incomplete"):
        return ImageError(f"{name}: cannot be read: {error}")
    return type(error)(f"{name}: {error}")


SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".webp", ".bmp", ".dib", ".gif"),
    *(".avif", ".heic", ".heif", ".hif", ".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc"),
)
"""Suffixes, in lower case, of the files that a folder is searched for."""

OF_A_RUN = frozenset({"manifest.jsonl", "report.html"})
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
