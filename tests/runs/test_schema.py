"""The manifest's schema takes what we write and nothing else."""

import json

import pytest

from faceren.runs.manifest import FACE_FIELDS, FIELDS
from tests.runs import face_at, make_run
from tests.schema import SCHEMA, wrong

HASH = "ab" * 32
PHOTO = {
    "key": "a.png", "input": "in/a.png", "input_sha256": HASH, "output": "out/a.png",
    "output_sha256": HASH, "status": "restored", "reason": "", "settings": "0",
    "faces": [face_at(0, 0, 64) | {"strength": 1, "reason": ""}],
}  # fmt: skip


def test_a_photo_is_one_line():
    assert wrong(PHOTO) == []
    assert wrong(PHOTO | {"status": "no_face", "faces": []}) == []
    failed = {"output": None, "output_sha256": None, "input_sha256": "", "status": "failed"}
    assert wrong(PHOTO | failed) == []


@pytest.mark.parametrize(
    "change",
    [
        {"status": "done"},
        {"key": ""},
        {"input_sha256": "abc"},
        {"faces": [{"box": [0, 0, 1, 1]}]},
        {"faces": [face_at(0, 0, 64) | {"strength": 2, "reason": ""}]},
        {"left": [{"box": [0, 0, 1], "score": 0.5, "reason": "small: x"}]},
        {"warnings": "one"},
        {"format_version": 1},
    ],
)
def test_another_line_is_none(change):
    assert wrong(PHOTO | change)


@pytest.mark.parametrize("name", ["key", "status", "faces", "input_sha256"])
def test_a_line_without_what_it_needs_is_none(name):
    assert wrong({key: value for key, value in PHOTO.items() if key != name})


def test_what_the_reader_checks_has_a_place_in_the_schema():
    photo, header = SCHEMA["$defs"]["photo"]["properties"], SCHEMA["$defs"]["header"]["properties"]
    assert set(FIELDS) - {"libraries"} <= {*photo, *header}  # those are of degrade
    assert set(FACE_FIELDS) <= set(SCHEMA["$defs"]["face"]["properties"])


def test_a_reverted_photo_keeps_to_it(tmp_path):
    from faceren.commands.review import revert
    from faceren.runs.lists import Choice

    out = make_run(tmp_path)
    before = len((out / "manifest.jsonl").read_text().splitlines())
    assert [t.status for t in revert(out, [Choice("a b/two.png", 0)]).results] == ["reverted"]
    line = json.loads((out / "manifest.jsonl").read_text().splitlines()[before + 1])
    line["faces"] = [{"strength": 1, "reason": ""} | face for face in line["faces"]]
    assert line["faces"][0]["reverted"]
    assert wrong(line) == []
