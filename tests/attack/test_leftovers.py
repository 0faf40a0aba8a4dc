"""What a killed run leaves is removed by the next, and stops nobody."""

import json
import os
import subprocess
import sys

import pytest

from faceren.errors import MachineError
from faceren.runs.folder import locked
from tests.calls import degraded
from tests.training.tiny import run as train
from tests.training.tiny import write_images, write_recipe


@pytest.fixture
def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_train_goes_on_in_a_folder_where_it_was_killed_before_its_recipe(tmp_path, dead):
    recipe = write_recipe(tmp_path, train={"steps": 1}, validate={"every": 1, "images": 1})
    folder = tmp_path / "run"
    (folder / "sheets").mkdir(parents=True)
    (folder / f".faceren-{dead}-abc.yaml").write_text("name: ti")
    (folder / "sheets").rmdir()
    train(recipe, folder)
    assert (folder / "last.safetensors").is_file()
    assert not list(folder.rglob(".faceren-[0-9]*"))


def test_train_removes_what_was_left_later(tmp_path, dead):
    recipe = write_recipe(tmp_path, train={"steps": 1}, validate={"every": 1, "images": 1})
    folder = tmp_path / "run"
    train(recipe, folder)
    left = folder / "sheets" / f".faceren-{dead}-abc.png"
    left.write_bytes(b"half")
    alive = folder / f".faceren-{os.getpid()}-abc.safetensors"
    alive.write_bytes(b"being written")
    train(recipe, folder)
    assert not left.exists()
    assert alive.exists()


def test_two_trainings_do_not_share_a_folder(tmp_path):
    recipe = write_recipe(tmp_path, train={"steps": 1}, validate={"every": 1, "images": 1})
    folder = tmp_path / "run"
    with locked(folder), pytest.raises(MachineError, match=f"another run is writing into {folder}"):
        train(recipe, folder)
    assert [path.name for path in folder.iterdir()] == [".faceren-lock"]
    train(recipe, folder)  # a lock that nobody holds any more stops nobody
    with locked(folder):
        assert (folder / "last.safetensors").is_file()


def test_degrade_removes_what_was_left(tmp_path, dead):
    photos = write_images(tmp_path / "photos", 2)
    (tmp_path / "out" / "sub").mkdir(parents=True)
    left = tmp_path / "out" / "sub" / f".faceren-{dead}-abc.png"
    left.write_bytes(b"half")
    assert [d.status for d in degraded([photos], tmp_path / "out", task="denoise")] == [
        "degraded",
        "degraded",
    ]
    assert not left.exists()


def test_a_link_among_the_photos_to_the_outputs_does_not_grow(tmp_path):
    photos = write_images(tmp_path / "photos", 2)
    (photos / "more").symlink_to(tmp_path / "out")
    for _ in range(3):
        assert len(degraded([photos], tmp_path / "out", task="denoise")) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="names are text there")
def test_a_name_that_is_no_text_is_degraded_and_scored(tmp_path, run):
    photos = write_images(tmp_path / "photos", 1)
    name = os.fsdecode(b"caf\xe9\x1b.png")
    (photos / "000.png").rename(photos / name)
    out = tmp_path / "out"
    status, stdout, _ = run("degrade", photos, "-o", out, "--task", "denoise", "--json")
    assert status == 0
    assert json.loads(stdout)["key"] == name
    files = ("--json-file", tmp_path / "a.json", "--csv", tmp_path / "a.csv")
    assert run("evaluate", out, "--metrics", "psnr", *files)[0] == 0
    assert json.loads((tmp_path / "a.json").read_text())["images"][0]["path"] == name
