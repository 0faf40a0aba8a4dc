"""What the command line adds to the commands: parsing, messages, exit statuses, files."""

import errno
import json
import re
import threading
from pathlib import Path

import pytest
from typer.main import get_command

from faceren import cli


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


def test_every_option_but_json_is_an_environment_variable_of_its_name():
    for name, command in get_command(cli.app).commands.items():
        options = [option for option in command.params if option.opts[0].startswith("-")]
        for option in options:
            (flag,) = (flag for flag in option.opts if flag.startswith("--"))
            variable = "FACEREN_" + flag[2:].replace("-", "_").upper()
            wanted = None if flag == "--json" else variable
            if flag == "--max-identity-distance":
                wanted = [variable, "FACEREN_MIN_IDENTITY"]
            assert option.envvar == wanted, (name, flag)


def test_a_misspelt_variable_is_named(run, monkeypatch):
    monkeypatch.setenv("FACEREN_DEVCE", "cpu")
    _, _, err = run("degrade", "--task", "list")
    assert err == (
        "warning: the variable FACEREN_DEVCE is no option of any command; did you mean "
        "'FACEREN_DEVICE'?\n"
    )


def test_the_old_name_of_an_option_and_its_variable_are_understood(run, monkeypatch):
    assert cli.hyphens("--min_identity=0.5") == "--max-identity-distance=0.5"
    assert cli.hyphens("--min-identity") == "--max-identity-distance"
    monkeypatch.setenv("FACEREN_MIN_IDENTITY", "-1")
    _, _, err = run("restore", "photos", "-o", "out")
    assert "--max-identity-distance: expected" in err
    assert "warning" not in err


def test_help_has_groups_examples_and_one_word_of_variables(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = run("restore", "--help")
    groups = [line for line in out.splitlines() if line and line[0] != " " and line[-1] == ":"]
    wanted = ["Arguments", "Everyday", "Output", "Undo and redo", "Faces", "Machine", "Options"]
    assert groups == [f"{name}:" for name in (*wanted, "Examples")]
    assert out.count("FACEREN_") == 1
    assert max(map(len, out.splitlines())) <= 80
    for name, command in get_command(cli.app).commands.items():
        examples = command.epilog.splitlines()
        assert len(examples) == 2
        assert all(line.startswith(f"faceren {name}") for line in examples)


def test_words_are_completed_for_the_shell():
    options = {p.name: p for p in get_command(cli.app).commands["restore"].params}
    evaluate = {p.name: p for p in get_command(cli.app).commands["evaluate"].params}
    degrade = {p.name: p for p in get_command(cli.app).commands["degrade"].params}

    def completed(option, text):
        return [item.value for item in option.shell_complete(None, text)]

    assert completed(options["model"], "co") == ["compact"]
    assert completed(options["preset"], "") == ["gentle", "normal", "strong"]
    assert completed(evaluate["metrics"], "psnr,ms") == ["psnr,ms-ssim"]
    assert completed(degrade["task"], "snap") == ["snapshot-1940"]


def test_what_is_said_is_written_to_the_log_with_its_time(run, tmp_path):
    assert run("restore", "gone", "-o", "out", "--log", "run.log")[0] == 2
    assert run("restore", "--verify", "gone", "--log", "run.log", "--quiet")[0] == 2
    first, second = (tmp_path / "run.log").read_text().splitlines()
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} error: input gone: no such file", first)
    assert "gone: expected a folder that restore wrote" in second


def test_a_log_goes_over_no_other_file(run, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8 a photo")
    status, _, err = run("restore", "gone", "-o", "out", "--log", "photo.jpg")
    assert (status, err.count("\n")) == (2, 1)
    assert "expected a new file or a log of faceren" in err
    assert (tmp_path / "photo.jpg").read_bytes() == b"\xff\xd8 a photo"
    assert run("restore", "gone", "-o", "out", "--log", tmp_path / "no" / "a.log")[0] == 4


def test_the_shipped_models_are_listed(run):
    status, out, _ = run("models")
    assert (status, out.splitlines()[0][:14]) == (0, "base (default)")
    listed = [json.loads(line) for line in run("models", "--json")[1].splitlines()]
    assert [model["name"] for model in listed] == ["base", "compact"]
    assert all(model["size"] == Path(model["path"]).stat().st_size for model in listed)


def test_underscores_are_accepted_in_option_names():
    assert cli.hyphens("--batch_size=auto") == "--batch-size=auto"
    assert cli.hyphens("--only_x") == "--only-x"
    assert cli.hyphens("my_photo.png") == "my_photo.png"


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (OSError(errno.EIO, "Input/output error", "/disk/a\n.jpg"), "/disk/a\\n.jpg: Input/output"),
        (PermissionError(errno.EACCES, "Permission denied"), "error: Permission denied"),
        (MemoryError(), "error: not enough memory"),
    ],
)
def test_a_machine_that_fails_is_one_line_and_4(run, monkeypatch, tmp_path, raised, said):
    def fails(*_, **__):
        raise raised

    monkeypatch.setattr("faceren.commands.verify.read_run", fails)
    status, _, stderr = run("restore", "--verify", tmp_path)
    assert status == 4
    (line,) = stderr.splitlines()
    assert said in line
    assert line.endswith("put that right, then the same command goes on")


def test_a_bug_keeps_its_traceback(monkeypatch, tmp_path):
    def fails(*_, **__):
        raise OSError("of a library, no system's")

    monkeypatch.setattr("faceren.commands.verify.read_run", fails)
    monkeypatch.setattr("sys.argv", ["faceren", "restore", "--verify", str(tmp_path)])
    with pytest.raises(OSError, match="of a library"):
        cli.main()


@pytest.mark.parametrize(
    ("raised", "silent"), [(OSError(errno.EIO, "x"), True), (ValueError("bug"), False)]
)
def test_a_thread_that_the_disk_has_ended_is_not_told_of_twice(monkeypatch, capsys, raised, silent):
    def fails():
        raise raised

    def starts_a_thread(*_, **__):
        thread = threading.Thread(target=fails)
        thread.start()
        thread.join()

    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    monkeypatch.setattr(cli, "app", starts_a_thread)
    cli.main()
    assert ("Traceback" not in capsys.readouterr().err) == silent
