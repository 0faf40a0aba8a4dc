import os
import subprocess
import sys

import pytest

from faceren.errors import ConfigError, MachineError
from faceren.pages.page import write_page
from faceren.runs.folder import (
    PLANNED_NAME,
    check_page,
    check_places,
    check_replaced,
    inside,
    planned_before,
    writing,
)
from faceren.runs.plan import Job


def job(folder, source, key):
    return Job(source, folder / key, key)


@pytest.fixture
def places(tmp_path):
    """A folder of originals with a photo, and an empty output folder."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(b"original")
    return tmp_path / "in", tmp_path / "out"


@pytest.mark.parametrize("key", ["../x.jpg", "/etc/passwd", "a/../../x.jpg", "a\0b", "link/x.jpg"])
def test_a_named_file_outside_the_folder_is_refused(places, key):
    originals, output = places
    (output / "link").symlink_to(originals)
    with pytest.raises(ConfigError, match="leads outside; nothing is written there"):
        inside(output, key)
    assert inside(output, "a/b.jpg") == output / "a" / "b.jpg"


def test_an_output_that_is_an_original_is_refused_whatever_link_leads_there(places):
    originals, output = places
    source = originals / "a.jpg"
    check_replaced([job(output, source, "a.jpg")], output, ())
    os.link(source, output / "a.jpg")
    with pytest.raises(ConfigError, match="the same file as an input"):
        check_replaced([job(output, source, "a.jpg")], output, {"a.jpg"})
    (output / "a.jpg").unlink()
    (output / "sub").symlink_to(originals)
    with pytest.raises(ConfigError, match="outside .*: a link leads there"):
        check_replaced([job(output, source, "sub/a.jpg")], output, {"sub/a.jpg"})
    nested = [job(originals, originals / "y" / "a.jpg", "a.jpg"), job(originals, source, "y/a.jpg")]
    (originals / "y").mkdir()
    (originals / "y" / "a.jpg").write_bytes(b"another")
    with pytest.raises(ConfigError, match="the same file as an input"):
        check_replaced(nested, originals, {"a.jpg", "y/a.jpg"})


def test_a_file_that_no_run_recorded_is_not_replaced(places):
    originals, output = places
    (output / "a.jpg").write_bytes(b"somebody's")
    jobs = [job(output, originals / "a.jpg", "a.jpg")]
    with pytest.raises(ConfigError, match="no earlier run into .* wrote it; move it away"):
        check_replaced(jobs, output, ())
    check_replaced(jobs, output, {"a.jpg"})


def test_what_a_killed_run_was_going_to_write_is_its_own(places):
    originals, output = places
    with pytest.raises(KeyboardInterrupt), writing(output, ["a.jpg"]):  # noqa: PT012
        (output / "a.jpg").write_bytes(b"written, not yet recorded")
        raise KeyboardInterrupt
    assert planned_before(output) == {"a.jpg"}
    check_replaced([job(output, originals / "a.jpg", "a.jpg")], output, ())
    with writing(output, ["b.jpg"]):
        assert planned_before(output) == {"a.jpg", "b.jpg"}
    assert planned_before(output) == {"a.jpg"}  # of which there is no record yet
    with writing(output, ["b.jpg"], known=["a.jpg", "c.jpg"]):
        assert planned_before(output) == {"a.jpg", "b.jpg"}
    assert planned_before(output) == set()


@pytest.mark.parametrize("text", ["", "{", "[" * 9999, "3", '[1, {"a": 2}]', '"a.jpg"'])
def test_a_damaged_list_of_planned_files_names_none(places, text):
    _, output = places
    (output / PLANNED_NAME).write_text(text)
    assert planned_before(output) == set()


def test_one_run_at_a_time(places):
    _, output = places
    child = (
        "import sys; from pathlib import Path; from faceren.runs.folder import writing\n"
        "with writing(Path(sys.argv[1]), []): pass"
    )
    command = [sys.executable, "-c", child, str(output)]
    with writing(output, []):
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        with pytest.raises(MachineError, match="another run is writing into"), writing(output, []):
            pass
    assert "another run is writing into" in second.stderr
    assert subprocess.run(command, check=False).returncode == 0  # the lock went with its owner


FIXED = ["report", "report.html", "faces", ".stale", "manifest.jsonl"]
FIXED += [".faceren-lock", ".faceren-planned"]


@pytest.mark.parametrize("name", FIXED)
def test_links_at_fixed_names_are_refused(places, name):
    originals, output = places
    (output / name).symlink_to(originals)
    with pytest.raises(ConfigError, match=f"{name} is a link to"):
        check_places(output)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
@pytest.mark.parametrize("name", FIXED)
def test_what_is_no_file_of_ours_at_fixed_names_is_refused_not_opened(places, name):
    _, output = places
    os.mkfifo(output / name)
    with pytest.raises(ConfigError, match=f"{name}: expected a .*, this is none"):
        check_places(output)


def test_a_page_of_somebody_else_is_not_replaced(places):
    _, output = places
    (output / "report.html").write_text("<!doctype html><title>Our family</title>")
    with pytest.raises(ConfigError, match="report.html is there already, and faceren did not"):
        check_page(output)
    write_page(output / "report.html", "base.html.j2", {"title": "ours", "subtitle": ""})
    check_page(output)
