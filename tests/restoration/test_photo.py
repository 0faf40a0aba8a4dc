import re
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image

from faceren.errors import FaceError, ImageError
from faceren.faces.face import Face
from faceren.faces.given import GivenFace
from faceren.faces.tools import FaceTools
from faceren.files import sha256_of
from faceren.images import Photo
from faceren.images.page import Page
from faceren.restoration.options import RestoreOptions
from faceren.restoration.photo import SMALL_FACE, choose_scale, prepare
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


def scale_by(widths, kind="png", shape=(9, 9, 3), dtype=np.uint8, most=10**6, pages=1, **options):
    photo = Photo("a", kind, (Page(np.zeros(shape, dtype), "rgb"),) * pages, (0, 0))
    return choose_scale(photo, widths, RestoreOptions(scale="auto", **options), most)


@pytest.mark.parametrize(
    ("widths", "factor"),
    [
        ([SMALL_FACE], 1),
        ([SMALL_FACE - 0.1], 2),
        ([62.0, 49, 55, 57], 2),
        ([300.0] + [30.0] * 90, 1),  # 90,000 square pixels and 81,000: passers-by
        ([300.0] + [30.0] * 100, 2),  # a crowd
        ([120.0, 120, 80, 80], 1),
        ([80.0] * 9 + [200.0], 2),
        ([], 1),
    ],
)
def test_faces_choose_the_scale_by_their_area(widths, factor):
    chosen = scale_by(widths)
    assert (chosen.factor, chosen.limit) == (factor, "")
    assert scale_by(widths[::-1]) == chosen


def test_the_width_that_chose_is_said():
    assert scale_by([]).reason == "no face to go by"
    half = "half of the area of its faces or more is in faces of"
    assert scale_by([30.0, 40.0]).reason == f"{half} up to 40.0 pixels' width"
    assert scale_by([40.0, 250.0]).reason == f"{half} 250.0 pixels' width or more"


@pytest.mark.parametrize(
    ("photo", "limit"),
    [
        ({"kind": "jpeg", "shape": (1, 32_751, 3)}, "a side of 65,502 pixels, .* 65500 that JPEG"),
        ({"format": "webp", "shape": (8192, 1, 3)}, "a side of 16,384 pixels, .* 16383 that WEBP"),
        ({"shape": (500, 501, 3)}, "1,002,000 pixels, more than the limit of 1,000,000"),
        ({"kind": "tiff", "shape": (500, 251, 3), "pages": 2}, "1,004,000 pixels, more than"),
        ({"shape": (251, 500, 3), "dtype": np.uint16}, "3,012,000 bytes of pixels, .* 3,000,000"),
    ],
)
def test_what_would_be_too_large_stays_as_it_is_and_says_so(photo, limit):
    chosen = scale_by([50.0], **photo)
    assert chosen.factor == 1
    assert re.search(limit, chosen.limit)
    assert chosen.to_json()["scale_reason"].endswith(f"; enlarged it would have {chosen.limit}")
    assert scale_by([200.0], **photo).limit == ""
    height, width, channels = photo["shape"]
    smaller = photo | {"shape": (max(1, height - 1), max(1, width - 1), channels)}
    assert scale_by([50.0], **smaller).factor == 2


def wide(width, left=10.0):
    """A face of a width in the upper half of the picture, whose box is as wide as it says."""
    face = face_at(left, 10, 80)
    x0, y0, _, y1 = face.box
    return replace(face, box=(x0, y0, x0 + width, y1))


def test_a_photo_is_searched_once_and_its_small_face_cut_twice_as_large(job, monkeypatch):
    small, searches = wide(50), []
    monkeypatch.setattr(
        "faceren.restoration.photo.detect_faces", lambda *_, **__: searches.append(1) or [small]
    )
    auto, twice = prepared(job, scale="auto"), prepared(job, scale=2)
    assert len(searches) == 2
    assert (auto.photo.scale, auto.scale.factor, twice.scale) == (2, 2, None)
    np.testing.assert_array_equal(auto.photo.pages[0].raster, twice.photo.pages[0].raster)
    np.testing.assert_array_equal(auto.faces[0].pixels, twice.faces[0].pixels)
    assert detected(job, monkeypatch, wide(100), scale="auto").photo.scale == 1


def marked(face):
    return GivenFace(face.box, tuple(map(tuple, face.landmarks)))


def test_faces_marked_by_hand_do_not_change_the_scale(job, monkeypatch):
    small, large = wide(50), wide(110, left=80)
    alone = detected(job, monkeypatch, given=[marked(small)], scale="auto")
    assert (alone.photo.scale, len(alone.faces)) == (1, 1)
    beside = detected(job, monkeypatch, small, given=[marked(large)], scale="auto")
    assert (beside.photo.scale, len(beside.faces)) == (2, 2)
    instead = detected(job, monkeypatch, small, given=[marked(small)], scale="auto")
    assert (instead.photo.scale, len(instead.faces)) == (2, 1)


def test_faces_that_are_left_alone_do_not_choose(job, monkeypatch):
    small, large = wide(50), wide(110, left=80)
    assert detected(job, monkeypatch, large, small, scale="auto").photo.scale == 1
    assert detected(job, monkeypatch, small, scale="auto", min_face=60.0).photo.scale == 1
    aligned = detected(job, monkeypatch, small, scale="auto", aligned=True)
    assert (aligned.photo.scale, aligned.scale.reason) == (1, "no face to go by")


def test_the_faces_of_all_pages_choose_one_scale(tmp_path, monkeypatch):
    pages = np.random.default_rng(0).integers(0, 256, (2, 160, 200, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="rgb")
    faces = iter([[wide(120)], [wide(90), wide(90, left=100)]])
    monkeypatch.setattr("faceren.restoration.photo.detect_faces", lambda *_, **__: next(faces))
    ready = prepared(Job(tmp_path / "a.tif", tmp_path / "out.tif", "a.tif"), scale="auto")
    assert [page.raster.shape for page in ready.photo.pages] == [(320, 400, 3)] * 2
