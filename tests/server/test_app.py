"""What the served page answers, what it does, and what it refuses."""

import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from faceren.commands.options import RunOptions
from faceren.commands.restore import restore
from faceren.commands.verify import verify
from faceren.files import sha256_of
from faceren.images import write_png
from faceren.restoration.options import RestoreOptions
from faceren.runs.manifest import read_manifest
from faceren.server import app as application
from tests.runs import make_run

ONE, TWO = "a b/one.png", "a b/two.png"


@pytest.fixture
def output(tmp_path):
    return make_run(tmp_path)


@pytest.fixture
def served(serve, output):
    return serve(output)


def line_of(output, key):
    return read_manifest(output / "manifest.jsonl").items[key]


def test_the_page_has_a_strict_policy_and_everything_it_names(served):
    status, headers, page = served.get("")
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src 'self' data:; connect-src 'self'; ")
    assert policy.endswith("frame-ancestors 'none'")
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "server" not in headers
    assert b"one.png" in page
    photos = json.loads(served.get("photos")[2])["photos"]
    photos = [photo for photo in photos if photo["status"] != "failed"]
    named = [photo[kind] for photo in photos for kind in ("before", "after", "original", "result")]
    named += [face["picture"] for photo in photos for face in photo["faces"]]
    answers = [served.get(path.removeprefix("./")) for path in named if path]
    assert len(answers) == 4 * 4 + 4  # four photos, four faces
    assert {status for status, _, _ in answers} == {200}
    for _, headers, data in answers:
        assert headers["Content-Type"].startswith("image/")
        with Image.open(io.BytesIO(data)) as image:
            image.load()


def test_a_request_of_another_page_is_refused(served):
    body = json.dumps({"act": "keep", "key": ONE}).encode()
    mine = {"Origin": served.origin}
    for refused in (
        served.ask("GET", "", token="ff00" * 8),
        served.ask("GET", "", token=""),
        served.ask("GET", "", Host="evil.example"),
        served.ask("GET", "", Host=f"evil.example:{served.port}"),
        served.ask("GET", "", Origin="http://evil.example"),
        served.ask("GET", "state", Sec_Fetch_Site="cross-site"),
        served.ask("POST", "act", body),
        served.ask("POST", "act", body, Origin="null"),
        served.ask("POST", "act", body, Origin="http://evil.example"),
        served.ask("POST", "act", body, Host="evil.example", **mine),
        served.ask("POST", "act", body, token="ff00" * 8, **mine),
    ):
        status, headers, said = refused
        assert status in (403, 421)
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert b"one.png" not in said
    assert served.desk.state.finished == 0
    assert served.ask("POST", "act", body, **mine)[0] == 202


@pytest.mark.parametrize(
    "path",
    [
        "original/manifest.jsonl",
        "original/../manifest.jsonl",
        "result/%2e%2e/photos/view.png",
        "original//etc/passwd",
        "report/../manifest.jsonl",
        "report/manifest.jsonl",
        "manifest.jsonl",
    ],
)
def test_no_file_is_sent_but_those_of_the_record(served, path):
    status, _, said = served.get(path)
    assert status in (404, 422)
    assert len(said) < 300


def test_a_file_that_was_changed_or_forged_is_not_sent(served, output, tmp_path):
    (tmp_path / "secret.png").write_bytes(b"secret")
    line = line_of(output, ONE) | {"input": str(tmp_path / "secret.png")}
    with (output / "manifest.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    status, _, said = served.get("original/a%20b/one.png")
    assert (status, b"secret" in said) == (404, False)


def test_originals_come_back_at_once_and_undo_takes_that_back(served, output, tmp_path):
    before = (output / TWO).read_bytes()
    recorded = line_of(output, TWO)
    assert served.post("act", {"act": "keep", "key": TWO})[0] == 202
    assert served.post("act", {"act": "keep", "key": TWO})[0] == 202  # which changes nothing
    state = served.done()
    assert (state.text, state.undoable) == (f"{TWO}: the original is back", 1)
    assert (output / TWO).read_bytes() == (tmp_path / "photos" / TWO).read_bytes()
    assert line_of(output, TWO)["status"] == "reverted"
    assert served.post("undo", {})[0] == 202
    assert served.done().undoable == 0
    assert (output / TWO).read_bytes() == before
    assert line_of(output, TWO) == recorded
    status, told = served.post("undo", {})
    assert (status, told) == (422, {"error": "there is nothing to undo"})


def test_what_somebody_else_has_changed_is_not_undone(served, output):
    served.post("act", {"act": "keep", "key": TWO})
    served.done()
    (output / TWO).write_bytes(b"mine")
    served.post("undo", {})
    state = served.done()
    assert (state.problem, state.undoable) == (f"{TWO} has changed since; it is not undone", 0)
    assert (output / TWO).read_bytes() == b"mine"


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def test_one_face_is_taken_back(served, output, tmp_path):
    original = pixels(tmp_path / "photos" / TWO)
    served.post("act", {"act": "keep", "key": TWO, "face": 1})
    assert served.done().text == f"{TWO}, face 2: the original is back"
    faces = line_of(output, TWO)["faces"]
    assert [bool(face.get("reverted")) for face in faces] == [False, True]
    (x0, y0, x1, y1) = map(int, faces[1]["box"])
    assert (pixels(output / TWO)[y0:y1, x0:x1] == original[y0:y1, x0:x1]).all()


@pytest.fixture(scope="module")
def couple(tmp_path_factory, astronaut):
    """A photo with two faces, restored, and the same with a strength of 0.6."""
    root = tmp_path_factory.mktemp("couple")
    portrait = astronaut[:300, 60:360]
    write_png(root / "couple.png", np.hstack([portrait, portrait[:, ::-1]]))
    how = RunOptions(device="cpu", model="compact")
    for name, strength in (("full", 1.0), ("weak", 0.6)):
        options = RestoreOptions(strength=strength)
        list(restore([root / "couple.png"], root / name, options, how=how).results)
    return root


def test_one_face_is_restored_anew_and_all_else_stays(couple, serve, tmp_path):
    """Left is face 1 or 2; what is taken from the record says which."""
    output = tmp_path / "out"
    shutil.copytree(couple / "full", output)
    full, weak, original = (
        pixels(path)
        for path in (output / "couple.png", couple / "weak/couple.png", couple / "couple.png")
    )
    first = (output / "couple.png").read_bytes()
    before = line_of(output, "couple.png")
    left = next(n for n, face in enumerate(before["faces"]) if face["box"][0] < 300)
    served, half = serve(output), np.s_[:, :300]

    def asked(act, face=None):
        index = {} if face is None else {"face": face}
        assert served.post("act", {"act": act, "key": "couple.png", **index})[0] == 202
        assert served.done().problem == ""
        now = pixels(output / "couple.png")
        assert (now[:, 300:] == (original if face is None else now)[:, 300:]).all()
        return now

    now = asked("weaker", left)
    assert served.desk.state.text == f"couple.png, face {left + 1}: restored, weaker"
    assert (now[:, 300:] == full[:, 300:]).all()
    assert abs(now[half] - weak[half]).max() <= 1 < abs(full[half] - weak[half]).max()
    line = line_of(output, "couple.png")
    assert [face["strength"] for face in line["faces"]] == [0.6 if n == left else 1 for n in (0, 1)]
    assert line["faces"][1 - left] == before["faces"][1 - left]
    assert line["output_sha256"] == sha256_of(output / "couple.png")
    assert line["chosen"]
    served.post("undo", {})
    served.done()
    assert (output / "couple.png").read_bytes() == first
    assert line_of(output, "couple.png") == before

    asked("keep", left)
    now = asked("again", left)  # a face whose original was kept
    assert abs(now - full).max() <= 1
    assert not any(face.get("reverted") for face in line_of(output, "couple.png")["faces"])

    asked("keep")
    now = asked("again", left)  # a face of a photo that was the original again
    assert abs(now[half] - full[half]).max() <= 1
    assert (now[:, 300:] == original[:, 300:]).all()
    line = line_of(output, "couple.png")
    assert line["status"] == "restored"
    assert [bool(face.get("reverted")) for face in line["faces"]] == [n != left for n in (0, 1)]
    assert [photo.differences for photo in verify(output).results] == [()]


def test_a_face_is_not_restored_with_other_weights_than_its_photo(served, output):
    before = (output / TWO).read_bytes()
    served.post("act", {"act": "weaker", "key": TWO, "face": 0})
    state = served.done()
    assert "was restored with other weights than those of --model base" in state.problem
    assert (output / TWO).read_bytes() == before
    assert state.undoable == 0


def test_a_face_left_on_a_later_page_cannot_be_chosen(served, output):
    place = output / "manifest.jsonl"
    lines = [json.loads(line) for line in place.read_text().splitlines()]
    left = {"box": [1, 2, 30, 40], "score": 0.9, "reason": "small", "page": 1}
    lines = [line | {"left": [left]} if line.get("key") == TWO else line for line in lines]
    place.write_text("".join(json.dumps(line) + "\n" for line in lines))
    status, told = served.post("act", {"act": "left", "key": TWO, "face": 0})
    assert (status, "of its first page alone" in told["error"]) == (422, True)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"act": "delete", "key": ONE}, "expected one of keep, again"),
        ({"act": "keep", "key": "../photos/view.png"}, "none of the photos of this folder"),
        ({"act": "keep"}, "expected an act and a photo"),
        ({"act": "keep", "key": TWO, "face": 2}, "expected a face from 0 to 1, got 2"),
        ({"act": "again", "key": TWO, "face": "0"}, "expected the number of a face"),
        ({"act": "left", "key": TWO}, "no face of it was left alone"),
        ({"act": "mark", "key": TWO, "face": 0}, "expected the number of a mark, got 0"),
        ([1], "expected a JSON object"),
        (b"{", "expected JSON"),
        (b"[" * 60000, "expected JSON"),
        (b" " * 70000, "expected at most 65,536 bytes"),
    ],
)
def test_what_makes_no_sense_is_said_and_changes_nothing(served, output, asked, said):
    before = (output / "manifest.jsonl").read_bytes()
    status, told = served.post("act", asked)
    assert status == 422
    assert said in told["error"]
    assert (output / "manifest.jsonl").read_bytes() == before
    assert not served.desk.state.busy


def test_an_act_that_fails_is_said_and_the_next_one_is_done(served, output, tmp_path):
    (tmp_path / "photos" / ONE).rename(tmp_path / "moved.png")
    served.post("act", {"act": "keep", "key": ONE})
    state = served.done()
    assert "the original is gone; nothing was taken back" in state.problem
    assert state.undoable == 0
    served.post("act", {"act": "keep", "key": TWO})
    assert served.done().problem == ""


def test_a_folder_that_is_gone_is_said(served, output, tmp_path):
    output.rename(tmp_path / "elsewhere")
    status, told = served.post("act", {"act": "keep", "key": ONE})
    assert status == 422
    assert "manifest.jsonl is not there" in told["error"]
    assert served.get("photos")[0] == 422
    assert not output.exists()


def test_what_is_dropped_and_no_photo_is_refused_and_leaves_nothing(served, output):
    for name, data, said in (
        ("a.jpg", b"no photo at all", "a.jpg: "),
        ("a.jpg", b"", "empty"),
        (".hidden.jpg", b"x", "expected the name of a photo"),
        ("..", b"x", "expected the name of a photo"),
    ):
        status, told = served.post(f"drop?name={name}", data)
        assert status == 422
        assert said in told["error"], told
        assert application.DROPPED_DIR not in told["error"]
    assert list((output / application.DROPPED_DIR).iterdir()) == []
    assert served.desk.state.finished == 0


def test_what_is_dropped_and_too_large_is_refused_before_it_is_read(served, output, monkeypatch):
    monkeypatch.setattr(application, "LARGEST_DROP", 1000)
    status, told = served.post("drop?name=a.jpg", b"x" * 1001)
    assert status == 413
    assert "a.jpg is larger than" in told["error"]
    # one that does not say how large it is
    chunks = iter([b"x" * 600, b"x" * 600])
    status, _, _ = served.ask("POST", "drop?name=a.jpg", chunks, Origin=served.origin)
    assert status == 413
    assert not list((output / application.DROPPED_DIR).glob("*"))


def test_a_dropped_photo_never_goes_over_another(output):
    (output / "view.png").touch()
    place = application.free_place(output, "view.png")
    assert place == output / ".originals" / "view (2).png"
    place.parent.mkdir()
    place.touch()
    assert application.free_place(output, "view.png").name == "view (3).png"
    assert application.free_place(output, "new.png").name == "new.png"


def test_a_pair_is_one_picture_of_before_and_after(served, output, tmp_path):
    status, headers, data = served.get("pair/a%20b/one.png")
    assert status == 200
    assert "one-before-after.jpg" in headers["Content-Disposition"]
    with Image.open(io.BytesIO(data)) as image:
        pair = np.asarray(image).astype(int)
    with Image.open(output / ONE) as image:
        height, width = np.asarray(image).shape[:2]
    assert pair.shape[1] == 2 * max(height, width) + 3 * 8
    (tmp_path / "photos" / ONE).unlink()
    status, _, said = served.get("pair/a%20b/one.png")
    assert (status, b"is gone, or has changed" in said) == (422, True)


def test_a_path_that_is_not_there_is_said(served):
    assert served.post("folder", {"path": "/no/such"})[1] == {
        "error": "/no/such: no such file or folder"
    }
    assert served.post("folder", {"path": " "})[0] == 422
    assert served.post("folder", {})[0] == 422
