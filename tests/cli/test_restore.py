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
