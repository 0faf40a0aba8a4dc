import numpy as np
import pytest
import tifffile
from PIL import Image

from faceren.errors import FaceError, ImageError
from faceren.faces.face import Face
from faceren.faces.given import GivenFace
from faceren.faces.tools import FaceTools
from faceren.files import sha256_of
from faceren.restoration.options import RestoreOptions
from faceren.restoration.photo import prepare
from faceren.runs.plan import Job
from tests.restoration.pages import face_at

FACE = face_at(60, 20, 100)


def finds(*faces):
    """A detector that finds these faces in any picture of 200 x 160 pixels, and no other."""
    return FaceTools(search=lambda image, threshold: list(faces))


@pytest.fixture
def job(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (160, 200, 3)).astype(np.uint8)
    Image.fromarray(colours).save(tmp_path / "a.png")
    return Job(tmp_path / "a.png", tmp_path / "out" / "a.png", "a.png")


def prepared(job, tools=None, given=(), **options):
    return prepare(job, RestoreOptions(rotate="off", **options), 10**6, tools, given)


def detected(job, monkeypatch, *faces, **more):
    monkeypatch.setattr("faceren.restoration.photo.detect_faces", lambda *_, **__: list(faces))
    return prepared(job, **more)


def test_a_face_is_cut_where_its_record_says(job, monkeypatch):
    ready = detected(job, monkeypatch, FACE)
    (crop,) = ready.faces
    assert crop.face is not None
    np.testing.assert_array_equal(crop.face.landmarks, FACE.landmarks.round(2))
    assert (crop.size, crop.page) == (256, 0)
    assert ready.sha256 == sha256_of(job.source)


def test_in_an_enlarged_photo_the_face_is_enlarged_too(job, monkeypatch):
    (crop,) = detected(job, monkeypatch, FACE, scale=4).faces
    np.testing.assert_allclose(crop.face.landmarks, (FACE.landmarks.round(2) + 0.5) * 4 - 0.5)
    assert crop.size == 512  # 400 pixels of the photo, nearer to 512 than to 256


def test_a_marked_face_replaces_the_detected_one_and_others_stay(job, monkeypatch):
    other = face_at(150, 100, 40)
    box = tuple(float(round(value)) for value in FACE.box)
    marked = GivenFace(box, tuple(map(tuple, FACE.landmarks + 1)))
    crops = detected(job, monkeypatch, FACE, other, given=[marked]).faces
    assert [crop.face.score for crop in crops] == [1, 0.9]
    assert crops[0].face.box == box
    assert crops[1].face.box == other.box


def test_a_marked_face_outside_the_photo_is_refused(job, monkeypatch):
    with pytest.raises(FaceError, match="lies outside the photo of 200×160 pixels"):
        detected(job, monkeypatch, given=[GivenFace((900, 900, 950, 950))])


@pytest.mark.parametrize(
    ("color", "gray", "kept"),
    [("auto", True, True), ("auto", False, False), ("keep", False, True), ("free", True, False)],
)
def test_chroma_is_kept_where_there_is_but_a_tone_or_it_is_asked_for(
    job, monkeypatch, color, gray, kept
):
    if gray:
        Image.open(job.source).convert("L").save(job.source)
    ready = detected(job, monkeypatch, FACE, color=color)
    assert ready.luminance_only == (kept,)
    assert ready.faces[0].luminance_only == kept


def test_every_page_has_its_faces_and_marks_count_on_the_first(tmp_path, monkeypatch):
    pages = np.random.default_rng(0).integers(0, 256, (2, 160, 200, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="rgb")
    job = Job(tmp_path / "a.tif", tmp_path / "out" / "a.tif", "a.tif")
    marked = GivenFace(
        (150.0, 100.0, 190.0, 140.0), tuple(map(tuple, face_at(150, 100, 40).landmarks))
    )
    ready = detected(job, monkeypatch, FACE, given=[marked])
    assert [crop.page for crop in ready.faces] == [0, 0, 1]
    assert len(ready.luminance_only) == 2


def test_an_aligned_photo_is_one_crop_and_nothing_is_looked_for(job, monkeypatch):
    ready = detected(job, monkeypatch, FACE, FACE, aligned=True)
    (crop,) = ready.faces
    assert crop.pixels.shape == (160, 200, 3)
    assert crop.box == (0, 0, 200, 160)


def test_what_is_no_photo_is_said(job):
    job.source.write_text("no photo")
    with pytest.raises(ImageError, match="a.png"):
        prepared(job)
    Image.new("RGB", (2000, 600)).save(job.source)
    with pytest.raises(ImageError, match="1,200,000|1200000|1.2"):
        prepared(job)


def test_the_detector_of_the_tools_is_asked(job):
    whole = Face((60.0, 20.0, 160.0, 120.0), FACE.landmarks, 0.95)
    ready = prepared(job, finds(whole))
    assert ready.faces == ()
    assert [(left.score, left.reason) for left in ready.left] == [
        (0.95, "doubtful: a second network sees no face")
    ]
    crops = prepared(job, finds(whole), faces="all").faces
    assert [round(crop.face.score, 2) for crop in crops] == [0.95]


def test_a_face_has_the_tone_of_its_own_print(job, monkeypatch):
    """A page with a colourful print and a gray one: the gray one's face keeps its chroma."""
    page = np.full((160, 200, 3), (200, 190, 170), np.uint8)
    page[20:140, 10:90] = np.random.default_rng(0).integers(0, 160, (120, 80, 3))
    page[20:140, 110:190] = np.random.default_rng(1).integers(0, 160, (120, 80, 1))
    Image.fromarray(page).save(job.source)
    crops = detected(job, monkeypatch, face_at(30, 60, 40), face_at(130, 60, 40)).faces
    assert [crop.luminance_only for crop in crops] == [False, True]


def test_small_faces_are_seen_and_left_alone(job, monkeypatch):
    ready = detected(job, monkeypatch, FACE, min_face=1000.0)
    assert ready.faces == ()
    assert [left.reason for left in ready.left] == ["small: narrower than --min-face 1000"]
