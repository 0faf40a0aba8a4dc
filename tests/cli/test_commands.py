"""What the command line adds to the commands: parsing, messages, exit statuses, files."""

import json
from pathlib import Path

import pytest
from PIL import Image

from faceren import cli
from faceren.assets import samples_dir


@pytest.fixture(autouse=True)
def _in_an_empty_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def faces(tmp_path):
    """Two small clean faces."""
    (tmp_path / "faces").mkdir()
    for path in sorted((samples_dir() / "clean").iterdir())[:2]:
        with Image.open(path) as image:
            image.resize((128, 128)).save(tmp_path / "faces" / f"{path.stem}.png")
    return tmp_path / "faces"


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


def test_evaluate_finds_references_through_the_manifest_and_writes_its_report(run, faces, tmp_path):
    run("degrade", faces, "--task", "denoise", "--size", "keep", "-o", "noisy")
    code, out, err = run(
        *("evaluate", "noisy", "--metrics", "psnr,ssim", "--json", "-", "--csv", "rows.csv"),
        *("--worst", "1"),
    )
    assert code == 0, err
    report = json.loads(out)
    assert set(report) >= {"protocol", "results", "reference", "n", "metrics", "images", "strays"}
    assert 5 < report["metrics"]["psnr"]["mean"] < 30
    assert (tmp_path / "rows.csv").read_text().splitlines()[0] == "path,psnr,ssim"
    assert (tmp_path / "noisy" / "worst.png").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["degrade", "faces", "--task", "ful"], 2, "did you mean 'full'"),
        (["degrade", "faces"], 2, "--task"),
        (["degrade", "faces", "--task", "full", "--size", "small"], 2, "--size"),
        (["degrade", "gone", "--task", "full"], 2, "gone: no such file or folder"),
        (["evaluate", "faces", "--metrics", "psrn"], 2, "did you mean 'psnr'"),
        (["evaluate", "faces", "--metrics", "psnr"], 2, "--reference"),
        (["evaluate"], 2, "out"),
        (["train", "gone.yaml"], 2, "gone.yaml"),
        (["benchmark", "--suite", "fast"], 2, "--suite"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(run, faces, arguments, status, message):
    code, out, err = run(*arguments)
    assert code == status, err
    assert message in err
    assert out == ""
    assert len(err.strip().splitlines()) == 1


def test_an_unknown_option_is_a_usage_error(run):
    code, _, err = run("restore", "--colour", "x")
    assert code == 2
    assert "--colour" in err


def test_every_option_but_json_is_an_environment_variable():
    from typer.main import get_command

    for name, command in get_command(cli.app).commands.items():
        for option in command.params:
            flags = [flag for flag in option.opts if flag.startswith("--")]
            if flags and not {"--json", "--help"} & set(flags):
                assert str(option.envvar).startswith("FACEREN_"), (name, flags)


def test_a_training_run_that_is_interrupted_exits_130(run, monkeypatch):
    from faceren.commands import train as command
    from faceren.training.events import Finished

    def interrupted(*_, **__):
        yield Finished(
            step=3, images_seen=6, seconds=1.0, interrupted=True, weights=Path("last.safetensors")
        )

    monkeypatch.setattr(command, "train", interrupted)
    code, _, err = run("train", "any.yaml")
    assert code == 130
    assert "interrupted at step 3" in err
