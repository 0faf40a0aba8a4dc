"""Taking photos back in a store; its page is in ``test_stored.py``."""

import json
from pathlib import Path

import pytest

from faceren.commands import stored_review
from faceren.commands.review import revert
from faceren.runs.lists import Choice
from faceren.runs.manifest import read_manifest
from faceren.runs.storage import Storage
from tests.runs import in_store, make_run

COMMAND = ("restore", "-o", "memory://a/out", "--no-report", "--revert")


@pytest.fixture
def made(tmp_path, memory):
    """The folder of a run, and the same in a store."""
    output = make_run(tmp_path)
    in_store(memory, tmp_path)
    return output


def lines(memory):
    found = map(json.loads, memory.cat_file("/a/out/manifest.jsonl").splitlines())
    return {line["key"]: line for line in found if "key" in line}


def test_photos_and_faces_of_a_store_are_taken_back_as_those_of_a_disk(made, memory, tmp_path, run):
    chosen = [Choice("three.jpg"), Choice("a b/two.png", 1), Choice("view.png")]
    list(revert(made, chosen).results)
    (tmp_path / "list").write_text("three.jpg\nmemory://a/out/a b/two.png\t2\nview.png\n")
    status, _, said = run(*COMMAND, tmp_path / "list")
    assert status == 0
    assert "the original is back in 2, 1 had it already; in memory://a/out" in said
    for key in ("three.jpg", "a b/two.png", "a b/one.png"):
        assert memory.cat_file(f"/a/out/{key}") == (made / key).read_bytes()
    expected, found = read_manifest(made / "manifest.jsonl").items, lines(memory)
    assert found["a b/two.png"]["faces"] == expected["a b/two.png"]["faces"]
    listing = Storage(Path("memory://a")).listing()
    for key in ("three.jpg", "a b/two.png"):
        assert (found[key]["status"], found[key]["chosen"]) == (expected[key]["status"], True)
        assert found[key]["output_sha256"] == expected[key]["output_sha256"]
        places = {"input": f"photos/{key}", "output": f"out/{key}"}
        versions = {name: listing[place].version for name, place in places.items()}
        assert found[key]["stored"] == versions
    assert run("restore", "--verify", "memory://a/out")[0] == 0
    assert {name for name in memory.find("/a/out") if "/." in name} == set()


def test_a_photo_that_cannot_be_taken_back_stays_and_is_named(made, memory, tmp_path, run):
    memory.pipe_file("/a/photos/three.jpg", b"another")
    memory.rm_file("/a/photos/a b/one.png")
    memory.pipe_file("/a/out/a b/two.png", b"spoiled")
    before = {name: memory.cat_file(name) for name in memory.find("/a")}
    (tmp_path / "list").write_text("three.jpg\na b/one.png\na b/two.png\t1\nbroken.jpg\n")
    status, _, said = run(*COMMAND, tmp_path / "list")
    assert status == 1
    assert said.splitlines() == [
        "error: memory://a/photos/three.jpg: the original has changed since; nothing was taken "
        "back",
        "error: memory://a/photos/a b/one.png: no such object, or none that may be read; nothing "
        "was taken back",
        "error: memory://a/out/a b/two.png: the restored file is gone or has changed since; "
        "restore it again with --overwrite, or take the whole photo back",
        "error: broken.jpg: it was not restored ('failed')",
        "4 photos: the original is back in 0, 4 failed; in memory://a/out",
    ]
    after = {name: memory.cat_file(name) for name in memory.find("/a")}
    assert {name for name in after if after[name] != before[name]} <= {"/a/out/manifest.jsonl"}
    (tmp_path / "list").write_text("none.jpg\n")
    status, _, said = run(*COMMAND, tmp_path / "list")
    assert (status, "'none.jpg' is none of the 5 photos of this run" in said) == (2, True)


def test_what_was_taken_back_is_recorded_though_the_run_is_interrupted(
    made, memory, tmp_path, run, monkeypatch
):
    whole, done = stored_review._Back._taken, []

    def killed(self, most, key):
        if done:
            raise KeyboardInterrupt
        done.append(key)
        return whole(self, most, key)

    (tmp_path / "list").write_text("a b/one.png\na b/two.png\nthree.jpg\n")
    with monkeypatch.context() as patch:
        patch.setattr(stored_review._Back, "_taken", killed)
        assert run(*COMMAND, tmp_path / "list", "--workers", "1")[0] == 130
    statuses = {key: line["status"] for key, line in lines(memory).items()}
    assert statuses["a b/one.png"] == "reverted"
    assert statuses["a b/two.png"] == statuses["three.jpg"] == "restored"
    said = run(*COMMAND, tmp_path / "list")[2]
    assert "the original is back in 2, 1 had it already" in said
