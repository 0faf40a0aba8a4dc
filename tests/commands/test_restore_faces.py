"""What becomes of single faces: marked by hand, held back by the guard, found by others."""

import json

import numpy as np
import pytest
from PIL import Image
from skimage import data

from faceren.errors import ConfigError, MachineError
from faceren.faces.alignment import crop_transform
from faceren.faces.detection import detect_faces
from faceren.restoration.paste import face_mask
from tests.calls import restored


@pytest.fixture
def astronaut(astronaut):
    return astronaut[:300, 50:350]


@pytest.fixture
def photos(tmp_path, astronaut):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(astronaut).save(folder / "face.png")
    Image.fromarray(data.rocket()).save(folder / "rocket.png")
    return folder


def by_key(photos, out, **options):
    return {result.key: result for result in restored([photos], out, **options)}


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_a_marked_face_is_restored_where_none_was_found(photos, tmp_path):
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("rocket.png,300,40,380,140\n", encoding="utf-8")
    plain = by_key(photos, tmp_path / "out")
    assert plain["rocket.png"].status == "no_face"
    marked = by_key(photos, tmp_path / "out", boxes=boxes)
    assert marked["face.png"].status == "skipped"  # nothing is marked there
    assert marked["rocket.png"].status == "restored"
    (face,) = marked["rocket.png"].faces
    assert face.box == (300, 40, 380, 140)
    assert (pixels(tmp_path / "out" / "rocket.png") != data.rocket()).any()


def test_boxes_alone_mean_the_photos_that_they_name(photos, tmp_path):
    boxes, out = tmp_path / "boxes.csv", tmp_path / "out"
    by_key(photos, out)
    boxes.write_text("rocket.png,300,40,380,140\n", encoding="utf-8")
    (again,) = restored([], out, boxes=boxes)
    assert (again.key, again.status) == ("rocket.png", "restored")
    assert by_key(photos, out)["rocket.png"].status == "skipped"  # the choice outlives it


def test_a_mark_on_a_detected_face_is_the_same_face(photos, tmp_path, astronaut):
    (found,) = detect_faces(astronaut)
    line = {"photo": str(photos / "face.png"), "box": [round(v) for v in found.box]}
    boxes = tmp_path / "boxes.jsonl"
    boxes.write_text(json.dumps(line), encoding="utf-8")
    (face,) = by_key(photos, tmp_path / "out", boxes=boxes)["face.png"].faces
    assert face.box == tuple(line["box"])


def test_a_marked_face_outside_its_photo_fails_that_photo_alone(photos, tmp_path):
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("rocket.png,3000,40,3080,140\n", encoding="utf-8")
    results = by_key(photos, tmp_path / "out", boxes=boxes)
    assert results["face.png"].status == "restored"
    assert results["rocket.png"].status == "failed"
    assert "lies outside the photo of 640×427 pixels" in results["rocket.png"].reason


def test_a_box_of_no_photo_stops_the_run_before_it_starts(photos, tmp_path):
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("moon.png,1,2,30,40\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="'moon.png' is none of the 2 photos"):
        by_key(photos, tmp_path / "out", boxes=boxes)


def test_a_face_beyond_the_identity_limit_is_pasted_weaker_and_says_so(photos, tmp_path):
    free = by_key(photos, tmp_path / "free")["face.png"].faces[0]
    limit = round(free.identity_distance * 0.7, 3)
    held = by_key(photos, tmp_path / "held", max_identity_distance=limit)["face.png"].faces[0]
    assert (free.strength, free.reason) == (1, "")
    assert held.identity_distance <= limit
    assert held.strength < 1
    assert "identity distance" in held.reason
    assert held.to_json()["reason"] == held.reason


def test_a_photo_whose_faces_are_all_left_alone_is_copied(photos, tmp_path):
    result = by_key(photos, tmp_path / "out", max_identity_distance=0.0)["face.png"]
    assert result.status == "no_face"
    assert "every face was left as it was" in result.reason
    assert result.faces[0].strength == 0
    output = tmp_path / "out" / "face.png"
    assert output.read_bytes() == (photos / "face.png").read_bytes()


@pytest.mark.parametrize("options", [{}, {"grain": "off"}, {"strength": 0.5}])
def test_outside_the_crops_no_bit_changes(photos, tmp_path, astronaut, options):
    (result,) = restored([photos / "face.png"], tmp_path / "out", **options)
    (face,) = result.faces
    matrix = crop_transform(np.array(face.landmarks), face.crop)
    outside = face_mask(matrix, face.crop, astronaut.shape[:2]) == 0
    changed = (pixels(result.output) != astronaut).any(2)
    assert changed.any()
    assert outside.any()
    assert not changed[outside].any()


def test_a_detector_without_weights_is_refused_before_any_photo(photos, tmp_path):
    options = {"detector": "retinaface_resnet50", "weights_dir": tmp_path / "none"}
    with pytest.raises(MachineError, match="facexlib|--offline forbids"):
        by_key(photos, tmp_path / "o", offline=True, **options)


def test_a_doubtful_face_is_left_alone_unless_all_are_asked_for(tmp_path):
    cat = tmp_path / "cat.png"
    Image.fromarray(data.cat()).save(cat)
    (left,) = restored([cat], tmp_path / "out")
    assert left.status == "no_face"
    assert (pixels(tmp_path / "out" / "cat.png") == data.cat()).all()
    (listed,) = left.to_json()["left"]
    assert listed["reason"] == "doubtful: a second network sees no face"
    assert left.reason == "no face found but 1 left alone"
    (asked,) = restored([cat], tmp_path / "all", faces="all")
    assert asked.status == "restored"
    assert [face.box for face in asked.faces] == [left.left[0].box]
    assert "left" not in asked.to_json()


def test_a_doubtful_face_that_is_marked_is_restored(tmp_path):
    cat = tmp_path / "cat.png"
    Image.fromarray(data.cat()).save(cat)
    (face,) = detect_faces(data.cat())
    boxes = tmp_path / "boxes.csv"
    boxes.write_text(",".join(map(str, ("cat.png", *face.box))) + "\n", encoding="utf-8")
    (result,) = restored([cat], tmp_path / "out", boxes=boxes)
    assert (result.status, len(result.faces), result.left) == ("restored", 1, ())


def test_small_faces_are_listed_and_left_alone(photos, tmp_path):
    found = by_key(photos, tmp_path / "out", min_face=500.0)["face.png"]
    assert found.status == "no_face"
    assert [face["reason"] for face in found.to_json()["left"]] == [
        "small: narrower than --min-face 500"
    ]


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_photo_gets_the_very_pixels_of_the_upright_one(tmp_path, astronaut, turns):
    for name, image in (("upright", astronaut), ("turned", np.rot90(astronaut, turns))):
        Image.fromarray(np.ascontiguousarray(image)).save(tmp_path / f"{name}.png")
    restored([tmp_path / "upright.png", tmp_path / "turned.png"], tmp_path / "out")
    upright = pixels(tmp_path / "out" / "upright.png")
    assert (upright != astronaut).any()
    back = np.rot90(pixels(tmp_path / "out" / "turned.png"), -turns)
    assert np.abs(back.astype(int) - upright).max() <= 1
