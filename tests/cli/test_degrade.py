"""What ``faceren degrade`` writes and says."""

import json

from PIL import Image

from faceren.degradation import TASKS


def test_degrade_writes_twins_into_the_current_folder_and_says_so(run, faces, tmp_path):
    code, out, err = run("degrade", faces, "--task", "jpeg", "--size", "keep", "--json")
    assert code == 0
    assert [json.loads(line)["status"] for line in out.splitlines()] == ["degraded"] * 2
    assert err == "2 photos: 2 degraded, 0 skipped, 0 failed; in faces_jpeg\n"
    assert len(list((tmp_path / "faces_jpeg").glob("*.png"))) == 2
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


def test_the_default_output_lies_in_the_current_folder_wherever_the_photos_are(
    run, faces, tmp_path, monkeypatch
):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run("degrade", faces, "--task", "jpeg", "--size", "keep")[0] == 0
    assert (tmp_path / "elsewhere" / "faces_jpeg" / "manifest.jsonl").exists()
    assert {path.name for path in faces.parent.iterdir()} == {"faces", "elsewhere"}


def test_the_list_of_tasks_has_every_task(run):
    code, out, _ = run("degrade", "--task", "list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(TASKS)
    lines = map(json.loads, run("degrade", "--task", "list", "--json")[1].splitlines())
    assert [line["task"] for line in lines] == list(TASKS)
