"""What ``faceren restore`` refuses before any work, in one line."""

import pytest
from PIL import Image


@pytest.fixture
def photos(tmp_path, astronaut):
    """A folder with a portrait in a sub-folder, and a photo."""
    folder = tmp_path / "photos"
    (folder / "box 1").mkdir(parents=True)
    Image.fromarray(astronaut).save(folder / "box 1" / "portrait.png")
    Image.fromarray(astronaut[300:, :100]).save(folder / "rocket.jpg")
    return folder


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["missing/", "-o", "{out}"], 2, "missing: no such file or folder"),
        (["{photos}/rockt.jpg", "-o", "{out}"], 2, "did you mean 'rocket.jpg'"),
        (["*.jpg", "-o", "{out}"], 2, "leave out the quotes"),
        (["no/such/a.jpg", "-o", "{out}"], 2, "nor is there a folder no/such"),
        (["{photos}/rocket.jpg", "o"], 2, "add -o OUT; if o is to be that folder, write -o o"),
        (["{photos}/rocket.jpg", "-o", "{photos}/rocket.jpg"], 2, "is the photo itself"),
        (["{photos}/rocket.jpg", "-o", "{photos}/box 1/portrait.png"], 2, "add --overwrite"),
        (["{photos}/rocket.jpg", "-o", "{out}.heic"], 2, "expected .jpg, .png, .tif or .webp"),
        (["{photos}/rocket.jpg", "-o", "a.png", "--format", "jpg"], 2, "a name for --format jpg"),
        (["{photos}/rocket.jpg", "-o", "a.jpg", "--save-faces"], 2, "--save-faces needs an output"),
        (["{photos}", "-o", "{out}", "--suffix", "a/b"], 2, "--suffix: expected a piece of a name"),
        (["{photos}", "-o", ""], 2, "--output: expected a path, got an empty text"),
        (["{photos}", "--output="], 2, "--output: expected a path, got an empty text"),
        (["", "-o", "{out}"], 2, "inputs: expected a path, got an empty text"),
        (["{photos}", "-o", "{out}", "--log", ""], 2, "--log: expected a path, got an empty text"),
        (["{photos}", "-o", "{out}", "--exclude", "/"], 2, "expected a pattern, as drafts or"),
        (["{photos}", "-o", "{out}", "--exclude", ""], 2, "expected a pattern, as drafts or"),
        (["{photos}", "-o", "{out}", "--shard", "\u0661/\u0663"], 2, "--shard: expected I/N"),
        (["{empty}", "-o", "{out}"], 3, "no image found"),
        (["{photos}", "-o", "{photos}"], 2, "originals are never written to"),
        (["{photos}", "-o", "{photos}/out"], 2, "--exclude 'out'"),
        (["{photos}", "-o", "{out}", "--model", "compct"], 2, "did you mean 'compact'"),
        (["{photos}", "-o", "{out}", "--model", "gone.pth"], 4, "gone.pth is not there"),
        (["{photos}", "-o", "{out}", "--device", "cuda:9"], 4, "--device cpu"),
        (["{photos}", "-o", "{out}", "--device", "tpu"], 2, "got 'tpu'"),
        (
            ["{photos}", "-o", "{out}", "--faces", "big"],
            2,
            "--faces: expected one of 'auto', 'all', 'largest', 'center', got 'big'",
        ),
        (
            ["{photos}", "-o", "{out}", "--strength", "2"],
            2,
            "--strength: expected float from 0 to 1, got 2.0",
        ),
        (["{photos}", "-o", "{out}", "--batch-size", "x"], 2, "--batch-size"),
        (["{photos}", "-o", "{photos}/rocket.jpg"], 2, "this is a file"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments, status, message, photos, tmp_path, run):
    (tmp_path / "empty").mkdir()
    places = {"photos": photos, "empty": tmp_path / "empty", "out": tmp_path / "out"}
    given = [argument.format(**places) for argument in arguments]
    code, _, stderr = run("restore", *given)
    assert code == status, stderr
    assert message in stderr
    assert len(stderr.strip().splitlines()) == 1


def test_one_photo_becomes_one_file(photos, tmp_path, run):
    source = photos / "rocket.jpg"
    status, _, said = run("restore", source, "-o", tmp_path / "new" / "copy.jpg")
    assert (status, said) == (0, f"no face: 0 faces; wrote {tmp_path / 'new' / 'copy.jpg'}\n")
    assert (tmp_path / "new" / "copy.jpg").read_bytes() == source.read_bytes()
    assert run("restore", source, "-o", tmp_path / "new" / "copy.png", "--quiet") == (0, "", "")
    with Image.open(tmp_path / "new" / "copy.png") as image:
        assert image.format == "PNG"
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"copy.jpg", "copy.png"}


def test_a_photo_that_fails_leaves_no_file(photos, tmp_path, run):
    (photos / "broken.jpg").write_bytes(b"no photo")
    status, _, said = run("restore", photos / "broken.jpg", "-o", tmp_path / "new.jpg")
    assert (status, said.count("\n")) == (1, 1)
    assert not (tmp_path / "new.jpg").exists()


def test_a_run_names_its_page_and_a_dry_run_says_what_it_would_do(photos, tmp_path, run):
    out = tmp_path / "out"
    arguments = ("restore", photos / "rocket.jpg", "-o", out, "--suffix", "_new")
    plan = f"would restore {photos / 'rocket.jpg'} to {out / 'rocket_new.jpg'}"
    told = run(*arguments, "--dry-run")[2].splitlines()
    assert told == [plan, "1 of 1 photo would be restored; nothing was done"]
    assert run(*arguments)[2].splitlines()[-1] == f"look at {out / 'report.html'}"
    assert (out / "rocket_new.jpg").read_bytes() == (photos / "rocket.jpg").read_bytes()
    (told,) = run(*arguments, "--dry-run")[2].splitlines()
    assert (
        told == "0 of 1 photo would be restored; 1 unchanged since the last run; nothing was done"
    )
