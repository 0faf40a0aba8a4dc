import errno
import hashlib
import os

import pytest

from faceren.errors import MachineError
from faceren.files import atomic_path, atomic_write, sha256_of


def test_sha256_is_the_file_s(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize("target", [None, "/dev/zero"])
def test_what_never_ends_is_not_hashed(target, tmp_path):
    path = tmp_path / "a.jpg"
    path.symlink_to(target) if target else os.mkfifo(path)
    with pytest.raises(OSError, match="no regular file"):
        sha256_of(path)


def test_a_write_makes_its_folder_and_leaves_nothing_else(tmp_path):
    atomic_write(tmp_path / "new" / "a.bin", b"one")
    atomic_write(tmp_path / "new" / "a.bin", b"two")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.bin"]
    assert (tmp_path / "new" / "a.bin").read_bytes() == b"two"


def test_a_failed_write_keeps_the_old_file(tmp_path):
    atomic_write(tmp_path / "a", b"old")

    def write_half():
        with atomic_path(tmp_path / "a") as temporary:
            temporary.write_bytes(b"new but half")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        write_half()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_full_disk_is_a_clear_error_and_keeps_the_old_file(tmp_path):
    atomic_write(tmp_path / "a", b"old")
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(MachineError, match="cannot write .*No space"), atomic_path(tmp_path / "a"):
        raise full
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_nothing_but_a_plain_file_is_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(MachineError, match=f"{name}: expected a new or a plain file"):
            atomic_write(tmp_path / name, b"x")
    assert (tmp_path / "pipe").is_fifo()
    assert {path.name for path in tmp_path.iterdir()} == {"pipe", "folder"}


def test_a_long_name_can_be_written(tmp_path):
    name = "n" * 251 + ".png"
    atomic_write(tmp_path / name, b"x")
    assert (tmp_path / name).read_bytes() == b"x"
