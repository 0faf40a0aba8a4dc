"""``restore --verify``: every file against its recorded hash."""

import json
import os

import pytest

from tests.runs import make_run


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


def test_a_file_that_cannot_be_read_is_a_difference(output, run):
    (output / "view.png").unlink()
    os.mkfifo(output / "view.png")
    status, _, stderr = run("restore", "--verify", output)
    assert (status, "view.png: the output cannot be read" in stderr) == (1, True)


def test_a_folder_without_a_record(tmp_path, run):
    status, _, stderr = run("restore", "--verify", tmp_path)
    assert (status, "expected a folder that restore wrote" in stderr) == (2, True)
