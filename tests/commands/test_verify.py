"""``--verify``, of folders on a disk and in a store."""

import json
import os

import pytest

from faceren.runs.segments import MERGED_NAME
from tests.runs import in_store, make_run


@pytest.fixture
def output(tmp_path):
    return make_run(tmp_path)


def test_all_is_as_recorded(output, run):
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    status, stdout, stderr = run("restore", "--verify", output)
    assert (status, stdout) == (0, "")
    assert stderr == (
        f"5 photos: all is as recorded, 1 failed then and has no output; in {output}\n"
    )
    assert before == {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}


def test_each_difference_is_a_line(output, tmp_path, run):
    (output / "view.png").write_bytes((output / "view.png").read_bytes() + b"\0")
    (output / "a b" / "one.png").unlink()
    (tmp_path / "photos" / "three.jpg").write_bytes(b"another")
    status, stdout, stderr = run("restore", "--verify", output, "--json")
    assert status == 1
    *lines, summary = stderr.splitlines()
    assert lines == [
        "error: a b/one.png: the output is gone",
        f"error: the original has changed since the run: {tmp_path}/photos/three.jpg",
        "error: view.png: the output has changed since the run",
    ]
    assert summary == (f"5 photos: 3 files differ, 1 failed then and has no output; in {output}")
    found = {line["key"]: line for line in map(json.loads, stdout.splitlines())}
    assert (found["a b/one.png"]["input"], found["a b/one.png"]["output"]) == ("same", "gone")
    assert (found["three.jpg"]["input"], found["three.jpg"]["output"]) == ("changed", "same")
    assert found["a b/two.png"]["differences"] == []


def test_an_original_that_is_elsewhere_is_no_difference(output, tmp_path, run):
    (tmp_path / "photos").rename(tmp_path / "moved")
    status, _, stderr = run("restore", "--verify", output)
    assert status == 0
    assert "1 failed then and has no output, 5 originals are not there" in stderr


def test_what_the_record_cannot_tell_is_a_difference(output, run):
    path = output / "manifest.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line.pop("output_sha256" if line.get("key") == "view.png" else "", None)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + "[\n")
    status, _, stderr = run("restore", "--verify", output)
    assert status == 1
    assert "the output has no hash in the record" in stderr
    assert f"line {len(lines) + 1} is left out" in stderr
    assert "1 line is damaged" in stderr


@pytest.mark.parametrize("behind", [b'{"key": "view.p', bytes(4096)])
def test_a_record_that_was_cut_off_is_a_difference(output, run, behind):
    path = output / "manifest.jsonl"
    path.write_bytes(path.read_bytes() + behind)
    status, _, stderr = run("restore", "--verify", output)
    assert status == 1
    assert "error: the last line of the manifest is cut off" in stderr
    assert "1 line is damaged" in stderr


def test_a_record_of_nothing_is_no_success(output, run):
    (output / "manifest.jsonl").write_bytes(b"")
    status, _, stderr = run("restore", "--verify", output)
    assert (status, stderr) == (3, f"error: {output}: its record names no photo to compare\n")


def test_damaged_lines_are_told_by_the_page_too(output, run):
    path = output / "manifest.jsonl"
    path.write_bytes(path.read_bytes() + bytes(7) + b"\n" + "{ä}\n".encode("latin-1"))
    count = len(path.read_bytes().splitlines())
    status, _, stderr = run("restore", "--report-only", output)
    assert status == 0
    for number in (count - 1, count):
        assert f"warning: {path}: line {number} is left out: expected one JSON object" in stderr


def test_a_file_that_cannot_be_read_is_a_difference(output, run):
    (output / "view.png").unlink()
    os.mkfifo(output / "view.png")
    status, _, stderr = run("restore", "--verify", output)
    assert (status, "view.png: the output cannot be read" in stderr) == (1, True)


def test_a_folder_without_a_record(tmp_path, run):
    status, _, stderr = run("restore", "--verify", tmp_path)
    assert (status, "expected a folder that restore wrote" in stderr) == (2, True)


def test_a_store_is_verified_as_a_disk_is(output, tmp_path, run, memory):
    in_store(memory, tmp_path)
    memory.pipe_file(f"/a/out/{MERGED_NAME}", b"[]")  # of a merge that was interrupted
    before = {name: memory.cat_file(name) for name in memory.find("/")}
    status, _, said = run("restore", "--verify", "memory://a/out")
    assert (status, said) == (
        0,
        "5 photos: all is as recorded, 1 failed then and has no output; in memory://a/out\n",
    )
    assert {name: memory.cat_file(name) for name in memory.find("/")} == before
    memory.pipe_file("/a/out/view.png", memory.cat_file("/a/out/view.png") + b"\0")
    memory.rm_file("/a/out/a b/one.png")
    memory.pipe_file("/a/photos/three.jpg", b"another")
    memory.rm_file("/a/photos/a b/two.png")
    status, stdout, said = run("restore", "--verify", "memory://a/out", "--json")
    assert status == 1
    assert said.splitlines() == [
        "error: a b/one.png: the output is gone",
        "error: the original has changed since the run: memory://a/photos/three.jpg",
        "error: view.png: the output has changed since the run",
        "5 photos: 3 files differ, 1 failed then and has no output, 1 original is not there; in "
        "memory://a/out",
    ]
    assert len(stdout.splitlines()) == 5


def test_what_a_store_does_not_give_is_named_and_nobody_else_is_asked(
    output, tmp_path, run, memory, monkeypatch
):
    in_store(memory, tmp_path)
    text = memory.cat_file("/a/out/manifest.jsonl").replace(b"memory://a/photos/v", b"http://x/v")
    memory.pipe_file("/a/out/manifest.jsonl", text + b"[\n")
    fetched = type(memory).get_file

    def get_file(self, path, target, **more):
        if path.endswith("out/three.jpg"):
            raise PermissionError("Access Denied")
        fetched(self, path, target, **more)

    monkeypatch.setattr(type(memory), "get_file", get_file)
    status, _, said = run("restore", "--verify", "memory://a/out")
    assert status == 1
    assert (
        "three.jpg: the output cannot be read (memory://a/out/three.jpg: cannot be read: " in said
    )
    assert "error: memory://a/out/manifest.jsonl: line 7 is left out" in said
    assert "1 file differs, 1 failed then and has no output, 1 original is not there" in said


def test_a_store_without_a_record_or_with_parts_that_are_not_merged(output, tmp_path, run, memory):
    memory.pipe_file("/a/none/x.png", b"x")
    status, _, said = run("restore", "--verify", "memory://a/none")
    assert (status, "memory://a/none: expected a folder that restore wrote" in said) == (2, True)
    in_store(memory, tmp_path)
    memory.pipe_file(f"/a/out/.shards/0-of-2.0001-{'0' * 32}.000000.jsonl", b"{}\n")
    status, _, said = run("restore", "--verify", "memory://a/out")
    assert (status, "memory://a/out holds the records of shard 0/2" in said) == (2, True)
