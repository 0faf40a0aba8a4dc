"""Folders in object stores (``s3://``, ``gs://``, …), through fsspec; imported for these alone.

A store has no rename, no append and no lock. An object is written under a temporary key, copied to
its own, and the temporary one is deleted: a copy appears whole or not at all. What was read is told
from what is there later by its version: the store's ETag, else its time, with its size.
"""

import io
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from faceren.errors import FacerenError, MachineError

URL = re.compile(r"([a-z][a-z0-9+.-]+):/+(.*)")
"""As ``Path`` has it: of several slashes one is left. A drive has one letter."""
LIBRARIES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs"}
STORED = "stored"
"""Stands in the annotation of an option whose path may lie in a store: of no other it may."""
UPLOADS_DIR = ".faceren-uploads"
"""Below the output folder: what is on its way."""
PIECE = 2**24
"""Bytes of an object that are held at a time: the record of ten million photos is 600 of them."""
TRIES = 3
PAUSE = 0.5
"""Seconds before the second try; twice as long before the third."""
VERSIONS = ("ETag", "etag", "generation", "LastModified", "mtime", "created")
"""Names under which stores say what tells an object from another one of the same name."""
DENIED = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"}
"""Of the libraries below fsspec, which are not imported for their errors."""
ALLOW = "give credentials that may do this in the usual way, as for the store's tools"
OTHERWISE = (
    ("request time", "the clocks of this machine and of the store differ: set this one's"),
    ("reasonable timeframe", "the clocks of this machine and of the store differ: set this one's"),
    ("storage class", "it is in cold storage: have the store bring it back first"),
)
"""What else S3 and Google's store deny access for, by words of what they say, and what helps."""
Result = TypeVar("Result")


def is_stored(path: Path) -> bool:
    """Say whether a path is a folder or an object of a store, not one of a disk."""
    match = URL.fullmatch(path.as_posix())
    return match is not None and match[1] != "file" and not path.exists()


def spelled(path: Path) -> str:
    """Return a path as people write it: with two slashes if it is in a store."""
    match = URL.fullmatch(path.as_posix())
    return f"{match[1]}://{match[2]}" if match and match[1] != "file" else str(path)


def on_disk(path: Path) -> Path:
    """Return the path that a ``file://`` address means, every other one as it is."""
    match = URL.fullmatch(path.as_posix())
    return Path("/" + match[2]) if match and match[1] == "file" else path


@dataclass(frozen=True)
class Stored:
    """An object of a store, as it was listed."""

    key: str
    """Its path below the folder, with forward slashes."""
    version: str
    """Changes when the object is replaced."""
    size: int | None = None
    """Bytes, if the store says."""

    @property
    def is_told_apart(self) -> bool:
        """Whether the version tells more than the size."""
        return not self.version.startswith(",")


class Storage:
    """A folder of an object store. Threads may share it.

    Args:
        folder: Its address.

    Raises:
        MachineError: If the library for this kind of store is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self.url = spelled(folder)
        scheme = self.url.partition(":")[0]
        try:
            from fsspec.core import url_to_fs

            self._fs: Any
            self._fs, root = url_to_fs(self.url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            library = LIBRARIES.get(scheme, f"fsspec's file system for {scheme}")
            raise MachineError(
                f"{self.url}: this needs {library}, which is not installed; install it: "
                f"pip install 'faceren[storage]'"
            ) from error
        self.root = str(root).rstrip("/")
        self._uploads = f"{UPLOADS_DIR}/{uuid.uuid4().hex}"

    def place(self, key: str) -> str:
        """Return the address of an object as the store's own functions take it."""
        return f"{self.root}/{key}" if key else self.root

    def listing(self, below: str = "") -> dict[str, Stored]:
        """Return all objects below the folder, by their keys; nothing if there is no such folder.

        Args:
            below: A folder in it.

        Raises:
            MachineError: If it cannot be listed.
        """
        with _telling(f"{self.url}: cannot be listed"):
            self._fs.invalidate_cache()
            try:
                found = _tried(lambda: self._fs.find(self.place(below), detail=True))
            except FileNotFoundError:
                return {}
        start = f"{self.root}/"
        keys = {name: name.removeprefix(start) for name in found if name.startswith(start)}
        return {key: _stored(key, found[name]) for name, key in keys.items()}

    def is_object(self) -> bool:
        """Say whether the address is that of one object, not of a folder.

        Raises:
            MachineError: If the store does not say.
        """
        with _telling(f"{self.url}: cannot be looked at"):
            return bool(_tried(lambda: self._fs.isfile(self.root)))

    def look(self, key: str) -> Stored | None:
        """Return an object that is there now; None if there is none, or none that may be seen.

        Raises:
            MachineError: If the store does not say.
        """
        with _telling(f"{self.url}/{key}: cannot be looked at"):
            self._fs.invalidate_cache()
            try:
                info = _tried(lambda: self._fs.info(self.place(key)))
            except (FileNotFoundError, PermissionError):
                return None
        return _stored(key, info) if info.get("type") == "file" else None

    def fetch(self, item: Stored, target: Path) -> None:
        """Copy an object to the disk.

        Args:
            item: As it was listed.
            target: The file; its folder is made.

        Raises:
            FacerenError: If it cannot be read, or was replaced since it was listed.
        """
        try:
            with _telling(f"{self.url}/{item.key}: cannot be read", FacerenError):
                target.parent.mkdir(parents=True, exist_ok=True)
                _tried(lambda: self._got(item, target))
            now = self.look(item.key)
            if now is None or now.version != item.version:
                raise FacerenError(
                    f"{self.url}/{item.key}: was replaced during the run; run again for its new "
                    f"bytes"
                )
        except FacerenError:  # half of a photo would pass for one that is damaged
            target.unlink(missing_ok=True)
            raise

    def _got(self, item: Stored, target: Path) -> None:
        self._fs.get_file(self.place(item.key), str(target))
        if item.size not in (None, size := target.stat().st_size):
            now = self.look(item.key)
            if now is not None and now.version == item.version:
                raise OSError(f"expected {item.size:,} bytes, got {size:,}")

    def put(self, source: Path, key: str) -> str:
        """Write a file into the store, whole or not at all; return its version there.

        Args:
            source: A file on the disk.
            key: Where to; an object that is there is replaced.

        Raises:
            MachineError: If it cannot be written.
        """
        size = source.stat().st_size
        return self._placed(key, size, lambda place: self._fs.put_file(str(source), place))

    def write(self, data: bytes, key: str) -> None:
        """Write bytes, as ``put`` does."""
        self._placed(key, len(data), lambda place: self._fs.pipe_file(place, data))

    def _placed(self, key: str, size: int, write: Callable[[str], object]) -> str:
        """Write an object under a temporary key, then give it its own; return its version."""
        temporary = self.place(f"{self._uploads}/{uuid.uuid4().hex}")

        def whole(place: str) -> dict[str, Any]:
            self._fs.invalidate_cache()
            info: dict[str, Any] = self._fs.info(place)
            if info.get("size") not in (None, size):
                raise OSError(f"expected {size:,} bytes there, got {info['size']:,}")
            return info

        def written() -> None:
            write(temporary)
            whole(temporary)

        with _telling(f"{self.url}/{key}: cannot be written"):
            try:
                _tried(written)
                self._copied(temporary, key)
                info = _tried(lambda: whole(self.place(key)))
                _tried(lambda: self._removed(temporary))
            except Exception:
                with suppress(Exception):  # what stays does no harm
                    self._removed(temporary)
                raise
        return _version(info)

    def read(self, item: Stored, start: int = 0, end: int | None = None) -> bytes:
        """Return the bytes of a small object, or some of them.

        Args:
            item: As it was listed.
            start: Where they begin.
            end: Where they end; None is the end of the object.

        Raises:
            MachineError: If it cannot be read.
        """
        last = item.size if end is None else end

        def got() -> bytes:
            data = bytes(self._fs.cat_file(self.place(item.key), start=start, end=end))
            if last not in (None, start + len(data)):
                raise OSError(f"expected {last - start:,} bytes, got {len(data):,}")
            return data

        with _telling(f"{self.url}/{item.key}: cannot be read"):
            return _tried(got)

    def pieces(self, item: Stored) -> Iterator[bytes]:
        """Yield the bytes of an object of any size, at most PIECE at a time.

        Args:
            item: As it was listed.

        Raises:
            MachineError: If it cannot be read, or is replaced meanwhile.
        """
        if item.size is None or item.size <= PIECE:
            yield self.read(item)
            return
        for start in range(0, item.size, PIECE):
            yield self.read(item, start, min(start + PIECE, item.size))
        now = self.look(item.key)
        if now is None or now.version != item.version:
            raise MachineError(
                f"{self.url}/{item.key}: was replaced while it was read; run it again"
            )

    def move(self, key: str, other: str) -> None:
        """Give an object another key: it is copied, then deleted.

        Raises:
            MachineError: If it cannot be.
        """
        with _telling(f"{self.url}/{key}: cannot be moved to {other}"):
            self._copied(self.place(key), other)
            _tried(lambda: self._removed(self.place(key)))

    def remove(self, keys: list[str]) -> None:
        """Delete objects; those that are gone are no matter.

        Raises:
            MachineError: If they cannot be.
        """
        with _telling(f"{self.url}: objects in it cannot be deleted"):
            for key in keys:
                _tried(partial(self._removed, self.place(key)))

    def _removed(self, place: str) -> None:
        with suppress(FileNotFoundError):
            self._fs.rm_file(place)

    def _copied(self, start: str, key: str) -> None:
        target = self.place(key)
        self._fs.makedirs(str(PurePosixPath(target).parent), exist_ok=True)
        _tried(lambda: self._fs.cp_file(start, target))


class ObjectFile(io.RawIOBase):
    """An object as a file of which any part can be read; read it through a buffer.

    Args:
        storage: The folder that it is in.
        item: As it was listed.

    Raises:
        MachineError: Of its methods: if it cannot be read.
    """

    def __init__(self, storage: Storage, item: Stored) -> None:
        super().__init__()
        self._storage = storage
        self._item = item
        self._size = item.size or 0
        self._at = 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that any part of it can."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; return it."""
        self._at = max(0, (0, self._at, self._size)[whence] + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read as much as there is room for; return how much that is, 0 at the end."""
        end = min(self._at + len(buffer), self._size)
        data = self._storage.read(self._item, self._at, end) if end > self._at else b""
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _stored(key: str, info: dict[str, Any]) -> Stored:
    size = info.get("size")
    return Stored(key, _version(info), size if isinstance(size, int) else None)


def _version(info: dict[str, Any]) -> str:
    said = next((info[name] for name in VERSIONS if info.get(name)), "")
    if isinstance(said, datetime):  # some stores list it as a number, and tell it as a date
        said = said.timestamp()
    text = str(said).strip('"')
    return f"{text}, {info.get('size')} bytes"


def _tried(work: Callable[[], Result]) -> Result:
    """Return what a call to the store gives, at most the third time."""
    for number in range(1, TRIES):
        try:
            return work()
        except (FileNotFoundError, PermissionError):
            raise
        except Exception as error:  # each library has errors of its own
            if type(error).__name__ in DENIED:
                raise
            time.sleep(PAUSE * number)
    return work()


@contextmanager
def _telling(what: str, kind: type[FacerenError] = MachineError) -> Iterator[None]:
    """Say in one line what went wrong in a store, and what to do."""
    try:
        yield
    except FacerenError:
        raise
    except FileNotFoundError as error:
        raise kind(f"{what}: it is gone") from error
    except Exception as error:
        text = " ".join(str(error).split())[:200] or type(error).__name__
        if isinstance(error, PermissionError) or type(error).__name__ in DENIED:
            text += "; " + next((advice for words, advice in OTHERWISE if words in text), ALLOW)
        raise kind(f"{what}: {text}") from error
