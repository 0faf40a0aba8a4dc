"""Files of disks and objects of stores, by one and the same name."""

from pathlib import Path

import pytest

from faceren.errors import FacerenError
from faceren.runs.disk_or_store import Files
from faceren.runs.stored import find_stored


def test_files_finds_what_is_there_and_asks_only_stores_that_were_named(memory, tmp_path):
    for name in ("a/1.tar", "a/2.tar", "a/b/3.tar", "a/x.png", "a/run/report.html"):
        memory.pipe_file(f"/{name}", b"data")
    for name in ("manifest.jsonl", "photo.png", "report/photo.jpg"):
        memory.pipe_file(f"/a/run/{name}", b"data")
    files, place = Files([Path("memory://a")]), Path("memory://a")
    found = files.matching(place / "?.tar")
    assert found == [place / "1.tar", place / "2.tar"]
    assert files.matching(place / "*" / "*.tar") == [place / "b" / "3.tar"]
    assert [item.relative.as_posix() for item in files.images(place)] == ["run/photo.png", "x.png"]
    assert [item.item.key for item in find_stored([place / "x.png"])] == ["x.png"]
    assert files.is_file(place / "x.png")
    assert not files.is_file(place)
    assert files.is_folder(place)
    assert not files.is_folder(place / "none")
    other = Files([tmp_path])
    assert not other.is_file(place / "x.png")
    with pytest.raises(FacerenError, match="memory://a/x.png: no such object, or none that may"):
        other.local(place / "x.png").__enter__()
    (tmp_path / "a.bin").write_bytes(b"0123456789")
    assert files.read(tmp_path / "a.bin", 2, 5) == b"234"
    assert files.read(place / "x.png", 1, 3) == b"at"
