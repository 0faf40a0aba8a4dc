"""What was fetched of a store and is kept."""

import os
import tempfile
from pathlib import Path

from faceren.runs.disk_cache import DiskCache
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
