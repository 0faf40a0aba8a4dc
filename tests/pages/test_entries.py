"""What the review page knows of each photo: from the manifest, and from what is there."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from faceren.pages.entries import drawn, entries_of, to_page
from faceren.pages.pictures import Pictures
from faceren.runs.manifest import read_run
from tests.runs import make_run


@pytest.fixture
def output(tmp_path):
    return make_run(tmp_path)


def entries(output, check="bytes"):
    with ThreadPoolExecutor(1) as pool:
        found = entries_of(output, read_run(output, "restore"), check, pool)
        return {entry.key: entry for entry in found}


def test_photos_are_sorted_folder_by_folder(output):
    assert list(entries(output)) == [
        *("a b/one.png", "a b/two.png", "broken.jpg", "three.jpg", "view.png"),
    ]


def test_a_file_that_is_another_by_now_is_none(output):
    (output / "view.png").write_bytes(b"other")
    (output / "a b/one.png").unlink()
    found = entries(output)
    assert found["view.png"].result is None
    assert found["view.png"].notes[0].startswith("the restored file has changed since the run")
    assert found["a b/one.png"].notes[0].startswith("the restored file is gone")
    assert found["a b/one.png"].original is not None
    assert entries(output, "there")["view.png"].notes == ()
    assert found["broken.jpg"].notes == ()  # it never had a result


def test_a_photo_that_cannot_be_shown_is_said_and_the_others_are_drawn(output):
    found = entries(output)
    found["three.jpg"].line["faces"][0]["crop"] = "wide"
    pictures = Pictures(output / "report")
    with ThreadPoolExecutor(1) as pool:
        after = {e.key: e for e in drawn(list(found.values()), pictures, 10**6, pool)}
    assert after["three.jpg"].notes[0].startswith("it cannot be shown")
    assert all(not entry.notes for key, entry in after.items() if key != "three.jpg")
    page = to_page(after["a b/two.png"], pictures, output)
    assert [face["identity"] for face in page["faces"]] == [0.3, 0.8]
    assert (page["width"], page["height"]) == (200, 120)
    assert to_page(after["broken.jpg"], pictures, output)["before"] is None
    assert page["scale"] == 1
    twice = replace(after["view.png"], line=after["view.png"].line | {"scale": 2})
    assert to_page(twice, pictures, output)["scale"] == 2
