"""Every command that the README shows is run here; the two that set up are run by ``.ci/run``."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

from faceren import cli
from faceren.assets import models_dir, samples_dir

README = Path(__file__).parents[1] / "README.md"
INSTALLS = {
    "pip install . && faceren restore sample_photos/ -o out/",
    "pip install -e '.[test]' && pytest",
}
SMALLER = {
    "faceren benchmark": ["--seconds", "0.2"],
    "faceren train": [
        *("-O", "train.steps=1", "-O", "train.batch=1", "-O", "validate.images=1"),
        *("-O", "data.size=64", "-O", "validate.size=64"),
    ],
}
"""Overrides that keep commands of minutes or hours to seconds."""


def shown_commands():
    blocks = re.findall(r"```console\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def test_the_two_set_up_commands_are_shown():
    assert set(shown_commands()) >= INSTALLS


def test_every_command_in_prose_is_a_command():
    known = {
        "restore",
        "degrade",
        "train",
        "evaluate",
        "benchmark",
        "export",
        "models",
        "open",
        "COMMAND",
    }
    used = set(re.findall(r"`faceren (\w+)", README.read_text(encoding="utf-8")))
    assert used <= known


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working directory as the README's reader has it."""
    place = tmp_path_factory.mktemp("reader")
    (place / "old_photos").mkdir()
    Image.fromarray(data.astronaut()).save(place / "old_photos" / "astronaut.jpg")
    shutil.copytree(samples_dir(), place / "sample_photos")
    shutil.copytree(samples_dir() / "clean", place / "faces")
    (place / "models").mkdir()
    for recipe in models_dir().glob("*.yaml"):
        shutil.copy(recipe, place / "models")
    return place


@pytest.mark.parametrize("command", [c for c in shown_commands() if c not in INSTALLS])
def test_a_shown_command_runs(command, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FACEREN_DEVICE", "cpu")
    arguments = shlex.split(command)
    assert arguments[0] == "faceren"
    extra = SMALLER.get(" ".join(arguments[:2]), [])
    monkeypatch.setattr(sys, "argv", [*arguments, *extra])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 0, capsys.readouterr().err
