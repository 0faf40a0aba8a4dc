"""A manifest is data, whoever wrote it: it writes, moves, deletes and shows nothing outside OUT."""

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceren.commands.review import review, suggested
from faceren.files import sha256_of
from faceren.metrics.pairing import is_recorded, pair_up
from faceren.runs.disk_or_store import Files
from tests.pages.test_review import data_of
from tests.runs import HEADER, make_run, picture


@pytest.fixture
def output(tmp_path):
    return make_run(tmp_path)


@pytest.fixture
def secret(tmp_path):
    """A picture elsewhere on the disk."""
    path = tmp_path / "home" / "secret.png"
    path.parent.mkdir()
    Image.fromarray(picture(99)).save(path)
    return path


def rewritten(folder, photo, **values):
    """Forge a line of the manifest; values None are taken out."""
    path = folder / "manifest.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if line.get("key") == photo:
            line.update(values)
            for name in [n for n, v in values.items() if v is None]:
                del line[name]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def snapshot(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("key", ["../home/secret.png", "/etc/hostname", "a/../../home/secret.png"])
def test_no_key_leads_a_revert_outside(output, secret, tmp_path, run, key):
    rewritten(output, "view.png", key=key)
    (tmp_path / "list.txt").write_text(key + "\n")
    before = snapshot(secret.parent)
    for command in (("--revert", tmp_path / "list.txt"), ("--only", tmp_path / "list.txt")):
        status, _, stderr = run("restore", *command, "-o", output)
        assert status == 2
        assert "Traceback" not in stderr
    assert snapshot(secret.parent) == before


@pytest.mark.parametrize("digest", [None, "", "0" * 64])
def test_no_photo_is_restored_of_which_the_manifest_knows_the_path_only(
    output, secret, tmp_path, run, digest
):
    rewritten(output, "view.png", input=str(secret), input_sha256=digest)
    (tmp_path / "list.txt").write_text("view.png\n")
    before = snapshot(output)
    status, _, stderr = run("restore", "--only", tmp_path / "list.txt", "-o", output)
    assert status == 2
    assert f"its original {secret} ha" in stderr
    assert "name the photo, or its folder, as an input" in stderr
    assert snapshot(output) == before
    secret.unlink()
    status, _, stderr = run("restore", "--only", tmp_path / "list.txt", "-o", output)
    assert (status, f"{secret} is gone" in stderr) == (2, True)


def test_a_photo_that_has_changed_is_restored_if_the_user_names_it(output, tmp_path, run):
    photo = tmp_path / "photos" / "view.png"
    Image.fromarray(picture(5)).save(photo)
    (tmp_path / "list.txt").write_text("view.png\n")
    assert run("restore", "--only", tmp_path / "list.txt", "-o", output)[0] == 2
    again = ("restore", tmp_path / "photos", "--only", tmp_path / "list.txt", "-o", output)
    status, _, stderr = run(*again, "--no-report")
    assert status == 0, stderr
    assert np.array_equal(np.asarray(Image.open(output / "view.png")), picture(5))


def test_no_link_in_the_folder_is_followed(output, secret, tmp_path, run):
    shutil.rmtree(output / "a b")
    (output / "a b").symlink_to(secret.parent)
    shutil.copy(tmp_path / "photos" / "a b" / "one.png", secret.parent / "one.png")
    before = snapshot(secret.parent)
    (tmp_path / "list.txt").write_text("a b/one.png\n")
    status, _, stderr = run("restore", "--revert", tmp_path / "list.txt", "-o", output)
    assert (status, "outside" in stderr) == (2, True)
    assert snapshot(secret.parent) == before


@pytest.mark.parametrize("digest", [None, "", "0" * 64])
@pytest.mark.parametrize("check", ["there", "bytes"])
def test_the_page_shows_no_other_picture_of_the_disk(output, secret, digest, check):
    rewritten(output, "view.png", input=str(secret), input_sha256=digest)
    review(output, check=check)
    photos = {photo["key"]: photo for photo in data_of(output)["photos"]}
    assert photos["view.png"]["original"] is None
    assert photos["view.png"]["notes"]
    assert photos["a b/two.png"]["original"]
    mean = np.asarray(Image.open(secret)).mean((0, 1))
    for path in (output / "report").glob("*.jpg"):
        shown = np.asarray(Image.open(path), float)
        assert shown.shape[:2] != (120, 200) or abs(shown.mean((0, 1)) - mean).max() > 0.5


def test_no_result_outside_the_folder_is_shown_or_scored(output, secret):
    digest = sha256_of(secret)
    (output / "view.png").unlink()
    rewritten(output, "view.png", output=str(secret), output_sha256=digest)
    assert '"result":"../home/secret.png"' not in review(output).page.read_text()
    found = pair_up(output, None)
    assert str(secret) not in {str(row.result) for row in found.rows}
    assert any(name == "view.png" for name, _ in found.failures)


def test_references_and_inputs_need_the_recorded_hash(output, secret):
    rewritten(output, "view.png", input=str(secret))
    (row,) = [row for row in pair_up(output, None).rows if row.path == "view.png"]
    assert not is_recorded(row, Files([]))
    path = output / "manifest.jsonl"
    header = {**HEADER, "command": "degrade"}
    lines = path.read_text().splitlines()[1:]
    path.write_text("\n".join([json.dumps({"format_version": 1, **header}), *lines]) + "\n")
    rewritten(output, "view.png", input_sha256=None)
    assert "view.png" not in {row.path for row in pair_up(output, None).rows}


@pytest.mark.parametrize(
    ("options", "model"),
    [
        ({"mask": "x; rm -rf ~"}, "base"),
        ({"color": "$(reboot)", "quality": "`id`"}, "base; reboot"),
        ({"strength; reboot #": 0.5, "detector": "\x1b[201~reboot\n"}, "$(id)"),
        ({"strength": "1; reboot"}, "base"),
        ({"strength": 0.5}, "base\x9b2J"),
        ({"strength": 10**400, "scale": 10**400}, "base"),
    ],
)
def test_suggested_commands_hold_no_strangers_words(options, model):
    found = suggested(Path("out; reboot"), {"options": options, "model_option": model})
    for text in found.values():
        words = shlex.split(text)
        assert words[:4] == ["faceren", "restore", "-o", "out; reboot"]
        assert not any(
            word in words for word in ("reboot", "rm", "x; rm -rf ~", "$(reboot)", "`id`")
        )
        if "--model" in words:
            assert words[words.index("--model") + 1] == model
        assert text.isprintable()


def test_what_is_stale_is_not_moved_through_a_link(tmp_path):
    from faceren.errors import ConfigError
    from faceren.runs.resume import set_aside

    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    (out / "sub").mkdir(parents=True)
    (out / "sub" / "a.png").write_bytes(b"stale")
    (out / ".stale").mkdir()
    elsewhere.mkdir()
    (out / ".stale" / "sub").symlink_to(elsewhere)
    with pytest.raises(ConfigError, match="leads outside"):
        set_aside(out, "sub/a.png")
    assert (out / "sub" / "a.png").read_bytes() == b"stale"
    assert not list(elsewhere.iterdir())
