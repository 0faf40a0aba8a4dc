import os

import pytest

from faceren.errors import ConfigError, MachineError
from faceren.files import sha256_of
from faceren.runs.manifest import Manifest, ManifestWriter
from faceren.runs.plan import Job
from faceren.runs.resume import (
    earlier_run,
    keep_changed,
    restored_before,
    set_aside,
    unchanged,
)
from faceren.runs.shards import Shard


@pytest.fixture
def job(tmp_path):
    made = Job(tmp_path / "a.png", tmp_path / "out" / "a.png", "a.png")
    made.output.parent.mkdir()
    made.source.write_bytes(b"before")
    made.output.write_bytes(b"after")
    return made


@pytest.fixture
def line(job):
    return {
        "input_sha256": sha256_of(job.source),
        "output_sha256": sha256_of(job.output),
        "settings": "s1",
        "status": "restored",
    }


def test_the_same_bytes_with_the_same_settings_are_done(job, line):
    assert unchanged(job, line, "s1")


def test_what_is_not_in_the_manifest_is_to_be_done(job):
    assert not unchanged(job, None, "s1")
    assert not unchanged(job, {}, "s1")


def test_other_settings_are_to_be_done_unless_the_photo_was_chosen_to_have_them(job, line):
    assert not unchanged(job, line, "s2")
    assert unchanged(job, line | {"chosen": True}, "s2")
    assert not unchanged(job, line | {"chosen": False}, "s2")


@pytest.mark.parametrize("changed", ["source", "output"])
@pytest.mark.parametrize("how", ["rewritten", "gone", "a folder"])
def test_a_changed_file_is_to_be_done(job, line, changed, how):
    path = getattr(job, changed)
    path.unlink()
    if how == "rewritten":
        path.write_bytes(b"other")
    elif how == "a folder":
        path.mkdir()
    assert not unchanged(job, line, "s1")


def test_a_failure_has_no_output_to_look_at(job, line):
    job.output.unlink()
    failed = line | {"status": "failed", "output_sha256": None}
    assert unchanged(job, failed, "s1")
    job.source.write_bytes(b"repaired")
    assert not unchanged(job, failed, "s1")


def test_a_folder_without_a_manifest_has_no_earlier_run(tmp_path):
    assert earlier_run(tmp_path, "restore") == Manifest()


def test_the_manifest_of_another_command_is_refused(tmp_path):
    with ManifestWriter(tmp_path / "manifest.jsonl", {"command": "degrade"}) as writer:
        writer.append({"input": "a.png", "key": "a.png"})
    assert set(earlier_run(tmp_path, "degrade").items) == {"a.png"}
    with pytest.raises(ConfigError, match="holds the manifest of 'degrade'; choose another folder"):
        earlier_run(tmp_path, "restore")


def test_a_stale_output_is_moved_and_it_is_said_where(tmp_path):
    (tmp_path / "box").mkdir()
    (tmp_path / "box" / "a.png").write_bytes(b"old")
    place = tmp_path / ".stale" / "box" / "a.png"
    said = set_aside(tmp_path, "box/a.png")
    assert said == f"the output of an earlier run was moved to {place}"
    assert place.read_bytes() == b"old"
    assert not (tmp_path / "box" / "a.png").exists()
    assert set_aside(tmp_path, "box/a.png") == ""


def test_what_somebody_changed_is_copied_before_it_is_replaced(tmp_path):
    (tmp_path / "box").mkdir()
    output = tmp_path / "box" / "a.png"
    output.write_bytes(b"as written")
    line = {"output_sha256": sha256_of(output)}
    assert keep_changed(tmp_path, "box/a.png", line) == ""
    assert keep_changed(tmp_path, "box/a.png", None) == ""
    for name, content in (("a.png", b"retouched"), ("a-2.png", b"once more")):
        output.write_bytes(content)
        place = tmp_path / ".stale" / "box" / name
        said = keep_changed(tmp_path, "box/a.png", line)
        assert said == f"{output} was not what its record says; as it was it is kept in {place}"
        assert place.read_bytes() == output.read_bytes() == content
    assert (tmp_path / ".stale" / "box" / "a.png").read_bytes() == b"retouched"
    output.unlink()
    assert keep_changed(tmp_path, "box/a.png", line) == ""


def test_a_stale_output_that_cannot_be_moved_stops_the_run(tmp_path):
    (tmp_path / "a.png").write_bytes(b"old")
    (tmp_path / ".stale").write_text("no folder")
    with pytest.raises(MachineError, match="is of an earlier run and cannot be moved to"):
        set_aside(tmp_path, "a.png")


def test_photos_that_an_earlier_run_restored_are_named_by_their_folder(tmp_path, job):
    out = job.output.parent
    with ManifestWriter(out / "manifest.jsonl", {"command": "restore"}) as writer:
        for key, status in {"a.png": "restored", "in/b.png": "restored", "c.png": "copied"}.items():
            writer.append({"input": key, "output": f"out/{key}", "key": key, "status": status})
    names = ["a.png", "in/b.png", "c.png", "d.png"]
    again = [Job(out / name, tmp_path / "new" / name, name) for name in names]
    (told,) = restored_before(again)
    assert told.startswith(f"2 of the photos were restored into {out} by an earlier run")
    assert restored_before([job, *again[2:]]) == []


@pytest.mark.parametrize("what", ["a pipe", "a folder", "not JSON", "of another command"])
def test_a_strange_manifest_among_the_originals_says_nothing(tmp_path, job, what):
    path = job.source.parent / "manifest.jsonl"
    if what == "a pipe":
        os.mkfifo(path)
    elif what == "a folder":
        path.mkdir()
    elif what == "not JSON":
        path.write_bytes(b"\xff{\n")
    else:
        with ManifestWriter(path, {"command": "degrade"}) as writer:
            writer.append({"input": "a", "output": "a.png", "key": "a.png", "status": "restored"})
    assert restored_before([job]) == []


def test_of_a_merged_record_a_part_holds_its_own_photos_unless_asked_for_all(tmp_path):
    names, shard = [f"{number}.png" for number in range(40)], Shard(2, 4)
    with ManifestWriter(tmp_path / "manifest.jsonl", {"command": "restore"}) as writer:
        for name in names:
            writer.append({"input": name, "key": name})
    held = earlier_run(tmp_path, "restore", shard).items
    assert list(held) == [name for name in names if shard.has(name)]
    assert 0 < len(held) < 20
    assert list(earlier_run(tmp_path, "restore", shard, others=True).items) == names
    assert list(earlier_run(tmp_path, "restore").items) == names
