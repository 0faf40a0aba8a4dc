"""What the command line adds to the commands: parsing, messages, exit statuses, files."""

import errno
import threading

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
            assert option.envvar == (None if flag == "--json" else variable), (name, flag)


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
