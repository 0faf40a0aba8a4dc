"""The record of a run in a store: what a list in it may have deleted."""

import json
from pathlib import Path
from types import SimpleNamespace

from faceren.runs import segments
from faceren.runs.manifest import read_manifest
from faceren.runs.segments import MERGED_NAME, SegmentWriter, join, segments_in, settled
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
