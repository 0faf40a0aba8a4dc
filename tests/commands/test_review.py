"""The review page, and what follows from it, through the command line."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from skimage import data

from faceren.commands.review import revert, review
from faceren.runs.lists import Choice
from faceren.runs.manifest import read_manifest
from tests.runs import HEADER, add_photo, face_at, make_run, write_manifest


@pytest.fixture
def output(tmp_path):
    return make_run(tmp_path)


def commands_of(output):
    html = (output / "report.html").read_text()
    return json.loads(re.search(r'id="data">(.*?)</', html)[1])["commands"]


def items(output):
    return read_manifest(output / "manifest.jsonl").items


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    Image.fromarray(data.astronaut()).crop((60, 0, 420, 300)).save(folder / "portrait.png")
    Image.fromarray(data.rocket()).resize((160, 107)).save(folder / "rocket.jpg")
    return folder


def test_a_look_at_a_restoration_and_what_follows_from_it(photos, tmp_path, run):
    out = tmp_path / "out"
    assert run("restore", photos, "-o", out)[0] == 0
    assert len(list((out / "report").iterdir())) == 4  # portrait twice, its face, the rocket once
    restored = (out / "portrait.png").read_bytes()

    (tmp_path / "keep.txt").write_text("portrait.png\nrocket.jpg\n")
    status, stdout, stderr = run("restore", "-o", out, "--revert", tmp_path / "keep.txt", "--json")
    assert status == 0, stderr
    assert "the original is back in 1, 1 had it already" in stderr
    assert [json.loads(line)["status"] for line in stdout.splitlines()] == ["reverted", "no_face"]
    assert (out / "portrait.png").read_bytes() == (photos / "portrait.png").read_bytes()
    assert items(out)["portrait.png"]["status"] == "reverted"

    # it stays so in a run over everything, even with other settings
    assert run("restore", photos / "portrait.png", "-o", out, "--strength", "0.9")[0] == 0
    assert items(out)["portrait.png"]["status"] == "reverted"

    (tmp_path / "again.txt").write_text("portrait.png\n")
    again = ["restore", "-o", out, "--only", tmp_path / "again.txt"]
    assert run(*again, "--strength", "0.5")[0] == 0
    half = np.asarray(Image.open(out / "portrait.png")).astype(int)
    assert (half != np.asarray(Image.open(photos / "portrait.png"))).any()
    assert (out / "portrait.png").read_bytes() != restored
    assert items(out)["portrait.png"]["status"] == "restored"
    stamp = (out / "portrait.png").stat().st_mtime_ns
    assert run("restore", photos, "-o", out)[0] == 0  # the choice outlives it
    assert (out / "portrait.png").stat().st_mtime_ns == stamp
    assert run(*again)[0] == 0
    assert (out / "portrait.png").read_bytes() == restored


def test_no_report(photos, tmp_path, run):
    out = tmp_path / "out"
    assert run("restore", photos / "rocket.jpg", "-o", out, "--no-report")[0] == 0
    assert sorted(path.name for path in out.iterdir()) == [
        ".faceren-lock",
        "manifest.jsonl",
        "rocket.jpg",
    ]


def test_report_only_needs_nothing_but_the_folder(tmp_path, run):
    out = make_run(tmp_path)
    status, stdout, stderr = run("restore", "--report-only", out)
    assert (status, stdout) == (0, "")
    assert stderr.endswith(f"5 photos; wrote {out / 'report.html'}\n")
    (out / "view.png").unlink()
    assert "warning: view.png: the restored file is gone" in run("restore", "--report-only", out)[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--report-only", "{empty}"], "expected a folder that restore wrote"),
        (["-o", "{empty}", "--revert", "{list}"], "expected a folder that restore wrote"),
        (["-o", "{out}", "--revert", "{gone}"], "--revert: expected a text file"),
        (["-o", "{out}", "--revert", "{list}"], "'nothing.png' is none of the 5 photos"),
        (["-o", "{out}", "--only", "{faces}"], "line 1: expected photos, got face 2"),
        (["-o", "{empty}", "--only", "{list}"], "expected a folder that restore wrote"),
        (["{out}"], "expected an output folder, got none"),
        (["-o", "{empty}"], "no input given"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments, message, tmp_path, run):
    places = {name: tmp_path / name for name in ("empty", "list", "faces", "gone")}
    places["empty"].mkdir()
    places["list"].write_text("nothing.png\n")
    places["faces"].write_text("a b/two.png\t2\n")
    places["out"] = make_run(tmp_path)
    before = (places["out"] / "manifest.jsonl").read_bytes()
    status, _, stderr = run("restore", *[text.format(**places) for text in arguments])
    assert status == 2, stderr
    assert message in stderr
    assert len(stderr.strip().splitlines()) == 1
    assert (places["out"] / "manifest.jsonl").read_bytes() == before


def test_a_photo_that_cannot_be_reverted_does_not_stop_the_others(tmp_path, run):
    out = make_run(tmp_path)
    (tmp_path / "photos/three.jpg").unlink()
    names = ["three.jpg", "broken.jpg", "a b/one.png", str(out / "a b/two.png") + "\t1"]
    (tmp_path / "list").write_text("\n".join(names))
    status, _, stderr = run("restore", "-o", out, "--revert", tmp_path / "list")
    assert status == 1
    assert "the original is gone" in stderr
    assert "broken.jpg: it was not restored ('failed')" in stderr
    assert "4 photos: the original is back in 2, 2 failed" in stderr
    assert items(out)["a b/one.png"]["status"] == "reverted"
    assert items(out)["three.jpg"]["status"] == "restored"
    assert [face.get("reverted") for face in items(out)["a b/two.png"]["faces"]] == [True, None]


def test_reverted_lines_stay_under_the_header_of_their_run(tmp_path):
    write_manifest(tmp_path, [add_photo(tmp_path, "one.png", [face_at(20, 10, 96)])])
    weaker = HEADER | {"options": {"strength": 0.5}}
    out = write_manifest(tmp_path, [add_photo(tmp_path, "two.png", [])], weaker)
    (taken,) = revert(out, [Choice("one.png")]).results
    assert taken.status == "reverted"
    manifest = read_manifest(out / "manifest.jsonl")
    assert manifest.headers["one.png"]["options"]["strength"] == 1
    assert manifest.header["options"]["strength"] == 0.5


@pytest.mark.parametrize(
    ("options", "again", "same"),
    [
        ({"strength": 1.0, "quality": 95}, {"weaker": "--strength 0.6"}, ""),
        (
            {"strength": 0.5, "aligned": True, "color": "keep"},
            {
                "weaker": "--strength 0.3 --aligned --color keep",
                "stronger": "--strength 0.75 --aligned --color keep",
            },
            " --strength 0.5 --aligned --color keep",
        ),
    ],
)
def test_the_page_says_what_to_run(options, again, same, tmp_path):
    (tmp_path / "it's").mkdir()
    photo = add_photo(tmp_path / "it's", "one.png", [])
    out = write_manifest(tmp_path / "it's", [photo], HEADER | {"options": options})
    review(out)
    start = "faceren restore -o '" + str(out).replace("'", "'\"'\"'") + "'"
    expected = {"keep": f"{start} --revert keep-original.txt"}
    expected |= {name: f"{start} --only {name}.txt {rest}" for name, rest in again.items()}
    expected["faces"] = f"{start} --boxes faces.jsonl{same}"
    assert commands_of(out) == expected
