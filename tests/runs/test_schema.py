"""The manifest's schema takes what we write and nothing else."""

import json
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from faceren.commands.options import FolderOptions
from faceren.commands.restore import restore
from faceren.config import Mark
from faceren.restoration.options import RestoreOptions
from faceren.runs.manifest import FACE_FIELDS, FIELDS
from tests.runs import as_earlier, face_at, make_run
from tests.schema import SCHEMA, wrong

HASH = "ab" * 32
PHOTO = {
    "key": "a.png", "input": "in/a.png", "input_sha256": HASH, "output": "out/a.png",
    "output_sha256": HASH, "status": "restored", "reason": "", "settings": "0",
    "faces": [face_at(0, 0, 64) | {"strength": 1, "reason": ""}],
}  # fmt: skip
MARK = {"box": [1, 2, 3, 4], "mark": "line", "pixels": 4, "width": 1.0, "certainty": 1, "left": ""}
REPAIR = {
    "filled": True, "given": False, "share": 0.1, "marks": {"line": 1}, "left": 0, "note": "",
    "components": [MARK],
}  # fmt: skip


def test_a_photo_is_one_line():
    assert wrong(PHOTO | {"repair": [REPAIR]}) == []
    assert wrong(PHOTO) == []
    assert wrong(PHOTO | {"faces": [as_earlier(face) for face in PHOTO["faces"]]}) == []
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
        {"faces": [face_at(0, 0, 64, 2.1) | {"strength": 1, "reason": ""}]},
        {"faces": [{k: v for k, v in PHOTO["faces"][0].items() if k != "identity_distance"}]},
        {"left": [{"box": [0, 0, 1], "score": 0.5, "reason": "small: x"}]},
        {"warnings": "one"},
        {"format_version": 1},
        {"repair": [REPAIR | {"share": 1.5}]},
        {"repair": [REPAIR | {"components": [MARK | {"mark": "stain"}]}]},
        {"repair": [{key: REPAIR[key] for key in REPAIR if key != "note"}]},
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


def test_every_option_that_decides_bytes_is_in_the_schema_with_its_values():
    described = SCHEMA["$defs"]["header"]["properties"]["options"]["properties"]
    kinds = get_type_hints(RestoreOptions)
    assert set(described) == set(kinds)
    known = {name: get_args(kind) for name, kind in kinds.items() if get_origin(kind) is Literal}
    assert {name: tuple(described[name]["enum"]) for name in known} == known
    names = [part.name.lower() for part in Mark if part]
    assert SCHEMA["$defs"]["component"]["properties"]["mark"]["enum"] == names


def test_marks_that_are_kept_and_all_else_of_a_line_has_a_place(tmp_path):
    from tests.marked import scratched_run

    out = scratched_run(tmp_path)
    (line,) = [json.loads(x) for x in (out / "manifest.jsonl").read_text().splitlines()[1:]]
    box = line["repair"][0]["components"][0]["box"]
    kept = tmp_path / "kept.jsonl"
    kept.write_text(json.dumps({"photo": "a.png", "box": box}))
    folder = FolderOptions(only=None, repair_keep=kept)
    list(restore([], out, RestoreOptions(repair="auto"), folder=folder).results)
    lines = [json.loads(x) for x in (out / "manifest.jsonl").read_text().splitlines()]
    assert lines[-1]["repair"][0]["components"][0]["left"].startswith("kept")
    for line in lines:
        kind = "header" if "format_version" in line else "photo"
        assert set(line) <= set(SCHEMA["$defs"][kind]["properties"])
        assert wrong(line) == []


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
