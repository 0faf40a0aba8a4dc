from pathlib import Path

import pytest

from faceren.files import sha256_of
from faceren.restoration.results import FaceEdit, PhotoResult, done_before
from faceren.runs.manifest import Manifest
from faceren.runs.plan import Job

EDIT = FaceEdit(
    box=(1.234, 2, 3, 4.006),
    landmarks=((1.111, 2.229),) * 5,
    score=0.98765,
    crop=256,
    working_size=192,
    identity_distance=0.123456,
    ms=12.34,
)


def test_an_edit_is_written_with_so_many_digits():
    assert EDIT.to_json() == {
        "box": [1.23, 2, 3, 4.01],
        "landmarks": [[1.11, 2.23]] * 5,
        "score": 0.9877,
        "crop": 256,
        "working_size": 192,
        "identity_distance": 0.1235,
        "ms": 12.3,
        "strength": 1.0,
        "reason": "",
    }


def photo(status, **more):
    return PhotoResult(
        source=Path("in/a.jpg"), output=Path("out/a.jpg"), key="a.jpg", status=status, **more
    )


def test_a_photo_is_written_with_its_faces():
    line = photo("restored", input_sha256="i", output_sha256="o", settings="s", faces=(EDIT,))
    assert line.to_json() == {
        "key": "a.jpg",
        "input": "in/a.jpg",
        "input_sha256": "i",
        "output": "out/a.jpg",
        "output_sha256": "o",
        "status": "restored",
        "reason": "",
        "settings": "s",
        "faces": [EDIT.to_json()],
    }


@pytest.mark.parametrize(
    ("status", "output"),
    [("restored", "out/a.jpg"), ("no_face", "out/a.jpg"), ("skipped", "out/a.jpg"),
     ("failed", None), ("planned", None)],
)  # fmt: skip
def test_only_what_was_written_has_an_output(status, output):
    assert photo(status).to_json()["output"] == output
    assert photo(status).to_json()["output_sha256"] is None


@pytest.fixture
def job(tmp_path):
    made = Job(tmp_path / "a.jpg", tmp_path / "out" / "a.jpg", "a.jpg")
    made.output.parent.mkdir()
    made.source.write_bytes(b"before")
    made.output.write_bytes(b"after")
    return made


def earlier(job, status, output_sha256=None):
    line = {"input_sha256": sha256_of(job.source), "output_sha256": output_sha256}
    line |= {"settings": "s", "status": status, "reason": "why"}
    return Manifest(items={"a.jpg": line})


def test_what_an_earlier_run_did_is_skipped_and_says_what_that_was(job):
    manifest = earlier(job, "no_face", sha256_of(job.output))
    done = done_before(job, manifest, "s", retry_failed=True)
    assert (done.status, done.previous, done.reason) == ("skipped", "no_face", "why")
    assert done.output_sha256 == sha256_of(job.output)
    assert done_before(job, manifest, "other", retry_failed=False) is None
    assert done_before(job, Manifest(), "s", retry_failed=False) is None


def test_what_failed_is_skipped_too_unless_it_is_to_be_tried_again(job):
    manifest = earlier(job, "failed")
    done = done_before(job, manifest, "s", retry_failed=False)
    assert (done.status, done.previous, done.output_sha256) == ("skipped", "failed", "")
    assert done_before(job, manifest, "s", retry_failed=True) is None
