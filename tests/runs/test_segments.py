"""The record of a run in a store: what a list in it may have deleted."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from faceren.errors import MachineError
from faceren.runs import segments, storage
from faceren.runs.manifest import read_manifest
from faceren.runs.segments import (
    MERGED_NAME,
    SegmentWriter,
    StoredFolder,
    join,
    segments_in,
    settled,
)
from faceren.runs.shards import Shard
from faceren.runs.storage import Storage


def test_a_forged_list_of_what_is_merged_deletes_no_output(memory):
    name = f".shards/0-of-1.0001-{'0' * 32}.000000.jsonl"
    for key in ("a.png", "manifest.jsonl", name):
        memory.pipe_file(f"/a/out/{key}", b"{}\n")
    listed = json.dumps(["a.png", "manifest.jsonl", name]).encode()
    memory.pipe_file(f"/a/out/{MERGED_NAME}", listed)
    storage = Storage(Path("memory://a/out"))
    there, joined = settled(storage)
    assert joined == [name]
    assert set(there) == set(storage.listing()) == {"a.png", "manifest.jsonl"}


def test_no_clock_and_no_chance_decide_which_line_of_a_photo_is_the_latest(
    memory, monkeypatch, tmp_path
):
    storage, shard = Storage(Path("memory://a/out")), Shard(0, 1)
    attempts = (("f" * 32, "2099-01-01"), ("0" * 32, "1999-01-01"))  # of machines with such clocks
    for number, (digits, date) in enumerate(attempts, start=1):
        monkeypatch.setattr(segments.uuid, "uuid4", lambda: SimpleNamespace(hex=digits))  # noqa: B023
        with SegmentWriter(storage, storage.listing(), shard, {"date": date}) as writer:
            writer.append({"input": "memory://a/in/a.png", "key": "a.png", "reason": f"{number}"})
    there = storage.listing()
    (keys,) = segments_in(there).values()
    assert len(keys) == 2
    join(storage, (there[key] for key in keys), tmp_path / "joined")
    found = read_manifest(tmp_path / "joined")
    assert (found.items["a.png"]["reason"], found.header["date"]) == ("2", "1999-01-01")


def test_a_record_of_any_size_passes_in_pieces_and_loses_what_is_torn_of_each(
    memory, monkeypatch, tmp_path
):
    monkeypatch.setattr(storage, "PIECE", 16)
    long = b"x" * 50 + b"\n" + b"y" * 40 + b"\n"
    texts = {"a": long + b"z" * 35, "b": b"short\ntorn", "c": b"no"}
    for key, text in texts.items():
        memory.pipe_file(f"/a/out/{key}", text)
    asked, read = [], type(memory).cat_file

    def cat_file(self, path, start=None, end=None):
        data = read(self, path, start, end)
        asked.append(len(data))
        return data

    monkeypatch.setattr(type(memory), "cat_file", cat_file)
    target = Storage(Path("memory://a/out"))
    there = target.listing()
    join(target, there.values(), tmp_path / "joined")
    assert (tmp_path / "joined").read_bytes() == long + b"short\n"
    assert max(asked) == 16
    assert sum(asked) == sum(map(len, texts.values()))
    memory.pipe_file("/a/out/a", b"another record")
    monkeypatch.setattr(type(memory), "cat_file", lambda *_, start, end: b"x" * (end - start))
    with pytest.raises(MachineError, match="a/out/a: was replaced while it was read"):
        join(target, there.values(), tmp_path / "joined")


def test_of_a_merged_record_a_part_holds_its_own_photos_alone(memory):
    output, shard = Path("memory://a/out"), Shard(1, 4)
    names = [f"{number}.png" for number in range(40)]
    lines = [{"format_version": 1}, *({"input": f"in/{name}", "key": name} for name in names)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    memory.pipe_file("/a/out/manifest.jsonl", text.encode())
    held = StoredFolder.opened(output, "restore", shard).recorded.items
    assert list(held) == [name for name in names if shard.has(name)]
    assert 0 < len(held) < 20
    assert list(StoredFolder.opened(output, "restore", None).recorded.items) == names
