"""The parts of a run, joined, are the run that one machine would have made."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceren.commands.merge import merge
from faceren.errors import ConfigError, MachineError
from faceren.files import place_copy
from faceren.runs.manifest import read_manifest
from faceren.runs.shards import Shard
from tests.calls import restored, restoring

OPTIONS = {"model": "compact", "ensemble": "off"}
COMMAND = ("restore", "--model", "compact", "--ensemble", "off", "--save-faces", "--no-report")
CLOCK = re.compile(rb'("ms": |"date": )("[^"]*"|[0-9.]+)')
"""What two runs never have alike: times."""
pytestmark = pytest.mark.usefixtures("loaded_once")


@pytest.fixture(scope="module")
def photos(tmp_path_factory, astronaut):
    """A folder with a face, seven photos without one, and one that is damaged."""
    folder = tmp_path_factory.mktemp("parts") / "photos"
    for index in range(7):
        (folder / f"box {index % 2}").mkdir(parents=True, exist_ok=True)
        plain = np.full((40, 48, 3), 25 * index + 20, np.uint8)
        Image.fromarray(plain).save(folder / f"box {index % 2}" / f"{index}.png")
    Image.fromarray(astronaut[20:212, 128:320]).save(folder / "box 1" / "face.png")
    (folder / "damaged.jpg").write_bytes(b"no photo")
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder: records name outputs as they were given, relative to it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def plain(photos, tmp_path):
    """The photos without a face."""
    return shutil.copytree(photos / "box 0", tmp_path / "plain")


def content(folder):
    """Return the bytes of every file below a folder, without times; locks are no content."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {
        name: CLOCK.sub(rb"\1", path.read_bytes())
        for name, path in files.items()
        if path.is_file() and path.name != ".faceren-lock"
    }


@pytest.fixture(scope="module")
def single(photos, tmp_path_factory):
    """What one machine makes of the photos in a folder called ``out``."""
    place = tmp_path_factory.mktemp("single")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        how = {**OPTIONS, "save_faces": True}
        statuses = [result.status for result in restored([photos], Path("out"), **how)]
    assert sorted(statuses) == ["failed"] + ["no_face"] * 7 + ["restored"]
    return content(place / "out")


@pytest.mark.parametrize("output", ["out", "out{}"])
def test_three_parts_merged_are_the_single_run_byte_for_byte(photos, single, here, output, run):
    statuses = []
    for index in (2, 0, 1):
        place = output.format(index)
        status, _, said = run(*COMMAND, photos, "-o", place, "--shard", f"{index}/3")
        assert f"when all parts have ended: faceren restore --merge {place}" in said
        statuses.append(status)
    assert sorted(statuses) == [0, 0, 1]  # one photo is damaged
    folders = sorted({output.format(index) for index in range(3)})
    status, _, said = run("restore", "--merge", *folders, "-o", "out", "--no-report")
    assert status == 0
    assert "3 shards, 9 photos: 1 restored, 7 without a face, 1 failed; in out" in said
    assert content(here / "out") == single
    assert any(name.startswith("faces/box 1/") for name in single)
    assert run("restore", "--verify", "out")[0] == 0


def test_the_page_is_that_of_the_whole_and_its_pictures_are_there_already(photos, here, run):
    for index in range(2):
        how = ("--model", "compact", "--shard", f"{index}/2")
        assert "look at" not in run("restore", photos / "box 1", "-o", "out", *how)[2]
    assert not (here / "out" / "report.html").exists()
    drawn = {path.name for path in (here / "out" / "report").iterdir()}
    assert "look at out/report.html" in run("restore", "--merge", "out")[2]
    assert {path.name for path in (here / "out" / "report").iterdir()} == drawn
    page = (here / "out" / "report.html").read_text()
    assert all(f'"{name}.png"' in page for name in (1, 3, 5, "face"))


def test_a_killed_part_goes_on_and_is_not_merged_before(plain, here, monkeypatch):
    monkeypatch.setattr("faceren.runs.folder.GATE", 0)
    killed = restoring([plain], here / "out", shard="0/2", **OPTIONS)
    next(killed.results)
    with pytest.raises(MachineError, match=r"shard 0/2"):
        merge([here / "out"])
    other = restored([plain], here / "out", shard="1/2", **OPTIONS)  # at the same time
    killed.results.close()
    with pytest.raises(ConfigError, match=r"shard 0/2 has not ended: 1 of \d photos are recorded"):
        merge([here / "out"])
    again = restored([plain], here / "out", shard="0/2", **OPTIONS)
    assert [result.status for result in again].count("skipped") == 1
    assert {result.key for result in again}.isdisjoint(result.key for result in other)
    assert merge([here / "out"]).statuses == {"no_face": 4}


def test_what_is_unchanged_is_skipped_in_any_number_of_parts_after_a_merge(plain, here):
    restored([plain], here / "out", **OPTIONS)
    before = content(here / "out")
    for index in range(3):
        results = restored([plain], here / "out", shard=f"{index}/3", **OPTIONS)
        assert {result.status for result in results} <= {"skipped"}
    merge([here / "out"])
    assert content(here / "out") == before
    assert {result.status for result in restored([plain], here / "out", **OPTIONS)} == {"skipped"}


def test_a_part_that_fails_moves_its_stale_output_away(plain, here):
    restored([plain], here / "out", **OPTIONS)
    (plain / "2.png").write_bytes(b"no photo")
    for index in range(2):
        restored([plain], here / "out", shard=f"{index}/2", **OPTIONS)
    merge([here / "out"])
    assert not (here / "out" / "2.png").exists()
    assert (here / "out" / ".stale" / "2.png").exists()
    assert read_manifest(here / "out" / "manifest.jsonl").items["2.png"]["status"] == "failed"


@pytest.fixture
def parts(plain, here):
    """Both parts of a run, in folders of their own."""
    for index in range(2):
        restored([plain], here / f"out{index}", shard=f"{index}/2", **OPTIONS)
    return here / "out0", here / "out1"


def changed(folder, index, **values):
    """Write other values into the headers of a part's record."""
    path = folder / ".shards" / f"{index}-of-2.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines = [line | values if "format_version" in line else line for line in lines]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_parts_that_make_no_run_are_refused_in_one_line(parts, plain, here, run):
    one, two = parts
    options = json.loads((two / ".shards" / "1-of-2.jsonl").read_text().splitlines()[0])["options"]

    def refused(message, *folders):
        status, out, said = run("restore", "--merge", *folders, "-o", here / "out")
        assert (status, out, len(said.splitlines())) == (2, "", 1)
        assert re.search(message, said)
        assert not (here / "out").exists()

    refused("shard 1/2 is not there; run what is missing first", one)
    refused("expected folders that --shard wrote, .*/none is none", one, here / "none")
    refused("expected folders that --shard wrote, there is none in", plain)
    shutil.copytree(one, here / "again")
    refused("shard 0/2 stands in .*out0 and in .*again; name one", one, two, here / "again")
    restored([plain], here / "three", shard="0/3", **OPTIONS)
    refused("expected the parts of one run, got shards 0/2, 0/3", one, two, here / "three")
    changed(two, 1, options=options | {"strength": 0.5})
    refused(r"shards 0/2 and 1/2 differ in strength: 1(\.0)? and 0.5", one, two)
    changed(two, 1, options=options, engine="torch cuda bf16")
    refused("differ in engine: 'onnx cpu fp32' and 'torch cuda bf16'", one, two)
    changed(two, 1, engine="onnx cpu fp32", shard={"ended": True, "listing": "other"})
    refused("shards 0/2 and 1/2 saw different photos; run all parts again", one, two)
    assert run("restore", "--merge", one, two)[2].endswith("got 2 and no -o\n")


def test_a_photo_of_another_part_is_an_overlap(parts, here):
    one, two = parts
    line = (one / ".shards" / "0-of-2.jsonl").read_text().splitlines()[1]
    key = json.loads(line)["key"]
    assert Shard(0, 2).has(key)
    with (two / ".shards" / "1-of-2.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ConfigError, match=f"line [0-9]+: {key} is no photo of shard 1/2"):
        merge(parts, here / "out")


def test_nothing_is_replaced_that_no_run_wrote(parts, plain, here):
    (here / "out").mkdir()
    (here / "out" / "4.png").write_bytes(b"somebody's")
    with pytest.raises(ConfigError, match=r"4.png is there already, and no earlier run"):
        merge(parts, here / "out")
    assert (here / "out" / "4.png").read_bytes() == b"somebody's"
    originals = content(plain)
    with pytest.raises(ConfigError, match="is the folder of the input"):
        merge(parts, plain)
    assert content(plain) == originals


def test_merged_again_after_a_kill_it_is_whole(parts, here, monkeypatch):
    seen = []

    def killed(*arguments):
        seen.append(arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("faceren.commands.merge._append", killed)
        with pytest.raises(KeyboardInterrupt):
            merge(parts, here / "out")
    assert merge(parts, here / "out").statuses == {"no_face": 4}
    record = here / "out" / "manifest.jsonl"
    with record.open("a") as file:
        file.write('{"torn')
    merge(parts, here / "out")  # the parts are there still
    assert read_manifest(record).problems == []
    assert len(read_manifest(record).items) == 4
    (here / "out1" / "4.png").unlink(missing_ok=True)
    (here / "out0" / "4.png").unlink(missing_ok=True)
    with pytest.raises(ConfigError, match=r"4.png is gone, which shard ./2 wrote; run it again"):
        merge(parts, here / "elsewhere")


def test_what_an_earlier_run_wrote_is_replaced_by_a_part_from_elsewhere(parts, plain, here):
    merge(parts, here / "out")
    for path in plain.glob("*.png"):
        Image.fromarray(np.full((40, 48, 3), 222, np.uint8)).save(path)
    restored([plain], here / "out", shard="0/2", **OPTIONS)
    restored([plain], here / "out1", shard="1/2", **OPTIONS)
    merge([here / "out", here / "out1"], here / "out")
    made = {path.name: path.read_bytes() for path in (here / "out").glob("*.png")}
    assert made == {path.name: path.read_bytes() for path in plain.glob("*.png")}


def test_damaged_lines_are_left_out_and_said(parts, here, run):
    with (parts[1] / ".shards" / "1-of-2.jsonl").open("a") as file:
        file.write("no json\n")
    status, _, said = run("restore", "--merge", *parts, "-o", here / "out", "--no-report")
    assert status == 1
    assert "1-of-2.jsonl: line" in said
    assert "is left out: expected one JSON object" in said


def test_a_part_takes_inputs_and_no_list(plain, here):
    (here / "list.txt").write_text("0.png\n")
    for inputs, only in (([plain], here / "list.txt"), ([], here / "list.txt")):
        with pytest.raises(ConfigError, match="--shard: expected inputs and no --only"):
            restored(inputs, here / "out", shard="0/2", only=only, **OPTIONS)
    shutil.copy(plain / "0.png", plain / "0.PNG")
    index = next(index for index in range(2) if not Shard(index, 2).has("0.png"))
    with pytest.raises(ConfigError, match="would both be written to"):  # in the other part
        restored([plain], here / "out", shard=f"{index}/2", **OPTIONS)


def test_a_second_place_is_a_link_or_a_copy(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")
    place_copy(tmp_path / "a", tmp_path / "c" / "a")
    assert (tmp_path / "c" / "a").samefile(tmp_path / "a")
    place_copy(tmp_path / "a", tmp_path / "c" / "a")
    place_copy(tmp_path / "b", tmp_path / "c" / "a")
    assert (tmp_path / "a").read_bytes() == b"1"
    monkeypatch.setattr(Path, "hardlink_to", lambda *_: (_ for _ in ()).throw(OSError(1, "no")))
    place_copy(tmp_path / "a", tmp_path / "c" / "b")
    assert (tmp_path / "c" / "b").read_bytes() == b"1"
    assert not (tmp_path / "c" / "b").samefile(tmp_path / "a")
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == ["a", "b"]
