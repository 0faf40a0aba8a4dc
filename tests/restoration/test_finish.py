"""A photo after the network, with results made here: what is written and what is said of it."""

import numpy as np
import pytest
from PIL import Image

from faceren.errors import FaceError
from faceren.files import sha256_of
from faceren.images import Restoration, read_photo
from faceren.restoration.crops import whole
from faceren.restoration.finish import finish
from faceren.restoration.options import RestoreOptions
from faceren.restoration.photo import Prepared
from faceren.restoration.stream import NetworkResult
from faceren.runs.plan import Job

NOTE = Restoration("net", "0" * 64)
LIGHT = np.float32(51 / 255)
"""What the network of these tests adds: 51 levels of 255."""


@pytest.fixture
def prepare(tmp_path):
    """Return a way to a photo, 96 wide and 64 high, of levels 0 to 190, that is one crop."""

    def make(name="box/a.png", faces=1, mode="RGB"):
        levels = np.random.default_rng(0).integers(0, 191, (64, 96, 3)).astype(np.uint8)
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True)
        Image.fromarray(levels).convert(mode).save(path)
        photo = read_photo(path)
        crops = [whole(photo, 0) for _ in range(faces)]
        job = Job(path, tmp_path / "out" / name, name)
        return Prepared(job, sha256_of(path), photo, tuple(crops), (False,))

    return make


def brightened(prepared):
    return [NetworkResult(crop.pixels + LIGHT, 3.0) for crop in prepared.faces]


def no_network(pictures):
    raise AssertionError("the faces have been through the network already")


def finished(prepared, restored, restore=no_network, **more):
    options = RestoreOptions(**({"aligned": True, "color": "free"} | more.pop("options", {})))
    return finish(prepared, restored, options, note=NOTE, restore=restore, **more)


def levels(path):
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def test_what_the_network_added_is_added_to_the_levels_of_the_file(prepare):
    prepared = prepare()
    before = levels(prepared.job.source)
    result = finished(prepared, brightened(prepared))
    np.testing.assert_array_equal(levels(prepared.job.output), before + 51)
    assert (result.status, result.reason, result.key) == ("restored", "", "box/a.png")
    assert result.input_sha256 == sha256_of(prepared.job.source)
    assert result.output_sha256 == sha256_of(prepared.job.output)
    (face,) = result.faces
    assert (face.box, face.score, face.ms, face.strength) == ((0, 0, 96, 64), 1, 3, 1)
    assert face.identity_distance is None  # no square, so no aligned face
    assert b"net" in prepared.job.output.read_bytes()


def test_half_the_strength_adds_half(prepare):
    prepared = prepare()
    before = levels(prepared.job.source)
    result = finished(prepared, brightened(prepared), options={"strength": 0.5})
    assert set(np.unique(levels(prepared.job.output) - before)) <= {25, 26}
    assert result.faces[0].strength == 0.5


def test_a_photo_without_a_face_is_copied_to_the_byte(prepare):
    prepared = prepare(faces=0)
    result = finished(prepared, [])
    assert (result.status, result.reason) == ("no_face", "no face found")
    assert prepared.job.output.read_bytes() == prepared.job.source.read_bytes()
    assert result.output_sha256 == result.input_sha256


def test_a_photo_without_a_face_still_gets_another_format(prepare):
    prepared = prepare("a.png", faces=0, mode="L")
    result = finished(prepared, [], options={"format": "tiff"})
    assert result.status == "no_face"
    with Image.open(prepared.job.output) as image:
        assert (image.format, image.mode) == ("TIFF", "L")
    assert b"net" not in prepared.job.output.read_bytes()  # nothing was restored


def test_one_face_without_a_result_fails_the_photo_and_nothing_is_written(prepare):
    prepared = prepare(faces=2)
    restored = [*brightened(prepared)[:1], FaceError("not finite")]
    with pytest.raises(FaceError, match="not finite"):
        finished(prepared, restored)
    assert not prepared.job.output.exists()


def test_results_are_taken_from_the_list_so_that_none_is_held_twice(prepare):
    prepared = prepare()
    restored = brightened(prepared)
    finished(prepared, restored)
    assert restored == []


def test_the_background_goes_through_the_network_too(prepare):
    prepared = prepare(faces=0)
    before = levels(prepared.job.source)

    def restore(tiles):
        return [NetworkResult(tile + LIGHT, 1.0) for tile in tiles]

    options = {"aligned": False, "background": "renovate", "strength": 1 / 3}
    result = finished(prepared, [], restore, options=options)
    np.testing.assert_array_equal(levels(prepared.job.output), before + 17)
    assert result.status == "no_face"
    assert b"net" in prepared.job.output.read_bytes()


def test_a_background_that_fails_fails_the_photo(prepare):
    prepared = prepare(faces=0)
    options = {"aligned": False, "background": "renovate"}
    with pytest.raises(FaceError, match="black"):
        finished(prepared, [], lambda tiles: [FaceError("black")], options=options)


def test_crops_are_saved_before_and_after(prepare, tmp_path):
    prepared = prepare()
    before = levels(prepared.job.source)
    finished(prepared, brightened(prepared), save_faces=True)
    folder = tmp_path / "out" / "faces" / "box"
    assert sorted(path.name for path in folder.iterdir()) == [
        "a.png_00_after.png",
        "a.png_00_before.png",
    ]
    np.testing.assert_array_equal(levels(folder / "a.png_00_before.png"), before)
    np.testing.assert_array_equal(levels(folder / "a.png_00_after.png"), before + 51)


class Remembering:
    """A watcher that remembers the mean level of what it sees."""

    def __init__(self):
        self.drawn = []

    def look(self, photo, faces, left):
        return float(photo.upright_uint8().mean()), len(faces)

    def draw(self, result, before, after):
        self.drawn.append((result.status, before, after))


def test_a_watcher_sees_the_photo_before_and_after(prepare):
    prepared, watcher = prepare(), Remembering()
    mean = levels(prepared.job.source).mean()
    finished(prepared, brightened(prepared), watcher=watcher)
    assert watcher.drawn == [
        ("restored", (pytest.approx(mean), 1), (pytest.approx(mean + 51), 1)),
    ]


def test_a_watcher_sees_a_photo_that_is_only_copied(prepare):
    prepared, watcher = prepare(faces=0), Remembering()
    finished(prepared, [], watcher=watcher)
    ((status, before, after),) = watcher.drawn
    assert (status, before) == ("no_face", after)
