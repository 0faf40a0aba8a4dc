"""What was fetched of a store and will be needed again, on the disk of this machine.

Images are drawn at random, epoch after epoch: none is a better guess than another. So what came
first stays until the process ends, and when the room is used up nothing more is kept.
"""

import hashlib
import os
import platform
import shutil
import tempfile
import threading
import weakref
from contextlib import suppress
from pathlib import Path

from faceren.errors import MachineError
from faceren.files import atomic_write, is_running
from faceren.runs.storage import Stored

PREFIX = "faceren-cache-"
"""How the names of these folders begin; the machine's name and the process's number follow."""
COUNTING = threading.Lock()


class DiskCache:
    """A folder among the temporary ones; it is removed with the object, or by the next process.

    The process that has made it adds to it. Its children, and the threads of all, read.

    Args:
        limit: Most bytes in it. Never more than half of what the disk has free at the start.

    Raises:
        OSError: If it cannot be made.
    """

    def __init__(self, limit: int) -> None:
        start = f"{PREFIX}{platform.node()}-"
        for left in Path(tempfile.gettempdir()).glob(f"{start}*-*"):
            number = left.name.removeprefix(start).partition("-")[0]
            if number.isdigit() and not is_running(int(number)):  # it was killed
                shutil.rmtree(left, ignore_errors=True)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{start}{os.getpid()}-"))
        self._room = min(limit, shutil.disk_usage(self.folder).free // 2)
        self._owner = os.getpid()
        weakref.finalize(self, _removed, self.folder, self._owner)

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
        """Remove what is kept, and keep nothing more."""
        self._room = 0
        _removed(self.folder, self._owner)

    def _admits(self, size: int) -> bool:
        with COUNTING:
            if os.getpid() != self._owner or size > self._room:
                return False
            self._room -= size
            return True


def _removed(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # not a child that has a copy of the object
        shutil.rmtree(folder, ignore_errors=True)
