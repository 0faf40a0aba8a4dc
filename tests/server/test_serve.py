"""``faceren open`` from its start to its end."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest
from filelock import FileLock

from faceren.commands.options import RunOptions
from faceren.errors import ConfigError, MachineError
from faceren.restoration.options import RestoreOptions
from faceren.server.serve import HOST, OPEN_NAME, serve
from tests.runs import make_run


def served(output, **more):
    known = {"port": 0, "idle_minutes": 0.0001, "on_open": lambda address: None} | more
    return serve(output, RestoreOptions(), RunOptions(), **known)


def test_ctrl_c_ends_it_and_the_address_is_printed_before(tmp_path):
    out = make_run(tmp_path)
    command = [sys.executable, "-m", "faceren", "open", out, "--no-browser", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        address = json.loads(process.stdout.readline())["address"]
        assert address.startswith(f"http://{HOST}:")
        with urllib.request.urlopen(address) as answer:
            assert b"one.png" in answer.read()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert said.decode().splitlines() == [
        f"{out} is open at {address}; end it with Ctrl-C",
        "ended",
    ]


def test_without_a_browser_the_address_is_to_be_opened_by_hand(run, monkeypatch, tmp_path):
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    out = make_run(tmp_path)
    status, _, said = run("open", out, "--idle", "0.0001")
    assert status == 0
    first, second, last = said.splitlines()
    assert first.startswith(f"{out} is open at http://{HOST}:")
    assert second == "no browser was found: open that address in one of this computer"
    assert last == "nobody looked for a while: ended"
    assert b"one.png" in (out / "report.html").read_bytes()  # as it is now, to be looked at later


def test_it_ends_by_itself_when_nobody_looks(tmp_path):
    addresses = []
    assert served(make_run(tmp_path), on_open=addresses.append) == "idle"
    assert len(addresses) == 1


def test_a_new_folder_is_made_and_can_be_opened_again(tmp_path):
    assert served(tmp_path / "new" / "folder") == "idle"
    assert served(tmp_path / "new" / "folder") == "idle"


def test_a_port_in_use_is_one_line(tmp_path):
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(MachineError, match=f"--port {port}: Address already in use; choose"):
            served(tmp_path / "out", port=port)


def test_a_folder_is_open_once(tmp_path):
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / OPEN_NAME), pytest.raises(MachineError, match="open already"):
        served(tmp_path / "out")


def test_a_folder_of_other_files_is_left_alone(tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").touch()
    with pytest.raises(ConfigError, match="this one holds other files"):
        served(tmp_path / "letters")
    assert [path.name for path in (tmp_path / "letters").iterdir()] == ["a.txt"]
    with pytest.raises(ConfigError, match="this is a file"):
        served(tmp_path / "letters" / "a.txt")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "manifest.jsonl").write_text(
        '{"format_version": 1, "command": "degrade"}\n'
    )
    with pytest.raises(ConfigError, match="manifest of 'degrade'"):
        served(tmp_path / "bad")
