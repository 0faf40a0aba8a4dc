"""Runs in an object store: fsspec's own in memory, whose objects live as long as a test."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceren.commands import stored
from faceren.errors import MachineError
from faceren.runs import segments
from faceren.runs.manifest import read_manifest
from faceren.runs.storage import Storage, Stored
from faceren.runs.stored import plan_stored
from tests.calls import restored

COMMAND = ("restore", "memory://archive/scans", "-o", "memory://archive/out", "--model", "compact")
COMMAND += ("--ensemble", "off", "--no-report")
pytestmark = pytest.mark.usefixtures("loaded_once")


@pytest.fixture(scope="module")
def files(tmp_path_factory, astronaut):
    """A folder on the disk with a face, three photos without one, and one that is damaged."""
    folder = tmp_path_factory.mktemp("disk") / "scans"
    (folder / "box 1").mkdir(parents=True)
    Image.fromarray(astronaut[20:212, 128:320]).save(folder / "box 1" / "face.png")
    for index in range(3):
        plain = np.full((40, 48, 3), 60 * index + 20, np.uint8)
        Image.fromarray(plain).save(folder / f"{index}.png")
    (folder / "damaged.jpg").write_bytes(b"no photo")
    return folder


@pytest.fixture
def store(files, memory):
    """The same photos in a store, with what is no photo beside them; returns its file system."""
    for path in files.rglob("*.*"):
        memory.pipe_file(f"/archive/scans/{path.relative_to(files).as_posix()}", path.read_bytes())
    memory.pipe_file("/archive/scans/notes.txt", b"text")
    memory.pipe_file("/archive/scans/.trash/0.png", b"hidden")
    return memory


def objects(memory, below="/archive/out"):
    found = memory.find(below)
    return {name.removeprefix(f"{below}/"): memory.cat_file(name) for name in found}


def record(memory):
    return [json.loads(line) for line in objects(memory)["manifest.jsonl"].splitlines()]


PAGED = tuple(word for word in COMMAND if word != "--no-report")


@pytest.fixture(scope="module")
def on_disk(files, tmp_path_factory):
    """What the same run makes on a disk."""
    output = tmp_path_factory.mktemp("made") / "out"
    restored([files], output, model="compact", ensemble="off")
    return output


def test_a_store_gets_the_bytes_and_the_record_that_a_disk_gets(store, on_disk, run):
    before = objects(store, "/archive/scans")
    status, _, said = run(*COMMAND)
    assert status == 1
    assert "error: memory://archive/scans/damaged.jpg: " in said
    assert "5 photos: 1 restored, 3 without a face, 1 failed; 1 face now, in memory://arc" in said
    made = objects(store)
    expected = {path.relative_to(on_disk).as_posix() for path in on_disk.rglob("*.png")}
    assert set(made) == expected | {"manifest.jsonl"}
    assert all(made[name] == (on_disk / name).read_bytes() for name in expected)
    header, *lines = record(store)
    theirs = read_manifest(on_disk / "manifest.jsonl")
    assert {**header, "date": ""} == {**theirs.header, "date": ""}
    assert [line["key"] for line in lines] == list(theirs.items)
    for line in lines:
        same = theirs.items[line["key"]]
        places = ("input", "output", "reason", "faces", "stored")
        assert {k: v for k, v in line.items() if k not in places} == {
            k: v for k, v in same.items() if k not in places
        }
        assert line["input"] == f"memory://archive/scans/{line['key']}"
        failed = line["status"] == "failed"
        assert line["output"] == (None if failed else f"memory://archive/out/{line['key']}")
    assert objects(store, "/archive/scans") == before


def test_a_store_gets_what_a_disk_gets_where_faces_choose_the_scale(store, files, run, tmp_path):
    restored([files], tmp_path / "out", model="compact", ensemble="off", scale="auto")
    run(*COMMAND, "--scale", "auto")
    made, (_, *lines) = objects(store), record(store)
    for name in ("0.png", "box 1/face.png"):
        assert made[name] == (tmp_path / "out" / name).read_bytes()
    scales = {line["key"]: line.get("scale") for line in lines}
    assert scales == {"0.png": 1, "1.png": 1, "2.png": 1, "box 1/face.png": 2, "damaged.jpg": None}
    assert "nothing has changed since the last run" in run(*COMMAND, "--scale", "auto")[2]


def test_what_is_unchanged_is_not_even_read(store, run, monkeypatch):
    run(*COMMAND)
    made = objects(store)
    with monkeypatch.context() as patch:
        patch.setattr(Storage, "fetch", lambda *_: pytest.fail("was read"))
        status, out, said = run(*COMMAND, "--json")
    assert status == 1  # one photo is damaged still
    assert "nothing has changed since the last run" in said
    assert {json.loads(line)["status"] for line in out.splitlines()} == {"skipped"}
    assert objects(store) == made
    store.pipe_file("/archive/out/0.png", b"spoiled")
    store.pipe_file("/archive/scans/1.png", store.cat_file("/archive/scans/2.png"))
    out = run(*COMMAND, "--json")[1]
    statuses = {item["key"]: item["status"] for item in map(json.loads, out.splitlines())}
    assert statuses["0.png"] == statuses["1.png"] == "no_face"
    assert statuses["2.png"] == statuses["box 1/face.png"] == "skipped"
    assert objects(store)["0.png"] == made["0.png"]


def test_three_parts_merged_are_the_single_run(store, run):
    run(*COMMAND)
    single = objects(store)
    store.rm("/archive/out", recursive=True)
    for index in (1, 2, 0):
        said = run(*COMMAND, "--shard", f"{index}/3")[2]
        assert "when all parts have ended: faceren restore --merge memory://archive/out" in said
    status, _, said = run(*COMMAND)
    assert (status, "shards 0/3, 1/3, 2/3 (this is 0/1), not yet merged" in said) == (2, True)
    status, _, said = run("restore", "--merge", "memory://archive/out", "--no-report")
    assert status == 0
    assert "3 shards, 5 photos: 1 restored, 3 without a face, 1 failed" in said
    clock = re.compile(rb'("ms": |"date": |put": )("[^"]*"|[0-9.]+)')
    merged = {name: clock.sub(b"", data) for name, data in objects(store).items()}
    assert merged == {name: clock.sub(b"", data) for name, data in single.items()}


def page_of(data):
    """What a page knows of its photos, by their names."""
    text = data.decode()
    found = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL)
    return {photo["key"]: photo for photo in json.loads(found[1])["photos"]}


def test_the_page_in_a_store_is_that_of_a_disk(store, files, run, tmp_path, monkeypatch):
    assert "look at memory://archive/out/report.html" in run(*PAGED)[2]
    made = objects(store)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "archive").symlink_to(files.parent)
    run("restore", "archive/scans", "-o", "archive/paged", *PAGED[4:])
    disk = files.parent / "paged"
    pictures = {p.relative_to(disk).as_posix(): p.read_bytes() for p in disk.glob("report/*.jpg")}
    assert {name: data for name, data in made.items() if name.startswith("report/")} == pictures
    assert len(pictures) == 3 + 3  # one of each without a face, three of the one that has one
    here, there = page_of(made["report.html"]), page_of((disk / "report.html").read_bytes())
    assert there.pop("damaged.jpg")["reason"] in here.pop("damaged.jpg")["reason"]
    assert here == there
    assert here["box 1/face.png"]["original"] == "./../scans/box%201/face.png"


def test_the_page_in_a_store_is_made_anew(store, run, tmp_path):
    run(*PAGED)
    made = objects(store)
    for name in made:
        if name.startswith("report"):
            store.rm_file(f"/archive/out/{name}")
    store.pipe_file("/archive/out/report/part-2.html", b"of a page that had more photos")
    status, _, said = run("restore", "--report-only", "memory://archive/out")
    assert (status, said) == (0, "5 photos; wrote memory://archive/out/report.html\n")
    assert objects(store) == made
    store.pipe_file("/archive/scans/0.png", b"another photo")
    store.rm_file("/archive/out/1.png")
    store.rm_file("/archive/scans/2.png")
    said = run("restore", "--report-only", "memory://archive/out")[2]
    assert "0.png: the original has changed since the run: memory://archive/scans/0.png" in said
    assert "1.png: the restored file is gone: memory://archive/out/1.png" in said
    assert "2.png: the original is gone: memory://archive/scans/2.png" in said
    assert page_of(objects(store)["report.html"])["1.png"]["result"] is None


def test_the_page_of_a_store_asks_nobody_else_and_replaces_no_other_page(store, run, monkeypatch):
    run(*COMMAND)
    text = objects(store)["manifest.jsonl"].decode()
    text = text.replace("memory://archive/scans/0.png", "http://stranger/0.png")
    store.pipe_file("/archive/out/manifest.jsonl", text.encode())
    asked = []
    monkeypatch.setattr(Storage, "__init__", watched(Storage.__init__, asked))
    status, _, said = run("restore", "--report-only", "memory://archive/out")
    assert (status, set(asked)) == (0, {"memory"})
    assert "0.png: the original is gone: http://stranger/0.png" in said
    store.pipe_file("/archive/out/report.html", b"<html>somebody's</html>")
    for command in (("restore", "--report-only", "memory://archive/out"), PAGED):
        status, _, said = run(*command)
        assert status == 2
        assert "memory://archive/out/report.html is there already, and faceren did not" in said
    assert objects(store)["report.html"] == b"<html>somebody's</html>"


def watched(start, asked):
    def init(self, folder):
        asked.append(folder.parts[0].rstrip(":"))
        start(self, folder)

    return init


@pytest.mark.parametrize("name", ["{}/own.png", "memory://../../..{}/own.png"])
def test_the_page_of_a_store_touches_nothing_on_the_disk_that_its_record_names(
    store, run, tmp_path, name, monkeypatch
):
    run(*COMMAND)
    own = tmp_path / "own.png"
    own.write_bytes(b"a photo of somebody else's")
    text = objects(store)["manifest.jsonl"].decode()
    text = text.replace("memory://archive/scans/0.png", name.format(tmp_path))
    store.pipe_file("/archive/out/manifest.jsonl", text.encode())
    fetched = Storage.fetch

    def fetch(self, item, target):
        assert target.resolve() != own
        fetched(self, item, target)

    monkeypatch.setattr(Storage, "fetch", fetch)
    only_page = ("restore", "--report-only", "memory://archive/out")
    for command in ((*PAGED, "--exclude", "0.png"), only_page):
        assert "memory://archive/out/report.html" in run(*command)[2]
    assert own.read_bytes() == b"a photo of somebody else's"


def test_parts_in_a_store_get_their_page_when_they_are_merged(store, run, monkeypatch):
    run(*PAGED)
    whole = objects(store)
    store.rm("/archive/out", recursive=True)
    monkeypatch.setattr("faceren.pages.review.PER_FILE", 2)
    for index in (0, 1):
        run(*PAGED, "--shard", f"{index}/2")
        assert "report.html" not in objects(store)
    assert "look at memory://archive/out/report.html" in run("restore", "--merge", PAGED[3])[2]
    made = objects(store)
    names = {"report.html", "report/part-2.html", "report/part-3.html"}
    assert set(made) == set(whole) | names
    found = [page_of(made[name]) for name in sorted(names)]
    assert {key: photo["status"] for page in found for key, photo in page.items()} == {
        key: photo["status"] for key, photo in page_of(whole["report.html"]).items()
    }


def test_what_was_taken_back_stays_so_in_a_run_over_everything(store, run, tmp_path):
    run(*COMMAND)
    (tmp_path / "list").write_text("box 1/face.png\n")
    revert = ("restore", "-o", "memory://archive/out", "--revert", tmp_path / "list")
    said = run(*revert)[2]
    assert "the original is back in 1; in memory://archive/out" in said
    assert "look at memory://archive/out/report.html" in said
    original = store.cat_file("/archive/scans/box 1/face.png")
    assert objects(store)["box 1/face.png"] == original
    page = objects(store)["report.html"].decode()
    assert "faceren restore -o memory://archive/out --revert keep-original.txt" in page
    assert "faceren restore -o memory://archive/out --only weaker.txt --strength 0.6" in page
    assert "1 kept as it was" in run(*COMMAND, "--strength", "0.5")[2]
    assert objects(store)["box 1/face.png"] == original
    assert "5 photos: 1 restored" in run(*COMMAND, "--overwrite")[2]
    assert objects(store)["box 1/face.png"] != original


def test_photos_that_are_named_alone_are_restored_anew_and_stay_so(store, run, tmp_path):
    run(*COMMAND)
    made, chosen = objects(store), tmp_path / "weaker.txt"
    chosen.write_text("box 1/face.png\nmemory://archive/scans/1.png\n")
    again = ("restore", "-o", *COMMAND[3:], "--only", chosen, "--strength", "0.5")
    status, _, said = run(*again)
    assert (status, "2 photos: 1 restored, 1 without a face" in said) == (0, True)
    weaker = objects(store)
    changed = {name for name in made if weaker[name] != made[name]}
    assert changed == {"box 1/face.png", "manifest.jsonl"}
    assert "nothing has changed since the last run" in run(*again)[2]
    assert "nothing has changed since the last run" in run(*COMMAND)[2]
    assert objects(store)["box 1/face.png"] == weaker["box 1/face.png"]
    named = (*COMMAND[:4], *again[3:-1])
    assert "2 photos: 1 restored" in run(*named, "1")[2]  # with the folder, and as at first
    assert objects(store)["box 1/face.png"] == made["box 1/face.png"]
    chosen.write_text("other.png\n")
    status, _, said = run(*again)
    assert (status, "'other.png' is none of the 5 photos of this run" in said) == (2, True)


def test_marked_faces_name_their_photos_in_a_store_too(store, run, tmp_path):
    run(*COMMAND)
    boxes = tmp_path / "faces.jsonl"
    boxes.write_text('{"photo": "memory://archive/scans/2.png", "box": [4, 4, 30, 30]}\n')
    said = run("restore", "-o", *COMMAND[3:], "--boxes", boxes)[2]
    assert "1 photo: 1 restored; 1 face now" in said


@pytest.mark.parametrize(
    ("original", "said"),
    [
        ("memory://archive/scans/1.png", "1.png has changed since; name the photo, or its folder"),
        ("memory://archive/scans/none.png", "none.png is gone; name the photo, or its folder, as"),
        ("http://stranger/1.png", "http://stranger/1.png is in a store of another kind; name the"),
        ("memory://archive/out/1.png", "and the input memory://archive/out/1.png lie in one anoth"),
        ("/etc/passwd", "/etc/passwd: expected all inputs and -o in object stores, this one is on"),
    ],
)
def test_of_what_only_the_record_names_nothing_else_is_read(
    store, run, tmp_path, original, said, monkeypatch
):
    run(*COMMAND)
    text = objects(store)["manifest.jsonl"].decode()
    text = text.replace("memory://archive/scans/1.png", original)
    store.pipe_file("/archive/out/manifest.jsonl", text.encode())
    store.pipe_file("/archive/scans/1.png", store.cat_file("/archive/scans/2.png"))
    made, asked = objects(store), []
    monkeypatch.setattr(Storage, "__init__", watched(Storage.__init__, asked))
    (tmp_path / "list").write_text("1.png\n")
    again = ("restore", "-o", *COMMAND[3:], "--only", tmp_path / "list", "--strength", "0.5")
    status, _, told = run(*again)
    assert (status, said in told, set(asked)) == (2, True, {"memory"})
    assert objects(store) == made


@pytest.mark.parametrize("place", ["{}/evil.png", "../evil.png"])
def test_a_name_of_the_record_that_leads_out_of_the_folder_is_refused(store, run, tmp_path, place):
    run(*COMMAND)
    lines = [json.loads(line) for line in objects(store)["manifest.jsonl"].splitlines()]
    del lines[1]["key"]
    lines[1]["output"] = place.format(tmp_path)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    store.pipe_file("/archive/out/manifest.jsonl", text.encode())
    (tmp_path / "list").write_text("2.png\n")
    status, _, said = run("restore", "-o", *COMMAND[3:], "--only", tmp_path / "list")
    assert (status, "leads outside; nothing is written there" in said) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["list"]


def test_what_a_killed_run_has_written_stays_its_own_when_others_are_done_by_name(
    store, run, monkeypatch, tmp_path
):
    run(*COMMAND, "--exclude", "0.png", "--exclude", "1.png")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(segments.SegmentWriter, "append", killed)
        assert run(*COMMAND)[0] == 130
    assert "0.png" in objects(store)  # but in no record
    (tmp_path / "list").write_text("2.png\n")
    again = ("restore", "-o", *COMMAND[3:], "--only", tmp_path / "list", "--strength", "0.5")
    assert run(*again)[0] == 0
    status, _, said = run(*COMMAND)
    assert (status, "5 photos: 1 restored, 3 without a face, 1 failed" in said) == (1, True)
    assert not any(name.startswith(".") for name in objects(store))


def test_a_killed_run_goes_on_and_nothing_is_done_twice_in_the_record(store, run, monkeypatch):
    monkeypatch.setattr(segments, "MOST_LINES", 2)
    done = []

    def killed(*arguments):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(whole(*arguments))
        return done[-1]

    whole = stored.InStore._stored
    with monkeypatch.context() as patch:
        patch.setattr(stored.InStore, "_stored", killed)
        assert run(*COMMAND)[0] == 130
    names = sorted(objects(store))
    assert len([name for name in names if name.startswith(".shards/0-of-1.0001-")]) == 2
    assert ".shards/0-of-1.planned" in names
    status, _, said = run("restore", "--merge", "memory://archive/out")
    assert (status, "shard 0/1 has not ended: 3 of 5 photos" in said) == (2, True)
    assert "3 unchanged since the last run" in run(*COMMAND)[2]
    keys = [line["key"] for line in record(store)[1:]]
    assert keys == ["0.png", "1.png", "2.png", "box 1/face.png", "damaged.jpg"]
    assert not any(name.startswith(".") for name in objects(store))


def test_a_photo_that_is_replaced_or_must_not_be_read_fails_alone(store, run, monkeypatch):
    fetched = type(store).get_file

    def get_file(self, path, target, **more):
        if path.endswith("/1.png"):
            raise PermissionError("Access Denied")
        fetched(self, path, target, **more)
        if path.endswith("/0.png"):
            self.pipe_file(path, b"new bytes")

    monkeypatch.setattr(type(store), "get_file", get_file)
    status, _, said = run(*COMMAND)
    assert status == 1
    assert "memory://archive/scans/0.png: was replaced during the run; run again" in said
    assert re.search("scans/1.png: cannot be read: Access Denied; give credentials that may", said)
    assert "5 photos: 1 restored, 1 without a face, 3 failed" in said
    assert "0.png" not in objects(store)
    monkeypatch.undo()
    monkeypatch.setenv("FACEREN_DEVICE", "cpu")
    assert "1 without a face" not in run(*COMMAND)[2]  # both are tried again


def test_what_failed_leaves_no_output_of_an_earlier_run(store, run):
    run(*COMMAND)
    made = objects(store)
    store.pipe_file("/archive/scans/2.png", b"damaged by now")
    said = run(*COMMAND)[2]
    assert "was moved to memory://archive/out/.stale/2.png" in said
    assert "2.png" not in objects(store)
    assert objects(store)[".stale/2.png"] == made["2.png"]


def test_a_store_that_fails_is_tried_again_but_not_for_ever(store, run, monkeypatch, tmp_path):
    monkeypatch.setattr("faceren.runs.storage.PAUSE", 0)
    tried = []

    def cp_file(self, *arguments, **more):
        tried.append(arguments)
        if len(tried) % 3:
            raise ConnectionError("reset")
        return copied(self, *arguments, **more)

    copied = type(store).cp_file
    monkeypatch.setattr(type(store), "cp_file", cp_file)
    (tmp_path / "a").write_bytes(b"1")
    target = Storage(Path("memory://archive/out"))
    target.put(tmp_path / "a", "a")
    assert len(tried) == 3
    assert objects(store) == {"a": b"1"}
    monkeypatch.setattr(type(store), "cp_file", lambda *_, **__: (_ for _ in ()).throw(OSError(28)))
    with pytest.raises(MachineError, match="memory://archive/out/a: cannot be written"):
        target.put(tmp_path / "a", "a")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["memory://archive/scans", "-o", "memory://archive/scans/out"], "lie in one another"),
        (["memory://archive/scans", "-o", "out"], "out: expected all inputs and -o in object"),
        (["photos", "-o", "memory://archive/out"], "photos: expected all inputs and -o in obj"),
        (["memory://archive/none", "-o", "memory://archive/out"], "no image found in memory://"),
        (["memory://archive/scans", "-o", "nostore://x/y"], "needs fsspec's file system for nos"),
        ([*COMMAND[1:], "--keep-times"], "--keep-times: expected an output folder on a disk"),
        ([*COMMAND[1:], "--shard", "3/3"], "--shard: expected I/N"),
        (["--verify", "memory://archive/out"], "expected a folder that restore wrote, memory://"),
        ([*COMMAND[1:], "--open"], "--open: expected an output folder on a disk, got memory://"),
        ([*COMMAND[1:], "--boxes", "memory://archive/b"], "--boxes: expected a path on a disk, "),
        (["memory://archive/a.png", "-o", "memory://archive/b.png"], "expected a folder in a st"),
        (["photo.png", "-o", "memory://archive/b.png"], "expected a folder in a store, or one p"),
        (["memory://archive/a.png", "-o", "-"], "-o - writes one photo of a disk to stdout, got"),
        (["--report-only", "memory://archive/out"], "expected a folder that restore wrote, memory"),
        (["--merge", "memory://archive/out"], "expected folders that --shard wrote"),
        (["--merge", "memory://archive/out", "out"], "--merge: expected one folder, as all parts"),
    ],
)
def test_what_a_store_cannot_do_is_refused_in_one_line(store, run, arguments, message):
    status, out, said = run("restore", *arguments)
    assert status in (2, 3, 4)
    assert (out, len(said.splitlines())) == ("", 1)
    assert message in said
    assert objects(store) == {}


def test_an_object_of_somebody_else_is_not_replaced(store, run):
    store.pipe_file("/archive/out/0.png", b"somebody's")
    status, _, said = run(*COMMAND)
    assert status == 2
    assert "memory://archive/out/0.png is there already, and no earlier run wrote it" in said
    assert objects(store) == {"0.png": b"somebody's"}


def test_no_name_of_an_object_leads_out_of_the_folder(store, monkeypatch):
    names = ["../../etc/evil.png", "a/../b.png", ".hidden/c.png", "d.png", "e//f.png", "x.txt"]
    found = {name: Stored(name, "1") for name in names}
    monkeypatch.setattr(Storage, "listing", lambda *_: found)
    jobs = plan_stored([Path("memory://a/in")], Path("memory://a/out"), file_format="jpg")
    assert [(job.key, job.found.item.key) for job in jobs] == [
        ("d.jpg", "d.png"),
        ("e/f.jpg", "e//f.png"),
    ]
    assert all(".." not in job.source.parts for job in jobs)


def test_a_file_address_is_a_path(files, on_disk, tmp_path, run):
    how = ("--model", "compact", "--ensemble", "off", "--no-report")
    run("restore", f"file://{files}", "-o", f"file://{tmp_path}/out", *how)
    made = (tmp_path / "out" / "box 1" / "face.png").read_bytes()
    assert made == (on_disk / "box 1" / "face.png").read_bytes()


def test_a_run_on_a_disk_imports_nothing_of_stores(files, tmp_path):
    code = (
        "import sys; from faceren import cli; sys.argv[0] = 'faceren'\n"
        "try: cli.main()\nexcept SystemExit: pass\n"
        "found = {'fsspec', 's3fs', 'ray', 'aiohttp', 'botocore'} & set(sys.modules)\n"
        "assert not found, found"
    )
    how = ["restore", files / "0.png", "-o", tmp_path, "--model", "compact", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, how)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "manifest.jsonl").exists()


@pytest.mark.parametrize("key", ["/etc/a.png", "//a.png", "b//a.png"])
def test_no_name_in_a_store_leads_out_of_the_folders_on_the_disk(key, monkeypatch):
    listing = {key: Stored(key, "1")}
    monkeypatch.setattr(Storage, "listing", lambda *_: listing)
    monkeypatch.setattr(Storage, "is_object", lambda _: False)
    output = Path("memory://archive/out")
    (job,) = plan_stored([Path("memory://archive/scans")], output, file_format="keep")
    assert not Path(job.key).is_absolute()
    assert job.output == output / job.key
    assert job.source.is_relative_to(Path("memory://archive/scans"))
    assert job.found.item.key == key
