"""What ``faceren degrade`` writes and says."""

import json

from PIL import Image


def test_degrade_writes_twins_and_says_so(run, faces, tmp_path):
    code, out, err = run("degrade", faces, "--task", "jpeg", "--size", "keep", "--json")
    assert code == 0
    assert [json.loads(line)["status"] for line in out.splitlines()] == ["degraded"] * 2
    assert err == f"2 photos: 2 degraded, 0 skipped, 0 failed; in {tmp_path / 'faces_jpeg'}\n"
    assert run("degrade", faces, "--task", "jpeg", "--size", "keep", "--quiet") == (0, "", "")


def test_a_replay_gives_the_same_bytes(run, faces, tmp_path):
    run("degrade", faces, "--task", "full", "--size", "128", "-o", "a")
    assert run("degrade", faces, "--replay", "a/manifest.jsonl", "-o", "b")[0] == 0
    for path in (tmp_path / "a").glob("*.png"):
        assert (tmp_path / "b" / path.name).read_bytes() == path.read_bytes()


def test_a_broken_photo_is_named_and_the_others_are_degraded(run, faces, tmp_path):
    (faces / "broken.png").write_bytes(b"no picture")
    code, _, err = run("degrade", faces, "--task", "jpeg", "-o", "out")
    assert code == 1
    assert "broken.png" in err
    assert len(list((tmp_path / "out").glob("*.png"))) == 2


def test_the_sheet_shows_every_task(run, faces, tmp_path):
    code, _, err = run("degrade", faces, "--sheet", "sheet.png")
    assert (code, err) == (0, "wrote sheet.png\n")
    with Image.open(tmp_path / "sheet.png") as image:
        assert min(image.size) > 256
