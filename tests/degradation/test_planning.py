"""What a run of ``degrade`` is going to make: names, seeds, and what a manifest says again."""

import json
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from faceren.degradation import draw, item_seed
from faceren.degradation.files import DegradeSettings
from faceren.degradation.planning import library_versions, plan_draws, plan_replay
from faceren.errors import ConfigError
from faceren.images import Found
from faceren.runs.disk_or_store import Files

SETTINGS = DegradeSettings(task="full", seed=5)
OUT = Path("out")


def found(*names):
    return [Found(Path("in") / name, PurePosixPath(name)) for name in names]


def test_each_photo_has_a_place_and_a_seed_of_its_own():
    jobs = plan_draws(found("a.jpg", "box/b.tif"), OUT, SETTINGS, 1)
    assert [job.key for job in jobs] == ["a.png", "box/b.png"]
    assert [job.output for job in jobs] == [OUT / "a.png", OUT / "box" / "b.png"]
    assert [job.settings.seed for job in jobs] == [
        item_seed(5, "a.jpg", 0),
        item_seed(5, "box/b.tif", 0),
    ]


def test_copies_are_numbered_from_one_and_drawn_anew():
    jobs = plan_draws(found("a.jpg"), OUT, SETTINGS, 3)
    assert [(job.key, job.copy) for job in jobs] == [("a_1.png", 0), ("a_2.png", 1), ("a_3.png", 2)]
    assert len({job.settings.seed for job in jobs}) == 3


def test_offline_once_draws_all_copies_alike():
    settings = replace(SETTINGS, compat=("offline-once",))
    jobs = plan_draws(found("a.jpg"), OUT, settings, 2)
    assert len({job.settings.seed for job in jobs}) == 1


def test_photos_of_one_place_or_one_output_are_refused():
    elsewhere = Found(Path("other/a.jpg"), PurePosixPath("a.jpg"))
    with pytest.raises(ConfigError, match="in/a.jpg and other/a.jpg have the same place below"):
        plan_draws([*found("a.jpg"), elsewhere], OUT, SETTINGS, 1)
    with pytest.raises(ConfigError, match="would both be written to out/A.png; rename one"):
        plan_draws(found("a.jpg", "A.jpg"), OUT, SETTINGS, 1)


def test_a_photo_named_twice_is_degraded_once():
    assert len(plan_draws(found("a.jpg", "a.jpg"), OUT, SETTINGS, 2)) == 2


DRAWN = draw("full", seed=1, size=64)
LINE = {
    "key": "a.png",
    "input": "in/a.jpg",
    "input_sha256": "1" * 64,
    "output": "old/a.png",
    "output_sha256": "2" * 64,
    "status": "degraded",
    "relative": "a.jpg",
    "copy": 0,
    "task": "full",
    "seed": 1,
    "resize": None,
    "degradation": DRAWN.to_json(),
}


@pytest.fixture
def manifest(tmp_path):
    """Return a way to a manifest of these lines."""

    def write(*lines, libraries=None, command="degrade"):
        header = {"format_version": 1, "command": command}
        header["libraries"] = library_versions() if libraries is None else libraries
        path = tmp_path / "manifest.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in (header, *lines)))
        return path

    return write


def test_a_manifest_is_done_again_as_it_was_drawn(manifest):
    (job,), warning = plan_replay(found("a.jpg"), OUT, manifest(LINE), Files([]))
    assert job.settings.degradation == DRAWN
    assert (job.source, job.output) == (Path("in/a.jpg"), OUT / "a.png")
    assert (job.input_sha256, job.expected_sha256) == ("1" * 64, "2" * 64)
    assert warning == ""


def test_other_libraries_are_told(manifest):
    path = manifest(LINE, libraries=library_versions() | {"numpy": "0.1"})
    _, warning = plan_replay(found("a.jpg"), OUT, path, Files([]))
    assert warning.startswith("the manifest was made with numpy 0.1, here ")
    assert "opencv" not in warning


def test_photos_and_lines_without_each_other_are_refused_one_by_one(manifest):
    jobs, _ = plan_replay(found("b.jpg"), OUT, manifest(LINE), Files([]))
    assert [job.settings for job in jobs] == [None, None]
    assert jobs[0].refusal == "a.jpg: in the manifest, but not among the inputs"
    assert jobs[1].refusal.endswith("does not say what to do to it")


def test_an_operation_that_is_not_known_refuses_its_photo_alone(manifest):
    strange = LINE | {"degradation": [{"op": "melt"}]}
    (job,), _ = plan_replay(found("a.jpg"), OUT, manifest(strange), Files([]))
    assert job.settings is None
    assert job.refusal.startswith("a.jpg: ")


@pytest.mark.parametrize("key", ["../a.png", "/tmp/a.png"])
def test_an_output_outside_the_folder_is_refused(manifest, key):
    (job,), warning = plan_replay(found("a.jpg"), OUT, manifest(LINE | {"key": key}), Files([]))
    assert job.settings is None
    assert "line 2 is left out: key: expected a path below the output folder" in warning


def test_what_is_no_manifest_of_degrade_is_refused(manifest, tmp_path):
    with pytest.raises(ConfigError, match="no such file; expected a manifest.jsonl of degrade"):
        plan_replay([], OUT, tmp_path / "none.jsonl", Files([]))
    with pytest.raises(ConfigError, match="expected a manifest of 'degrade'"):
        plan_replay([], OUT, manifest(LINE, command="restore"), Files([]))
    broken = {name: value for name, value in LINE.items() if name != "seed"}
    with pytest.raises(ConfigError, match="not as degrade writes it"):
        plan_replay(found("a.jpg"), OUT, manifest(broken), Files([]))
