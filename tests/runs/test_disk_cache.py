"""What was fetched of a store and is kept."""

import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from faceren.runs.disk_cache import PREFIX, DiskCache
from faceren.runs.storage import Stored


def test_what_is_kept_is_told_apart_by_version_and_only_its_owner_adds(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cache, address = DiskCache(10), Path("s3:/a/b.png")
    places = {cache.place(address, Stored("b.png", version)) for version in ("1", "2")}
    places |= {cache.place(address, Stored("b.png", "1"), 0, end) for end in (4, 5)}
    assert len(places) == 4
    assert all(place.is_relative_to(cache.folder) for place in places)
    assert cache.place(address, Stored("b.png", ", 7 bytes")) is None
    place = cache.place(address, Stored("b.png", "1"))
    for size, kept in ((11, False), (6, True), (6, True)):
        cache.keep(b"x" * size, place)
        assert place.exists() == kept
    monkeypatch.setattr(os, "getpid", lambda: 1)
    cache.keep(b"y", place)
    assert place.read_bytes() == b"xxxxxx"


READER = """
import sys, time
from datetime import datetime
from pathlib import Path
import fsspec
from faceren.runs.disk_cache import DiskCache
from faceren.runs.disk_or_store import Files
from faceren.runs.storage import Storage

mine, shared = Path(sys.argv[1]), int(sys.argv[2])
system, fetched = fsspec.filesystem("memory"), []
for number in range(30):
    system.pipe_file(f"/a/{number}", b"%d" % number)
    system.store[f"/a/{number}"].created = datetime(2000, 1, 1)  # one version in both
for name in ("fetch", "read"):
    def watched(self, item, *more, honest=getattr(Storage, name)):
        fetched.append(item.key)
        time.sleep(0.005)  # else the first is done before the second begins
        return honest(self, item, *more)
    setattr(Storage, name, watched)
cache = DiskCache(10**6, shared)
mine.touch()
while len(list(mine.parent.glob("*.here"))) < 2:
    time.sleep(0.01)
files = Files([Path("memory://a")], cache)
for number in range(30):
    path = Path(f"memory://a/{number}")
    with files.local(path) as here:
        assert here.read_bytes() == b"%d" % number
    assert files.read(path, 0, 1) == (b"%d" % number)[:1]
print(len(fetched))
"""


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize(("sharers", "expected"), [(2, 60), (1, 120)])
def test_what_one_process_of_a_machine_fetches_no_other_does(tmp_path, sharers, expected):
    own = os.environ | {"TMPDIR": str(tmp_path)}
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, tmp_path / f"{number}.here", str(sharers)],
            env=own,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    counts = [int(reader.communicate(timeout=120)[0]) for reader in readers]
    assert sum(counts) == expected
    assert not list(tmp_path.glob(f"{PREFIX}*"))


def test_a_folder_that_is_shared_goes_with_its_last_process_and_is_nobody_elses(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / f"{PREFIX}{platform.node()}-{os.getppid()}-shared"
    caches = [DiskCache(10, 2) for _ in range(2)]
    assert {cache.folder for cache in caches} == {folder}
    place = caches[0].place(Path("s3:/a/b.png"), Stored("b.png", "1"))
    for size, kept in ((6, False), (5, True)):  # each has half of the room
        caches[0].keep(b"x" * size, place)
        assert place.exists() == kept
    caches[1].clear()
    assert folder.exists()
    caches[0].clear()
    assert not folder.exists()
    folder.symlink_to(tmp_path)
    with pytest.raises(PermissionError, match="not ours alone"):
        DiskCache(10, 2)
    folder.unlink()
    folder.mkdir()
    folder.chmod(0o755)
    with pytest.raises(PermissionError, match="not ours alone"):
        DiskCache(10, 2)
