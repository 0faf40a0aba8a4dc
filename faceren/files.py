"""Files written whole or not at all, and their hashes."""

import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from faceren.errors import ImageError, MachineError

TEMPORARY = ".faceren-"
"""How the names of unfinished files begin; the number of the writing process follows."""
LONGEST_SUFFIX = 16
"""Characters: a name of 255 bytes may be nothing but suffix."""
UMASK = os.umask(0o077)
os.umask(UMASK)
"""What new files may not be, read at the start: to read it is to set it, for all threads."""


@contextmanager
def atomic_path(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Yield a temporary path in the same folder that becomes ``path`` when the block succeeds.

    The folder is made if needed; the file is synced to disk before it is renamed. If the block
    raises, the temporary file is removed and an existing ``path`` stays as it was.

    Args:
        path: The file to write.
        sync: False does not wait for the disk: for many small files that can be made again.

    Raises:
        MachineError: If the disk is full or fails, the folder cannot be written, or a folder, a
            pipe or a device is there.
        ImageError: If the file's name is too long for the disk.
    """
    try:
        if path.exists() and not path.is_file():  # renaming would put a file in place of a device
            raise MachineError(
                f"cannot write {path}: expected a new or a plain file, this is a folder, a pipe or "
                f"a device; choose another name"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        suffix = path.suffix if len(path.suffix) <= LONGEST_SUFFIX else ""
        prefix = f"{TEMPORARY}{os.getpid()}-"
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o666 & ~UMASK)
            if sync:
                with temporary.open("rb") as file:
                    os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            with suppress(OSError):  # the next run removes it
                temporary.unlink(missing_ok=True)
    except OSError as error:
        if error.errno is None:  # not the system's: a library's name for a picture that is none
            raise
        if error.errno == errno.ENAMETOOLONG:  # of this file alone: the others go on
            length = len(os.fsencode(path.name))
            raise ImageError(
                f"cannot write {path}: expected a name that this disk can hold, got one of "
                f"{length} bytes; give the photo a shorter name"
            ) from error
        raise MachineError(
            f"cannot write {path}: {error.strerror}; free space or choose another folder"
        ) from error


def remove_leftovers(folder: Path, *, below: bool = True) -> None:
    """Remove the unfinished files of runs that were killed; those of living ones stay.

    Args:
        folder: Where ``atomic_path`` was writing, or any folder above.
        below: Look into the folders in it, too: for one that is ours.
    """
    pattern = f"{TEMPORARY}*-*"
    for path in folder.rglob(pattern) if below else folder.glob(pattern):
        number = path.name.removeprefix(TEMPORARY).partition("-")[0]
        if number.isdigit() and not is_running(int(number)):
            with suppress(OSError):  # it does no harm where it is, and the next run tries again
                path.unlink(missing_ok=True)


def is_running(process: int) -> bool:
    """Say whether a process of this machine may be alive.

    Args:
        process: Its number.
    """
    if os.name == "nt":  # where asking would end the process
        return True
    try:
        os.kill(process, 0)  # sends nothing, only asks
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it belongs to someone else, or is no process at all
        return True
    return True


def atomic_write(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write ``data`` to ``path`` through ``atomic_path``."""
    with atomic_path(path, sync=sync) as temporary:
        temporary.write_bytes(data)


def place_copy(source: Path, target: Path) -> None:
    """Give a file a second place in one step, by a hard link where the disk can.

    Args:
        source: The file.
        target: Its second place; a file that is there is replaced, its folder is made.

    Raises:
        MachineError: If it cannot be written, or the source cannot be read.
    """
    temporary = target.parent / f"{TEMPORARY}{os.getpid()}-link"
    with suppress(OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        try:
            temporary.hardlink_to(source)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)  # it is still there if the two were one file before
        return
    with atomic_path(target) as copy:
        shutil.copyfile(source, copy)


def read_bounded(path: Path, limit: int) -> bytes:
    """Return the bytes of a small file that somebody else has written; a pipe will do.

    Args:
        path: The file.
        limit: Most bytes that are read of it.

    Raises:
        OSError: If it cannot be read, or is larger.
    """
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit:,} bytes", str(path))
    return data


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits.

    Raises:
        OSError: If it cannot be read, or is a pipe or a device, which would never end.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "no regular file", str(path))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
