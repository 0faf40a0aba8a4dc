"""The record of a run in a store: what a list in it may have deleted."""

import json
from pathlib import Path

from faceren.runs.segments import MERGED_NAME, settled
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
