"""What was fetched of a store and will be needed again, on the disk of this machine.

Images are drawn at random, epoch after epoch: none is a better guess than another. So what came
first stays until the process ends, and when the room is used up nothing more is kept.
"""

import errno
import hashlib
import os
import platform
import shutil
import stat
import tempfile
import threading
import uuid
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from faceren.errors import MachineError
from faceren.files import atomic_write, is_running
from faceren.runs.storage import Stored

PREFIX = "faceren-cache-"
"""How the names of these folders begin; the machine's name and the process's number follow."""
SIGN_SUFFIX = ".process"
"""Of empty files, each of which says of a process that it is there, for those that share it."""
LOCK_SUFFIX = ".lock"
"""Of locks, one for each of the 256 folders of objects: one for each object were millions."""
PATIENCE = 300.0
"""Seconds to wait for what another process fetches, before it is fetched here, too."""
COUNTING = threading.Lock()


class DiskCache:
    """A folder among the temporary ones; it is removed with the object, or by the next process.

    The process that has made it adds to it. Its children, and the threads of all, read. Processes
    of one parent, as ``torchrun`` starts them, may share it: each adds to it, and what one of them
    has fetched none of the others does. The last one that ends removes it.

    Args:
        limit: Most bytes in it. Never more than half of what the disk has free at the start.
        sharers: How many processes of this one's parent share it; each adds its part of the limit.

    Raises:
        OSError: If it cannot be made.
    """

    def __init__(self, limit: int, sharers: int = 1) -> None:
        start = f"{PREFIX}{platform.node()}-"
        for left in Path(tempfile.gettempdir()).glob(f"{start}*-*"):
            number = left.name.removeprefix(start).partition("-")[0]
            if number.isdigit() and not is_running(int(number)):  # it was killed
                shutil.rmtree(left, ignore_errors=True)
        self._shared, self._owner = sharers > 1, os.getpid()
        self._sign = f"{self._owner}-{uuid.uuid4().hex}{SIGN_SUFFIX}"
        if self._shared:
            self.folder = Path(tempfile.gettempdir()) / f"{start}{os.getppid()}-shared"
            _join(self.folder, self._sign)
        else:
            self.folder = Path(tempfile.mkdtemp(prefix=f"{start}{self._owner}-"))
        self._room = min(limit, shutil.disk_usage(self.folder).free // 2) // sharers
        weakref.finalize(self, _leave, self.folder, self._owner, self._sign)

    def place(self, address: Path, item: Stored, *part: int) -> Path | None:
        """Return where an object is, or would be; None if it could be taken for another one.

        Args:
            address: Of the object.
            item: As it was listed: its version is part of the name.
            part: Where its bytes begin and end, if it is not all of them.
        """
        if not item.is_told_apart:
            return None
        told = "\n".join(map(str, (address, item.version, *part)))
        digest = hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
        return self.folder / digest[:2] / f"{digest}{address.suffix if not part else ''}"

    @contextmanager
    def alone(self, place: Path) -> Iterator[None]:
        """Have what is at a place for oneself while the block fetches it; others wait for it.

        Args:
            place: See ``place``. If anything is there, nobody waits.
        """
        if not self._shared or os.getpid() != self._owner or not self._room or place.is_file():
            yield
            return
        lock = FileLock(place.parent.with_suffix(LOCK_SUFFIX), timeout=PATIENCE)
        with suppress(OSError, NotImplementedError):  # without it an image is fetched twice
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def take(self, file: Path, place: Path) -> bool:
        """Move a file that was fetched to its place, if there is room; say whether there was.

        Args:
            file: Among the temporary ones, too.
            place: See ``place``.
        """
        if not self._admits(file.stat().st_size):
            return False
        with suppress(OSError):  # the disk is full, or it is another one
            place.parent.mkdir(exist_ok=True)
            file.replace(place)
            return True
        return False

    def keep(self, data: bytes, place: Path) -> None:
        """Write bytes that were read to their place, if there is room."""
        if self._admits(len(data)):
            with suppress(MachineError):
                atomic_write(place, data, sync=False)

    def clear(self) -> None:
        """Remove what is kept, unless others share it, and keep nothing more."""
        self._room = 0
        _leave(self.folder, self._owner, self._sign)

    def _admits(self, size: int) -> bool:
        with COUNTING:
            if os.getpid() != self._owner or size > self._room:
                return False
            self._room -= size
            return True


def _join(folder: Path, sign: str) -> None:
    """Make a folder that processes share, or come into it.

    Its name can be told beforehand: what is somebody else's is not used.

    Raises:
        OSError: If it cannot be made, or is not ours alone.
    """
    for _ in range(3):
        with suppress(FileNotFoundError):  # who was in it has left in that moment
            folder.mkdir(mode=0o700, exist_ok=True)
            found = folder.lstat()
            foreign = hasattr(os, "getuid") and found.st_uid != os.getuid()
            if foreign or found.st_mode & 0o077 or not stat.S_ISDIR(found.st_mode):
                raise PermissionError(errno.EACCES, "not ours alone", str(folder))
            (folder / sign).touch()
            return
    raise FileNotFoundError(errno.ENOENT, "removed again and again", str(folder))


def _leave(folder: Path, owner: int, sign: str) -> None:
    """Remove a folder, unless others are in it."""
    if os.getpid() != owner:  # a child that has a copy of the object
        return
    with suppress(OSError):
        (folder / sign).unlink(missing_ok=True)
    others = (path.name.partition("-")[0] for path in folder.glob(f"*{SIGN_SUFFIX}"))
    if not any(number.isdigit() and is_running(int(number)) for number in others):
        shutil.rmtree(folder, ignore_errors=True)
